"""The accounts file that a person writes: per account its login, its credentials and its limits."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError

from config.secret_sources import SecretProblemError, SecretSources, UnusableFileError, read_text
from config.settings import complaints_of
from neo_cancel.order import Variety, is_ucc

__all__ = ["AccountsToml", "Credentials", "LoginKind", "read_accounts_toml", "read_credentials"]

_MOST_BYTES: Final = 16 * 1024 * 1024
_TWICE: Final = re.compile(r"Cannot declare \('([A-Z0-9]{3,16})',\) twice")
_POSITION: Final = re.compile(r"\(at ([a-z0-9, ]+)\)$")
_A_WORD: Final = re.compile(r"[a-z_]{1,32}")


class LoginKind(StrEnum):
    """Who makes an account's session."""

    AUTOMATIC = "automatic"  # the workers, with the TOTP secret
    TYPED = "typed"  # the workers, with a code that a person types
    EXTERNAL = "external"  # another program: it is in the file of ready sessions


_LOGGING_IN: Final = ("mobile", "access_token", "mpin")
_NEEDED: Final = {
    LoginKind.AUTOMATIC: (*_LOGGING_IN, "totp_secret"),
    LoginKind.TYPED: _LOGGING_IN,
    LoginKind.EXTERNAL: (),
}
_SECRETS: Final = _NEEDED[LoginKind.AUTOMATIC]


@dataclass(frozen=True, slots=True)
class Credentials:
    """One account of the file. Its secrets hide themselves; those that its kind of login does not need may be blank.

    Rates are calls a second, an `orders_per_second` of 0 is no limit. None takes the process's setting.
    """

    ucc: str
    login: LoginKind
    mobile: SecretStr
    access_token: SecretStr
    mpin: SecretStr
    totp_secret: SecretStr | None
    varieties: frozenset[str] = frozenset(Variety)
    orders_per_second: float | None = None
    reads_per_second: float | None = None
    verify: bool | None = None
    watch_refused: bool | None = None

    @property
    def fingerprint(self) -> str:
        """What changes when a secret, or the kind of login, does, the same in all processes. It tells no secret.

        Six digits alone could be guessed from a hash. Here they are hashed together with the access token, which the broker
        draws at random: who does not have it has nothing to try an MPIN with, and it is stored nowhere beside the hash.
        """
        secrets = (self.mobile, self.access_token, self.mpin, self.totp_secret or SecretStr(""))
        parts = ["neo-cancel credentials", self.ucc, self.login, *(secret.get_secret_value() for secret in secrets)]
        whole = b"".join(b"%d:%b" % (len(part), part) for part in (part.encode() for part in parts))
        return hashlib.sha256(whole).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class AccountsToml:
    """What a reading of the file gave: the accounts that can be used, and what is wrong by account ("" for the file).

    `accounts` None: no account could be read. `files` are those that secrets stand in: a change of one is a change of this.
    """

    accounts: Mapping[str, Credentials] | None
    complaints: Mapping[str, str]
    files: frozenset[Path] = frozenset()


def read_credentials(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Credentials], dict[str, str]]:
    """Read the file: the accounts that can be used, and complaints by account ("" for the file), never with a value."""
    read = read_accounts_toml(path, environ)
    return dict(read.accounts or {}), dict(read.complaints)


def read_accounts_toml(path: Path, environ: Mapping[str, str]) -> AccountsToml:
    """Read the file. A complaint names file, account, key and rule; an account that is wrong is not among the accounts."""
    try:
        read = read_text(path, _MOST_BYTES)
        entries = tomllib.loads(read.text)
    except (UnusableFileError, ValueError, RecursionError) as error:
        return AccountsToml(None, {"": f"accounts file {path}: {_unreadable(error)}"})
    return _accounts_of(path, entries, SecretSources(path, read.is_exposed, environ))


def _unreadable(error: Exception) -> str:
    """Say what is wrong, in words that no line of the file can get into: it holds secrets."""
    text = str(error)
    if isinstance(error, UnusableFileError):
        return text
    if (found := _POSITION.search(text)) is None:
        return f"is no TOML: {type(error).__name__}"
    position = found[1]
    if twice := _TWICE.search(text):
        return f"account {twice[1]} stands in it twice, at {position}"
    if "overwrite" in text or "twice" in text:
        return f"a key stands in it twice, at {position}"
    return f"is no TOML, at {position}"


