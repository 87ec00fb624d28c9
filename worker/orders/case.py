"""What is known of one order's cancel: everything that was heard and seen, with its time."""

from dataclasses import dataclass
from typing import Final

from neo_cancel.order import Variety
from neo_cancel.record import Status
from worker.kotak.codes import Action
from worker.kotak.order_book import OrderState, Row
from worker.orders.finding import Finding, LookResult
from worker.orders.verdict import Verdict

__all__ = ["OBJECTIONS", "Case"]

OBJECTIONS: Final = 3
"""So many replies that say no, against a book that shows the order alive, are believed once the book has had its time."""

_AMOUNTS_TO: Final = {
    Action.REFUSED: Status.REFUSED,
    Action.UNCLEAR: Status.REFUSED,
    Action.BLOCKED: Status.BLOCKED,
    Action.RENEW: Status.BLOCKED,
    Action.MEND: Status.BLOCKED,
}

_ANSWERS: Final = frozenset({Action.ACKNOWLEDGED, Action.UNCLEAR, Action.REFUSED})


@dataclass(slots=True)
class Case:
    """The memory that decisions rest on. Times are seconds since the epoch; a time is 0 where the thing never happened.

    It has one attribute for each thing that a rule asks for: what was seen or heard once must not be forgotten.

    `accepted_at`: when the cancel was asked for. `has_left`: something was sent that the broker looked at. `unsure`: some
    cancel of ours may have acted without our knowing; `was_unsure`: some cancel before the last one.
    `last`, `last_at`, `last_sent_at`: what the last reply asked for, when it came, and when its cancel was sent. `proof_from`:
    what a row proves must be younger than that.
    `oks`, `ok_at`: how many cancels the broker acknowledged, and the last time. `objections`, `objected_at`: replies that said no
    in a way the book must explain, and the first time; `early_objections`: those while the book showed the order on its way.
    `answers`: how many cancels were answered. `row`, `row_began_at`: the last row that was seen, and when the read that
    showed it began; a dead row stays. `was_seen`: some page had the order, perhaps in another process. `is_contradicted`: a page
    that was read after an "Ok" shows the order alive, so that no "Ok" can stand by itself any more. `misses`: reads in a row of
    a book that has other orders, with the times of the first and the last. `looks` counts
    since the last send, `blind_looks` looks in a row that showed no row. `seen` is the last thing a look gave.
    """

    variety: str
    accepted_at: float = 0.0
    has_left: bool = False
    unsure: bool = False
    was_unsure: bool = False
    first_sent_at: float | None = None
    last: Action | None = None
    last_at: float = 0.0
    last_sent_at: float = 0.0
    proof_from: float = 0.0
    oks: int = 0
    ok_at: float | None = None
    objections: int = 0
    objected_at: float = 0.0
    early_objections: int = 0
    answers: int = 0
    row: Row | None = None
    row_began_at: float = 0.0
    was_seen: bool = False
    is_contradicted: bool = False
    misses: int = 0
    first_miss_at: float = 0.0
    last_miss_at: float = 0.0
    looks: int = 0
    blind_looks: int = 0
    seen: Row | Finding | None = None

    @property
    def is_in_flight(self) -> bool:
        """The book shows the order on its way: the broker refuses its cancel in words that mean something else."""
        return self.row is not None and self.row.state is OrderState.IN_FLIGHT

    @property
    def reply_status(self) -> Status | None:
        """What the broker's word amounts to while the book is silent; None where it said nothing definite."""
        if self.ok_at is not None:
            return None if self.is_contradicted else Status.CANCELLED
        if self.was_unsure or self.last is None:
            return None  # an earlier cancel may have worked: a "no" is what its success looks like
        return _AMOUNTS_TO.get(self.last)

    @property
    def may_be_repeated(self) -> bool:
        """Another send cannot do harm: a plain cancel never does, an exit does not while no other one may have acted."""
        return self.variety == Variety.REGULAR or not self.unsure

    def is_proof(self, window: float) -> bool:
        """Tell whether the last row shows the order as it was after the last reply, however far its page was behind."""
        return self.row_began_at - self.proof_from >= window

    @property
    def is_refused_by_exchange(self) -> bool:
        """The row says "not cancelled", and by its own time it says so of the last cancel."""
        row = self.row
        if row is None or row.state is not OrderState.NOT_CANCELLED or row.changed_at is None:
            return False
        return row.changed_at >= self.last_sent_at

    def has_been_asked(self, now: float, window: float) -> bool:
        """Tell whether the broker has said no so often, and for so long, that asking again is of no use; see is_in_flight."""
        return self.objections >= OBJECTIONS and now - self.objected_at >= window

    def take(self, verdict: Verdict, now: float) -> None:
        """Remember a judged attempt."""
        did_nothing = verdict.action in (Action.REFUSED, Action.BLOCKED)
        if not (did_nothing and verdict.action is self.last):
            self.proof_from = now
        self.last, self.last_at, self.looks = verdict.action, now, 0
        if verdict.action is Action.ACKNOWLEDGED:
            self.oks += 1
            self.ok_at = now
        elif verdict.action is Action.UNCLEAR and self.is_in_flight:
            self.early_objections += 1
        elif verdict.action is Action.UNCLEAR:
            self.objected_at = self.objected_at or now
            self.objections += 1
        self.answers += verdict.action in _ANSWERS
        self.was_unsure = self.unsure
        self.has_left |= verdict.has_left and not verdict.is_turned_away
        self.unsure |= verdict.may_have_acted or verdict.action is Action.ACKNOWLEDGED

    def note(self, result: LookResult) -> None:
        """Remember what a look gave."""
        self.looks += 1
        self.seen = result.finding
        if isinstance(result.finding, Row):
            self.misses = self.blind_looks = 0
            self.was_seen = True
            self.see(result.finding, result.began_at)
            return
        self.blind_looks += 1
        if result.finding is Finding.MISSING:
            self.miss(result.began_at)

    def miss(self, began_at: float) -> None:
        """Remember a whole book without the order, also one that no look asked for; each book counts once.

        A read that began before the order was accepted proves nothing, whenever its answer came.
        """
        if began_at < self.accepted_at:
            return
        if began_at <= self.last_miss_at:
            self.first_miss_at = min(self.first_miss_at, began_at)
            return
        self.misses += 1
        self.last_miss_at = began_at
        self.first_miss_at = self.first_miss_at if self.misses > 1 else began_at

    def see(self, row: Row, began_at: float) -> None:
        """Remember a row, also one that no look asked for. No order comes back to life: after a dead row no other one counts.

        Of two rows that show it alive the one counts whose read began later, whichever came first.
        """
        self.was_seen = True
        if self.row is not None and not self.row.state.is_alive:
            return
        self.is_contradicted |= row.state.is_alive and self.ok_at is not None and began_at > self.ok_at
        if began_at >= self.row_began_at or not row.state.is_alive:
            self.row, self.row_began_at = row, began_at

    def forget_replies(self, variety: str) -> None:
        """Begin anew with what the book says the order is: what was sent went the wrong way."""
        self.variety, self.last, self.objections, self.objected_at = variety, None, 0, 0.0
        self.ok_at, self.oks = None, 0
