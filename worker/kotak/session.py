"""A broker session: where to call and with which tokens. Tokens never show in a repr, a log line or an exception."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from worker.kotak.secrets import Secrets

__all__ = ["NEO_FIN_KEY", "Session", "Sessions"]

NEO_FIN_KEY: Final = "neotradeapi"


@dataclass(frozen=True, slots=True)
class Session:
    """One account's session: `base_url` as the login reply gave it, the session `sid` and the session token `auth`.

    Source of the headers: the specification, section 3; all five go on every call.
    """

    base_url: str
    sid: str = field(repr=False)
    auth: str = field(repr=False)

    def url(self, path: str) -> str:
        """Join by concatenation: the base may carry a path of its own, which URL joining would drop."""
        return self.base_url.rstrip("/") + path

    @property
    def secrets(self) -> Secrets:
        """What no text that comes from the broker may show."""
        return Secrets((self.sid, self.auth))

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The five headers of every call."""
        return [
            ("accept", "application/json"),
            ("Sid", self.sid),
            ("Auth", self.auth),
            ("neo-fin-key", NEO_FIN_KEY),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ]


class Sessions(Protocol):
    """Where sessions come from."""

    async def current(self, ucc: str) -> Session:
        """Hand out the account's session. Raises NoSessionError where there is none."""
        ...

    async def renew(self, ucc: str, stale: Session) -> Session | None:
        """Replace a session that the broker refused; None while no other is to be had. One renewal serves all callers."""
        ...
