"""A session as Redis keeps it, and what came of asking to log in."""

from dataclasses import dataclass, field

from worker.kotak.session import Session
from worker.sessions.vault import Vault

__all__ = ["Answer", "Full", "Granted", "Stopped", "Stored", "Wait", "read_stored"]

_UNSEALED = "-"


@dataclass(frozen=True, slots=True)
class Stored:
    """An account's session. `session` None: it is there, and this process cannot open it.

    A later login has a higher `fence`. `place` is the egress address that it works from, "-" where that is not known; times are
    seconds since the epoch; `made_by` is host and process.
    """

    ucc: str
    place: str
    fence: int
    made_at: float
    expires_at: float
    made_by: str
    session: Session | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float:
        """How long it lasts, from when it was made."""
        return self.expires_at - self.made_at

    def sealed(self, vault: Vault | None) -> str:
        """Write it for Redis; without a vault the session itself stays here."""
        sealed = _UNSEALED if vault is None or self.session is None else vault.seal(self.ucc, self.session)
        made_ms, expires_ms = int(self.made_at * 1000), int(self.expires_at * 1000)
        return f"{self.fence} {made_ms} {expires_ms} {self.made_by} {sealed}"


def read_stored(ucc: str, place: str, text: str, vault: Vault | None) -> Stored | None:
    """Read what Redis keeps; None where it is nothing that `sealed` wrote."""
    try:
        fence, made_ms, expires_ms, made_by, sealed = text.split(" ")
        times = int(made_ms) / 1000, int(expires_ms) / 1000
        return Stored(ucc, place, int(fence), *times, made_by, None if vault is None else vault.open(ucc, sealed))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Granted:
    """This process may log in, with this fence."""

    fence: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: `why` is `login` (another process logs in), `cool-down` or `failures`."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Not before the credentials change: the broker called them wrong too often. `trouble` is what it said last."""

    trouble: str


@dataclass(frozen=True, slots=True)
class Full:
    """Not from here: workers at so many other addresses have sessions of the account."""

    places: tuple[str, ...]


Answer = list[Stored] | Granted | Wait | Stopped | Full
"""What may be done for an account without a session: use one of these, log in, wait, or leave it."""
