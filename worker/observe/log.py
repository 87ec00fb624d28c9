"""The log as a subscriber of the events: one line an event, with its level, its words and what somebody should do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

from worker.observe import events, login_events
from worker.observe.events import Event, Publish

__all__ = ["LINES", "Line", "Log", "log_subscriber"]

_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40
_METHODS: Final = {_DEBUG: "debug", _INFO: "info", _WARNING: "warning", _ERROR: "error"}


class Log(Protocol):
    """A structured log."""

    def debug(self, event: str, **facts: Any) -> None:
        """Say what is normal."""
        ...

    def info(self, event: str, **facts: Any) -> None:
        """Say what happened."""
        ...

    def warning(self, event: str, **facts: Any) -> None:
        """Say what may do harm later."""
        ...

    def error(self, event: str, **facts: Any) -> None:
        """Say what somebody must look at."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """How one kind of event reads: its words, its level, and what to do about it; None where the event itself says."""

    words: str
    level: Callable[[Any], int] = lambda _: _INFO
    to_do: str | None = None


_FAR_SECONDS: Final = 5.0
"""A clock that is further off may make codes that the broker refuses."""


def _always_error(_: Event) -> int:
    return _ERROR


def _is_far(seconds: float | None) -> bool:
    return seconds is not None and abs(seconds) >= _FAR_SECONDS


LINES: Final[Mapping[type[Event], Line]] = {
    events.Attempted: Line("attempt", lambda event: _DEBUG if event.verdict == "acknowledged" else _INFO),
    events.Ended: Line(
        "final", lambda event: _ERROR if event.status == "unknown" else _INFO, "check it with the broker"
    ),
    events.ExchangeRefused: Line("cancel refused by the exchange"),
    events.Corrected: Line("request corrected by the book"),
    events.UnlistedCode: Line(
        "first seen broker code",
        _always_error,
        "find out what it means and add it to worker/kotak/codes.py; until then orders that get it are read",
    ),
    events.AccountBlocked: Line("account blocked: no cancel can be sent from here", _always_error),
    events.BrokerUnreachable: Line("broker cannot be reached", _always_error),
    events.AccountSlowed: Line("account slowed down"),
    events.AccountsUnreadable: Line("accounts file not readable", _always_error),
    events.AccountsExposed: Line("accounts file open to others", lambda _: _WARNING),
    login_events.LoggedIn: Line("logged in", lambda event: _WARNING if _is_far(event.clock_ahead_seconds) else _INFO),
    login_events.LoginFailed: Line("login failed", _always_error),
    login_events.LoginStopped: Line("no login any more: wrong credentials", _always_error),
    login_events.LoginNeeded: Line("login needed: a person must type a code", _always_error),
    login_events.TooManyPlaces: Line("account not served from here", _always_error),
    login_events.SessionsNotShared: Line("sessions are not shared", lambda _: _WARNING),
    events.LeaseTaken: Line("lease taken"),
    events.LeaseLost: Line("lease lost: orders are left to other workers", _always_error, "none"),
    events.LedgerAway: Line("ledger away", _always_error, "check Redis"),
    events.PoisonRemoved: Line(
        "dead letter: workers died when they took this order", _always_error, "check it with the broker"
    ),
    events.LedgerUnsafe: Line("redis check", lambda _: _WARNING),
    events.Superseded: Line("result left to a newer owner"),
    events.NotGivenBack: Line("orders not given back: recovery will", _always_error, "check Redis"),
    events.Recovered: Line("orders put back into their queues"),
    events.MessageRefused: Line("message refused: a dead letter", _always_error, "mend the sender"),
    events.Refused: Line("refused: a dead letter", _always_error, "mend the sender"),
    events.InternalError: Line("internal error", _always_error, "report it; an order named here is watched"),
}
"""Every kind of event; `to_do` is shown with errors only."""


def log_subscriber(log: Log, *, level: int = _INFO) -> Publish:
    """Make a subscriber that writes events to `log`; below `level` (as in logging) it does not even look at the facts."""

    def write(event: Event) -> None:
        line = LINES[type(event)]
        severity = line.level(event)
        if severity < level:
            return
        facts = {name: value for name in _NAMES[type(event)] if (value := getattr(event, name)) is not None}
        if severity == _ERROR and line.to_do is not None:
            facts["to_do"] = line.to_do
        getattr(log, _METHODS[severity])(line.words, **facts)

    return write


_NAMES: Final[dict[type[Event], tuple[str, ...]]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in LINES
}
