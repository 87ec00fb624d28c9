"""Sessions sealed for Redis, which never sees one in clear, nor the key."""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from config.settings import ConfigurationError
from worker.kotak.session import Session

__all__ = ["Vault", "local_vault", "new_key", "open_vault"]

_KEYS: Final = "NEO_CANCEL_SESSION_KEYS"
_OTHERS: Final = 0o077
_RULE: Final = "is no session key: make one with `python -m worker.session_key`"


class Vault:
    """Seals with the first key, opens with any: a new key is put in front, and the old one taken away when its sessions ended.

    Raises ConfigurationError for a wrong key, which it names by its place, and for no key at all.
    """

    def __init__(self, keys: Sequence[SecretStr], where: str = _KEYS) -> None:
        if not keys:
            raise ConfigurationError(f"{where}: has no key in it")
        self._fernet = MultiFernet([_fernet(key, f"{where}, key {n}") for n, key in enumerate(keys, start=1)])

    def seal(self, ucc: str, session: Session) -> str:
        """Seal an account's session, for no other account."""
        return self._fernet.encrypt(orjson.dumps([ucc, session.base_url, session.sid, session.auth])).decode()

    def open(self, ucc: str, sealed: str) -> Session | None:
        """Open an account's session; None where none of the keys fits, or it is another account's."""
        try:
            owner, *parts = orjson.loads(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError):
            return None
        return Session(*parts) if owner == ucc else None


def new_key() -> str:
    """Make a key."""
    return Fernet.generate_key().decode()


def open_vault(keys: SecretStr | None, key_file: Path | None) -> Vault | None:
    """Make the vault of this process: keys divided by commas, or a file with one a line, the newest first; None without either.

    Raises ConfigurationError, which names variable or file, the key's place and the rule, never a key.
    """
    if keys is not None and keys.get_secret_value().strip():
        return Vault(_divided(keys.get_secret_value().split(",")))
    if key_file is None:
        return None
    where = f"session key file {key_file}"
    try:
        mode, text = stat.S_IMODE(key_file.stat().st_mode), key_file.read_text()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{where}: {getattr(error, 'strerror', None) or type(error).__name__}") from None
    if mode & stat.S_IRWXO:
        raise ConfigurationError(
            f"{where} must be for its owner alone, who may open it to a group: it has mode {mode:03o}; "
            f"`chmod 600 {key_file}`"
        )
    return Vault(_divided(text.splitlines()), where)


def local_vault(folder: Path) -> Vault | None:
    """Make a vault whose key stays in `folder`, so that this host's processes share sessions; None where it cannot be kept.

    The first process makes folder and key, for their owner alone. What another user could have put there is not used.
    """
    key_file = folder / "session-key"
    draft = folder / f"session-key.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
        if about.st_uid != os.getuid() or about.st_mode & _OTHERS or not stat.S_ISDIR(about.st_mode):
            return None
        if not key_file.exists():
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(new_key())
            with contextlib.suppress(FileExistsError):  # another process was first
                os.link(draft, key_file)
            draft.unlink()
        return open_vault(None, key_file)
    except (OSError, ConfigurationError):
        return None


def _divided(keys: Sequence[str]) -> list[SecretStr]:
    return [SecretStr(key.strip()) for key in keys if key.strip() and not key.lstrip().startswith("#")]


def _fernet(key: SecretStr, where: str) -> Fernet:
    try:
        return Fernet(key.get_secret_value())
    except ValueError:
        raise ConfigurationError(f"{where} {_RULE}") from None
