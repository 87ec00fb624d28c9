"""Settings from the environment (NEO_CANCEL_...) and the accounts file, read once where a process starts."""

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.lenient_json import read_leniently
from config.session_parts import Address, Token, as_address
from neo_cancel.namespace import DEFAULT_NAMESPACE, NAMESPACE_PATTERN
from neo_cancel.order import DEFAULT_DEADLINE_SECONDS

__all__ = [
    "LOCAL_REDIS_URL_FILE",
    "LONGEST_LEASE_SECONDS",
    "Account",
    "ConfigurationError",
    "FileUnavailableError",
    "Settings",
    "complaints_of",
    "load_accounts",
    "load_settings",
    "read_accounts",
]

LOCAL_REDIS_URL_FILE = Path("var/redis-url")
_HASTIEST: Final = min(DEFAULT_DEADLINE_SECONDS, key=DEFAULT_DEADLINE_SECONDS.__getitem__)
LONGEST_LEASE_SECONDS: Final = DEFAULT_DEADLINE_SECONDS[_HASTIEST] / 3


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message names it and the remedy, without its value if that is a secret."""


class FileUnavailableError(ConfigurationError):
    """A file is missing or cannot be opened; a moment later it may be there."""


def _as_lease(seconds: float) -> float:
    """Refuse a lease after which a dead worker's orders have no time left.

    They are taken over after one lease, or two where the ledger was away, and need the last third for the work.
    """
    if seconds > LONGEST_LEASE_SECONDS:
        raise ValueError(
            f"must be at most {LONGEST_LEASE_SECONDS:g}, a third of the {_HASTIEST} lane's default deadline: "
            "the orders of a worker that died would end before another one may take them over"
        )
    return seconds


def _as_login_url(url: str, about: ValidationInfo) -> str:
    """Refuse an address that would take access tokens, codes and MPINs in clear."""
    return as_address(url, _names(about.data.get("plain_http_hosts")), "credentials")


class Account(BaseModel):
    """One client account. `base_url` is what the broker's login reply gave; `sid` and `auth` are the session's tokens.

    `base_url` is https, except to this machine and to hosts that are given as the validation's context. An account
    whose `sid` and `auth` are blank has no session. `orders_per_second`, `verify` and `watch_refused`
    override the process's settings; None takes those. A rate of 0 is no limit.
    """

    model_config = {"extra": "forbid", "frozen": True}

    base_url: Address
    sid: Token
    auth: Token
    orders_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    verify: bool | None = None
    watch_refused: bool | None = None

    @property
    def has_session(self) -> bool:
        """Whether there are both tokens; where they are, there is an address."""
        return bool(self.sid.get_secret_value() and self.auth.get_secret_value())

    @property
    def blank_parts(self) -> list[str]:
        """Name what is blank beside a token that is not; none where the whole session is blank, or nothing of it."""
        tokens = {"sid": self.sid.get_secret_value(), "auth": self.auth.get_secret_value()}
        parts = {"base_url": self.base_url, **tokens}
        return [name for name, part in parts.items() if not part] if any(tokens.values()) else []


class Settings(BaseSettings):
    """Every setting of a worker. Durations in seconds."""

    model_config = SettingsConfigDict(env_prefix="NEO_CANCEL_", frozen=True, extra="ignore")

    redis_url: str | None = Field(None, description="redis, rediss, unix or sentinel; None: the embedded server")
    namespace: str = Field(
        DEFAULT_NAMESPACE,
        pattern=NAMESPACE_PATTERN,
        description="stands in front of every key; services with different ones share a database",
    )
    accounts_file: Path = Field(Path("var/accounts.json"), description="JSON object: account (UCC) -> Account")
    plain_http_hosts: str | None = Field(
        None, description="hosts, divided by commas, that sessions may go to over http://"
    )
    accounts_toml: Path = Field(Path("var/accounts.toml"), description="accounts that log in, and their credentials")
    login_url: Annotated[str, AfterValidator(_as_login_url)] = Field(
        "https://mis.kotaksecurities.com", description="where accounts log in"
    )
    login_hosts: str | None = Field(
        None, description="hosts, divided by commas, that a login may name as `baseUrl` besides the broker's own"
    )

    orders_per_second: float = Field(
        8.0, ge=0, description="order calls of one account in any rolling second; 0: no limit"
    )
    reads_per_second: float = Field(2.0, gt=0, description="order-book reads of one account, over all workers")
    calls_at_once: int = Field(
        64, ge=1, description="calls in flight of one process; risk orders may have an eighth more"
    )
    account_calls_at_once: int = Field(
        16, ge=1, description="calls in flight of one account in one process; risk orders may have a quarter more"
    )
    account_orders_at_once: int = Field(400, ge=100, description="orders of one account in one process; the rest waits")
    orders_at_once: int = Field(
        20_000, ge=100, description="orders in one process; beyond it, messages wait for a thread"
    )
    connect_timeout: float = Field(2.0, gt=0)
    read_timeout: float = Field(4.0, gt=0)
    call_timeout: float = Field(6.0, gt=0, description="a cancel, from connecting to the last byte")
    book_timeout: float = Field(8.0, gt=0, description="an order-book read")

    verify: bool = Field(True, description="check every acknowledged cancel in the order book")
    verification_window: float = Field(
        10.0, ge=0, description="how long the book is waited for before the reply stands"
    )
    watch_interval: float = Field(5.0, gt=0, description="between two looks at an order that ended unknown")
    watch_refused: bool = Field(False, description="watch orders that ended refused, too")
    backoff: float = Field(0.1, gt=0, description="the first pause between tries is random between 0 and this")
    backoff_most: float = Field(5.0, gt=0)

    lease: Annotated[float, AfterValidator(_as_lease)] = Field(
        2.5, ge=0.5, description="how long other workers wait for a silent one before they take its orders over"
    )
    gather: float = Field(0.03, ge=0, description="least time between two writes to the ledger")
    time_to_live: int = Field(7 * 86_400, ge=60, description="how long records are kept")
    shutdown: float = Field(8.0, gt=0, description="how long calls in flight may take to end at shutdown")
    unhealthy: float = Field(
        90.0, ge=1, description="how long a node may be unhealthy before `--respawn` puts another in its place"
    )

    threads: int = Field(64, ge=1, description="messages in work at once in one process")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    session_keys: SecretStr | None = Field(
        None, description="keys that seal sessions in Redis, divided by commas, the newest first"
    )
    session_key_file: Path | None = Field(None, description="a file of such keys, one a line, in their place")
    login_cool_down: float = Field(
        45.0, ge=0, description="between the beginnings of two logins of an account, over all workers"
    )
    warm_at: str = Field(
        "08:30",
        pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="from this time on, in India on weekdays, sessions are made before they are needed",
    )

    @cached_property
    def http_hosts(self) -> Collection[str]:
        """The hosts in `plain_http_hosts`, in lower case."""
        return _names(self.plain_http_hosts)

    @cached_property
    def trusted_hosts(self) -> Collection[str]:
        """The hosts in `login_hosts`, in lower case."""
        return _names(self.login_hosts)

    @cached_property
    def resolved_redis_url(self) -> str:
        """The server to use: the configured one, else the embedded one that is running here.

        Raises ConfigurationError when there is neither.
        """
        if self.redis_url:
            return self.redis_url
        try:
            return LOCAL_REDIS_URL_FILE.read_text().strip()
        except FileNotFoundError:
            raise ConfigurationError(
                "no Redis: set NEO_CANCEL_REDIS_URL, or start the embedded server with `make up`"
            ) from None


def _names(listed: str | None) -> Collection[str]:
    return frozenset(name.strip().lower() for name in (listed or "").split(",") if name.strip())


def load_settings() -> Settings:
    """Read the environment. Raises ConfigurationError naming the variable and the rule."""
    try:
        return Settings()  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        raise ConfigurationError(complaints_of(error, "NEO_CANCEL_")) from None


def load_accounts(path: Path, http_hosts: Collection[str] = ()) -> dict[str, Account]:
    """Read the accounts file, all of it right. Raises ConfigurationError naming file, account and rule, never a token."""
    accounts, complaints = read_accounts(path, http_hosts)
    for complaint in complaints.values():
        raise ConfigurationError(complaint)
    return accounts


def read_accounts(path: Path, http_hosts: Collection[str] = ()) -> tuple[dict[str, Account], dict[str, str]]:
    """Read the accounts file: the accounts that can be used, and what is wrong with accounts in it, never a token.

    `http_hosts` may be spoken to without TLS, besides this machine.
    An account with one token blank and the other not is among both: it has no session, which may not be meant. Raises
    ConfigurationError where no account can be read, FileUnavailableError where the file is missing or cannot be opened.
    """
    try:
        read: Any = read_leniently(path)
    except OSError as error:
        raise FileUnavailableError(f"accounts file {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"accounts file {path} is no JSON: {type(error).__name__}") from None
    if not isinstance(read, dict):
        raise ConfigurationError(f"accounts file {path}: must be a JSON object of accounts")
    accounts: dict[str, Account] = {}
    complaints: dict[str, str] = {}
    for ucc, about in cast("dict[str, Any]", read).items():
        where = f"accounts file {path}, account {ucc}"
        try:
            account = Account.model_validate(about, context=http_hosts)
        except ValidationError as error:
            complaints[ucc] = f"{where}: {complaints_of(error, '')}"
            continue
        if blank := account.blank_parts:
            complaints[ucc] = f"{where}: {blank[0]}: must not be blank beside a token"
        if "base_url" not in blank:
            accounts[ucc] = account
    return accounts, complaints


def complaints_of(error: ValidationError, prefix: str) -> str:
    """Name each wrong part of what pydantic refused, and its rule, without the value: it may be a token."""
    complaints = [
        f"{prefix}{'.'.join(map(str, part['loc'])).upper() if prefix else '.'.join(map(str, part['loc']))}: {part['msg']}"
        for part in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(complaints)
