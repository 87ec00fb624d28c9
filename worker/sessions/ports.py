"""What the sessions' room needs of the accounts and of the broker's login."""

from collections.abc import Collection
from typing import Any, Protocol

from pydantic import SecretStr

from worker.kotak.session import Session

__all__ = ["AUTOMATIC", "EXTERNAL", "TYPED", "Credentials", "CredentialsBook", "LogsIn", "NewSession", "TotpSource"]

AUTOMATIC = "automatic"
TYPED = "typed"
EXTERNAL = "external"


class Credentials(Protocol):
    """What one account logs in with. Everything secret hides itself."""

    @property
    def ucc(self) -> str:
        """The client account."""
        ...

    @property
    def login(self) -> str:
        """`automatic`, `typed` (a person types the code) or `external` (sessions come from the accounts file)."""
        ...

    @property
    def totp_secret(self) -> SecretStr | None:
        """What codes are made from; None where a person has them."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes with any secret, and tells none."""
        ...


class CredentialsBook(Protocol):
    """The accounts that log in, as the accounts file names them now."""

    def of(self, ucc: str) -> Credentials | None:
        """Answer an account's credentials; None where there are none. Asked for every order without a session."""
        ...

    def all(self) -> Collection[Credentials]:
        """Answer all of them."""
        ...


class NewSession(Protocol):
    """What a login gave."""

    @property
    def session(self) -> Session:
        """The session."""
        ...

    @property
    def expires_at(self) -> float:
        """When it ends, in seconds since the epoch."""
        ...

    @property
    def egress_ip(self) -> str | None:
        """From which address the broker saw the login; None where it does not say."""
        ...

    @property
    def clock_skew(self) -> float | None:
        """How many seconds this machine's clock is ahead of the broker's; None where that is not known."""
        ...


class LogsIn(Protocol):
    """The broker's login."""

    async def log_in(self, credentials: Any, code: str) -> NewSession:
        """Log in once, with all its calls; the credentials are the book's, with more in them than this room knows.

        What it raises is a failed attempt. An error's `kind`, an Enum, says by its name what went wrong: `WRONG_...` for
        credentials that the broker refused, `NOT_WHITELISTED`, `TRANSIENT` or another; `code` and `text` are the broker's.
        """
        ...


class TotpSource(Protocol):
    """One-time codes."""

    async def next_code(self, secret: SecretStr) -> str:
        """Answer a code that this process has not used. Waits while there is none."""
        ...
