"""What a patient worker knows of one order, and what follows from it."""

from dataclasses import dataclass, field
from typing import Final

from tests.simulation.habits import MOST_HIDDEN, MOST_LAG
from tests.simulation.records import Claim
from tests.simulation.truth import Life, Version
from tests.simulation.wire import Meaning

__all__ = ["WINDOW", "Case"]

WINDOW: Final = 10.0
_SURE: Final = MOST_LAG + 0.5


@dataclass(slots=True)
class Case:
    """What is known of an order under one claim; times are virtual. A record of many facts, hence its attributes."""

    claim: Claim
    since: float
    deadline: float
    variety: str
    amo: bool
    unsure: bool
    first_sent_at: float | None
    sends: int = 0
    replied_at: float | None = None
    ok_at: float | None = None
    no_at: float | None = None
    definite_at: float | None = None
    last: Meaning | None = None
    dead: Version | None = None
    alive: Version | None = None
    alive_begun_at: float = -1.0
    contradicted: bool = False
    misses: list[float] = field(default_factory=list)
    is_blocked: bool = False

    def see(self, version: Version, begun_at: float) -> None:
        """Take the row of a page whose read began at `begun_at`."""
        if version.life.is_dead:
            self.dead = self.dead or version
            return
        self.contradicted |= self.ok_at is not None and begun_at >= self.ok_at
        if begun_at > self.alive_begun_at:
            self.alive, self.alive_begun_at = version, begun_at

    def may_send(self, now: float) -> bool:
        """Tell whether a cancel can do no harm and is not known to be in vain."""
        row = self.alive
        if row is not None and row.life in (Life.IN_FLIGHT, Life.LEAVING):
            return False
        if self.definite_at is not None and not self._corrects():
            return False
        if self.replied_at is None:
            return (
                not self.unsure
                or self.alive_begun_at >= self.since + _SURE
                or (self.variety == "regular" and now > self.since + 2)
            )
        if self.alive_begun_at >= self.replied_at + _SURE:
            return True
        never_seen = row is None and self.last is not Meaning.OK and self.last is not Meaning.UNCLEAR
        return never_seen and self.variety == "regular" and now > self.replied_at + 2 * self.sends

    def _corrects(self) -> bool:
        """Take variety and AMO from the row, if one was seen; tell whether the request was wrong."""
        if self.alive is None:
            return False
        plan = self.claim.order.plan
        was_wrong = (self.variety, self.amo) != (plan.variety, plan.amo)
        if was_wrong:
            self.variety, self.amo = plan.variety, plan.amo
            self.definite_at = self.replied_at = None
        return was_wrong

    def settled(self, now: float) -> str | None:
        """Answer the status that the order ends with now, None while it must not end."""
        if self.dead is not None:
            return self._dead_status(self.dead)
        misses = self.misses
        if (
            self.alive is None
            and self.ok_at is None
            and misses
            and misses[-1] - misses[0] > MOST_HIDDEN + 0.5
            and len(misses) > 2
        ):
            return "not_found"
        if self.ok_at is not None and not self.contradicted and now >= self.ok_at + WINDOW and self.last is Meaning.OK:
            return "cancelled"
        is_refused = self.definite_at is not None and now >= self.definite_at + WINDOW and not self.unsure
        if is_refused and not self._corrects():
            return "refused"
        return self._at_deadline() if now >= self.deadline else None

    def _dead_status(self, row: Version) -> str:
        if row.life is not Life.CANCELLED:
            return str(row.life)
        first = self.first_sent_at
        if self.ok_at is None and not (
            self.unsure and first is not None and row.at + self.claim.order.clock_off >= first
        ):
            return "already_cancelled"
        return "cancelled"

    def _at_deadline(self) -> str:
        if self.claim.is_watched:
            return self._after_watch()
        if self.ok_at is not None and not self.contradicted:
            return "cancelled"
        if self.replied_at is None and self.last is None and not self.sends and not self.unsure:
            return "blocked" if self.is_blocked else "expired"
        is_fresh = self.replied_at is not None and self.alive_begun_at >= self.replied_at + _SURE
        if (self.definite_at or self.no_at) and not self.unsure and self.ok_at is None:
            return "refused"
        return "refused" if is_fresh and self.alive is not None and self.alive.life is Life.REFUSED else "unknown"

    def _after_watch(self) -> str:
        is_fresh = self.replied_at is not None and self.alive_begun_at >= self.replied_at + 1.0
        said_no = self.alive is not None and (self.alive.life is Life.REFUSED or self.definite_at or self.no_at)
        return "refused" if is_fresh and said_no else self.claim.status
