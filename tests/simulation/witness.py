"""What one process was shown of one order while it held it: all that a judge may expect it to know."""

import math
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.accounts import Request
from tests.simulation.book import Page
from tests.simulation.meters import Read
from tests.simulation.records import Claim
from tests.simulation.truth import Life, Order, Version
from tests.simulation.wire import Answer, Meaning

__all__ = ["Violation", "Witness"]

_MAY_HAVE_ACTED: Final = frozenset({Meaning.SILENCE, Meaning.TRANSIENT, Meaning.UNLISTED, Meaning.STRANGER, Meaning.OK})
_OBJECTIONS: Final = frozenset({Meaning.UNCLEAR, Meaning.UNLISTED})
_WITHOUT_EFFECT: Final = frozenset({Meaning.NOT_SENT, Meaning.SESSION, Meaning.TOO_FAST, Meaning.BLOCKED})
_ANSWERED: Final = _OBJECTIONS | {Meaning.OK, Meaning.DEFINITE}


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: which one (a name in rules.py or judge.py), for which order, by which process, when."""

    kind: str
    number: str
    process: str
    at: float
    text: str


@dataclass(slots=True)
class Witness:
    """One claim's knowledge; it begins empty but for what the ledger's record says. Times are virtual, None means never.

    `ok_at`, `definite_at`, `no_at`: the first reply of that kind; `no_at` also counts a row "not cancelled". `left`: sends that
    may have had an effect. `unsure`: one of them may have cancelled. `is_misled`: the last refusal for good was the wrong
    endpoint's, which a row would tell. `is_blocked`: the account was heard to be blocked, or has no session.
    `dead_shown`: the terminal version in the first page that showed one; `is_time_shown`: with the time of its change.
    `alive_after_ok`: a page whose read began after an "Ok" showed the order alive. `misses`: when reads began that gave
    a whole book without the order. `flights`: when a call was under way.
    `doubt_at`: the last outcome after which an exit must not be sent unread.
    """

    claim: Claim
    process: str
    since: float
    sends: int = 0
    left: int = 0
    first_sent_at: float | None = None
    ok_at: float | None = None
    definite_at: float | None = None
    is_misled: bool = False
    no_at: float | None = None
    is_blocked: bool = False
    unsure: bool = False
    last: Meaning | None = None
    dead_shown: Version | None = None
    dead_shown_at: float | None = None
    is_time_shown: bool = False
    alive_shown: Version | None = None
    alive_after_ok: bool = False
    was_shown: bool = False
    page_after_ok_at: float | None = None
    misses: list[float] = field(default_factory=list)
    doubt_at: float | None = None
    flights: list[tuple[float, float]] = field(default_factory=list)
    requests: dict[int, Request] = field(default_factory=dict)

    @property
    def order(self) -> Order:
        return self.claim.order

    @property
    def is_refused(self) -> bool:
        """A refusal for good was heard, and no row said that another endpoint should have been asked."""
        return self.definite_at is not None and not (self.is_misled and self.was_shown)

    @property
    def may_have_sent(self) -> bool:
        """This process, or an earlier one, may have had the order cancelled."""
        return self.unsure or self.claim.maybe_sent

    @property
    def sent_since(self) -> float:
        """When a cancel of ours may first have reached the broker; the acceptance, where an earlier process did not say."""
        if self.claim.maybe_sent:
            return self.order.accepted_at
        return self.order.accepted_at if self.first_sent_at is None else self.first_sent_at

    def seconds_in_flight(self, since: float, until: float) -> float:
        """Add up how long a cancel was under way in this time."""
        return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in self.flights)

    def send(self, call: int, request: Request, now: float) -> None:
        self.flights.append((now, math.inf))
        self.sends += 1
        self.left += 1
        self.requests[call] = request
        if self.first_sent_at is None:
            self.first_sent_at = now

    def hear(self, answer: Answer, now: float, *, is_misled: bool) -> None:
        """Take the reply to one of this claim's cancels; `is_misled` as the attribute, of this one."""
        meaning = self.last = answer.meaning
        self.flights[-1:] = [(begin, now) for begin, _ in self.flights[-1:]]
        self.left -= meaning in _WITHOUT_EFFECT
        if meaning is Meaning.OK:
            self.ok_at = now if self.ok_at is None else self.ok_at
        elif meaning is Meaning.DEFINITE:
            self.is_misled = is_misled
            self.definite_at = now if self.definite_at is None else self.definite_at
        elif meaning is Meaning.BLOCKED:
            self.is_blocked = True
        if meaning in _OBJECTIONS:
            self.no_at = now if self.no_at is None else self.no_at
        if meaning in _MAY_HAVE_ACTED:
            self.unsure, self.doubt_at = True, now

    def see(self, version: Version, now: float, read: Read, page: Page) -> None:
        """Take a row of today from a page."""
        begun_at = read.begun_at
        self.was_shown = True
        if self.page_after_ok_at is None and self.ok_at is not None and begun_at >= self.ok_at:
            self.page_after_ok_at = now
        if version.life.is_dead:
            if self.dead_shown is None:
                self.dead_shown, self.dead_shown_at = version, now
                self.is_time_shown = not page.is_timeless
            return
        self.alive_shown = version
        if self.ok_at is not None and begun_at >= self.ok_at:
            self.alive_after_ok = True
        if version.life is Life.REFUSED:
            self.no_at = now if self.no_at is None else self.no_at
        if self.doubt_at is not None and begun_at >= self.doubt_at:
            self.doubt_at = None


def counts(meaning: Meaning) -> bool:
    """Whether a send that was answered so counts against the number of sends an order may cost."""
    return meaning in _ANSWERED