def _accounts_of(path: Path, entries: Mapping[str, Any], sources: SecretSources) -> AccountsToml:
    accounts: dict[str, Credentials] = {}
    complaints: dict[str, str] = {}
    files: set[Path] = set()
    for ucc, about in entries.items():
        if not is_ucc(ucc) or not isinstance(about, dict):
            rule = "every key belongs to a table that is named by its account, 3 to 16 of A-Z and 0-9"
            complaints[""] = f"accounts file {path}: {_shown(ucc)}: {rule}"
            continue
        entry = cast("dict[str, Any]", about)
        files |= {file for key in _SECRETS if (file := sources.file_of(entry.get(key))) is not None}
        try:
            accounts[ucc] = _account(ucc, entry, sources)
        except _WrongAccountError as error:
            complaints[ucc] = f"accounts file {path}, account {ucc}: {error}"
    return AccountsToml(accounts, complaints, frozenset(files))


class _WrongAccountError(Exception):
    """An account cannot be used; the message names keys and rules."""


def _account(ucc: str, entry: dict[str, Any], sources: SecretSources) -> Credentials:
    wrong = [f"{_shown(key)}: is unknown" for key in entry if key not in _Entry.model_fields]
    found = dict(entry)
    for key in (key for key in _SECRETS if key in entry):
        try:
            found[key] = sources.value_of(entry[key])
        except SecretProblemError as error:
            wrong.append(f"{key}: {error}")
    if wrong:
        raise _WrongAccountError("; ".join(wrong))
    return _credentials(ucc, found)


def _credentials(ucc: str, found: dict[str, Any]) -> Credentials:
    try:
        entry = _Entry.model_validate(found)
    except ValidationError as error:
        complaint = complaints_of(error, "")
    else:
        missing = [key for key in _NEEDED[entry.login] if key not in entry.model_fields_set]
        if not missing:
            return Credentials(ucc=ucc, **{name: getattr(entry, name) for name in _Entry.model_fields})
        complaint = "; ".join(f"{key}: is missing, and login = {entry.login.value!r} needs it" for key in missing)
    raise _WrongAccountError(complaint)


def _shown(key: str) -> str:
    """Name a key only where it is a word: what stands in the wrong place may be a secret."""
    return key if _A_WORD.fullmatch(key) else "a key"


def _like(pattern: str, rule: str) -> AfterValidator:
    def check(secret: SecretStr) -> SecretStr:
        if not re.fullmatch(pattern, secret.get_secret_value()):
            raise ValueError(rule)
        return secret

    return AfterValidator(check)


def _as_base32(secret: SecretStr) -> SecretStr:
    """Take the secret as an authenticator shows it: in groups, in small letters, with padding or without."""
    text = secret.get_secret_value().replace(" ", "").upper().rstrip("=")
    if not re.fullmatch(r"[A-Z2-7]{16,}", text) or len(text) % 8 in (1, 3, 6):
        raise ValueError("must be base32 of at least 16 characters, as the broker shows it for an authenticator")
    return SecretStr(text)


_Variety = Annotated[Variety, Field(strict=False)]


class _Entry(BaseModel):
    """A table of the file, its secrets looked up."""

    model_config = {"extra": "forbid", "strict": True, "frozen": True, "hide_input_in_errors": True}

    login: Annotated[LoginKind, Field(strict=False)]
    mobile: Annotated[SecretStr, _like(r"\+[0-9]{8,15}", "must be + and 8 to 15 digits")] = SecretStr("")
    access_token: Annotated[SecretStr, _like(r"[!-~]+", "must be printable ASCII without blanks")] = SecretStr("")
    mpin: Annotated[SecretStr, _like(r"[0-9]{6}", "must be six digits")] = SecretStr("")
    totp_secret: Annotated[SecretStr, AfterValidator(_as_base32)] | None = None
    varieties: Annotated[frozenset[_Variety], Field(strict=False, min_length=1)] = frozenset(Variety)
    orders_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    reads_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    verify: bool | None = None
    watch_refused: bool | None = None
