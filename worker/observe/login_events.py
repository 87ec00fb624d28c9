"""What happens to the accounts' sessions, as values; see events.py. No event holds a token, a code or a key."""

from dataclasses import dataclass

from worker.observe.events import Event

__all__ = ["LoggedIn", "LoginFailed", "LoginNeeded", "LoginStopped", "SessionsNotShared", "TooManyPlaces"]


@dataclass(frozen=True, slots=True)
class LoggedIn(Event):
    """An account has a new session. `egress_ip`: from where the broker saw the login, and where the session works.

    `seconds`: how long the session lasts. `clock_ahead_seconds`: this machine's clock against the broker's; a wrong one makes
    wrong codes.
    """

    ucc: str
    egress_ip: str | None
    seconds: int
    clock_ahead_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LoginFailed(Event):
    """An account could not log in, for the so-manieth time in a row; the next attempt is made in so many seconds."""

    ucc: str
    trouble: str
    code: str | None
    text: str | None
    failures: int
    again_in_seconds: float
    to_do: str


@dataclass(frozen=True, slots=True)
class LoginStopped(Event):
    """The broker called an account's credentials wrong too often: none is sent any more before they change."""

    ucc: str
    trouble: str
    to_do: str


@dataclass(frozen=True, slots=True)
class LoginNeeded(Event):
    """An account whose codes a person types has no session: its orders wait."""

    ucc: str
    to_do: str


@dataclass(frozen=True, slots=True)
class TooManyPlaces(Event):
    """An account has sessions at two other egress addresses, and the broker allows no third: it is not served from here."""

    ucc: str
    places: tuple[str, ...]
    to_do: str


@dataclass(frozen=True, slots=True)
class SessionsNotShared(Event):
    """Sessions of this process cannot be used by others, or theirs by this one: each process logs in for itself."""

    text: str
    to_do: str
