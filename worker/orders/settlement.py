"""What the book's evidence settles: pure decisions on one order's cancel. No I/O, no clock of its own."""

from dataclasses import dataclass
from typing import Final, assert_never

from neo_cancel.order import Variety
from neo_cancel.record import Status
from worker.kotak.codes import Action
from worker.kotak.order_book import OrderState, Row
from worker.orders.finding import Finding
from worker.orders.steps import Finish, Look, Send, Step
from worker.orders.verdict import Verdict

__all__ = ["MISSING_LOOKS", "Case", "at_deadline", "settle"]


@dataclass(slots=True)
class Case:
    """What is known about one order's cancel, the memory that decisions rest on. Times are seconds since the epoch.

    `reply_status` is the status that the broker's last definite reply amounts to, None while there is none: it counts when the
    book cannot be read. `unsure`: some cancel of ours may have acted without our knowing. `objections` counts replies
    that said no in a way the book must explain. `missing` counts looks in a row that found a readable book without the
    order, `blind_looks` those in a row that showed no row at all. `looks` and `confirmed_working` count since the last
    send; `contradicted`: since then a row showed the order alive, so that an "Ok" cannot stand by itself any more. `last`
    is what the last reply asked for, `seen` the last thing a look gave.
    """

    variety: str
    reply_status: Status | None = None
    replied_at: float = 0.0
    unsure: bool = False
    first_sent_at: float | None = None
    objections: int = 0
    missing: int = 0
    blind_looks: int = 0
    looks: int = 0
    confirmed_working: int = 0
    contradicted: bool = False
    last: Action | None = None
    seen: Row | Finding | None = None

    def take(self, verdict: Verdict, now: float) -> None:
        """Remember a judged attempt."""
        self.looks = self.confirmed_working = 0
        self.contradicted = False
        self.last = verdict.action
        self.objections += verdict.action is Action.UNCLEAR
        reply_status = _REPLY_STATUS.get(verdict.action)
        if verdict.action is Action.UNCLEAR and self.unsure:
            reply_status = None  # an earlier cancel may have worked: this is what its success looks like
        self.unsure |= verdict.may_have_acted or verdict.action is Action.ACKNOWLEDGED
        if reply_status is not None or verdict.may_have_acted or verdict.action is Action.UNCLEAR:
            self.reply_status, self.replied_at = reply_status, now


_REPLY_STATUS: Final = {
    Action.ACKNOWLEDGED: Status.CANCELLED,
    Action.REFUSED: Status.REFUSED,
    Action.UNCLEAR: Status.REFUSED,
    Action.BLOCKED: Status.BLOCKED,
}


_LOOK_AGAIN: Final = Look()
_SEND_AGAIN: Final = Send()
CONTRADICTIONS: Final = 3
MISSING_LOOKS: Final = 2
GRACE_SECONDS: Final = 1.5


def settle(case: Case, finding: Row | Finding, *, now: float, window_seconds: float) -> Step:
    """Decide on what a look at the order gave.

    `window_seconds` is how long the book is waited for after a definite reply before that reply stands (specification,
    section 6: always check for "stat": "Ok").
    """
    case.seen = finding
    case.looks += 1
    if isinstance(finding, Row):
        case.missing = case.blind_looks = 0
        return _settle_row(case, finding, now)
    case.blind_looks += 1
    if finding is Finding.MISSING:
        case.missing += 1
        if case.missing >= MISSING_LOOKS and case.reply_status is not Status.CANCELLED and _has_other_evidence(case):
            return Finish(Status.NOT_FOUND, verified=True)
    if case.reply_status is Status.CANCELLED and case.contradicted:
        return _SEND_AGAIN if _may_repeat(case, now) else _LOOK_AGAIN
    if case.reply_status is not None:
        if now - case.replied_at >= window_seconds:
            return Finish(case.reply_status)
        return _LOOK_AGAIN
    # Nothing definite was ever heard. A regular cancel may be repeated, and its reply is evidence; an exit may not.
    return _SEND_AGAIN if case.variety == Variety.REGULAR else _LOOK_AGAIN


def _may_repeat(case: Case, now: float) -> bool:
    return case.variety == Variety.REGULAR and case.confirmed_working > 0 and now - case.replied_at >= GRACE_SECONDS


def _has_other_evidence(case: Case) -> bool:
    """Tell a missing order from a book that lacks it: the broker said no, too, or may not be asked by a second exit."""
    return case.objections > 0 or case.reply_status is Status.REFUSED or case.variety != Variety.REGULAR


def _settle_row(case: Case, row: Row, now: float) -> Step:
    match row.state:
        case OrderState.CANCELLED:
            return Finish(_whose_cancel(case, row), verified=True)
        case OrderState.FILLED:
            return Finish(Status.FILLED, verified=True)
        case OrderState.GONE:
            return Finish(Status.GONE, verified=True)
        case OrderState.CANCEL_PENDING:
            case.contradicted = True
            return _LOOK_AGAIN
        case OrderState.WORKING | OrderState.WORKING_AMO | OrderState.IN_FLIGHT | OrderState.NOT_CANCELLED:
            case.contradicted = True
            case.confirmed_working += 1
            return _settle_working(case, now)
        case _:  # pragma: no cover
            assert_never(row.state)


def _whose_cancel(case: Case, row: Row) -> Status:
    """Tell our cancel from somebody else's: by the broker's "Ok", or by when the order changed."""
    if case.reply_status is Status.CANCELLED:
        return Status.CANCELLED
    if not case.unsure:
        return Status.ALREADY_CANCELLED
    if row.changed_at is not None and case.first_sent_at is not None and row.changed_at < case.first_sent_at:
        return Status.ALREADY_CANCELLED
    return Status.CANCELLED


def _settle_working(case: Case, now: float) -> Step:
    if case.reply_status is Status.BLOCKED:
        return Finish(Status.BLOCKED, verified=True)
    if case.objections >= CONTRADICTIONS or case.last is Action.REFUSED:
        return Finish(Status.REFUSED, verified=True)
    if case.reply_status is Status.REFUSED:
        return _SEND_AGAIN
    if case.reply_status is Status.CANCELLED:
        # Acknowledged and not gone yet: the exchange may need a moment. "not cancelled" may be an older attempt's.
        return _SEND_AGAIN if now - case.replied_at >= GRACE_SECONDS else _LOOK_AGAIN
    if case.variety == Variety.REGULAR or case.confirmed_working >= MISSING_LOOKS:
        return _SEND_AGAIN
    return _LOOK_AGAIN


def at_deadline(case: Case) -> Step:
    """Decide when time is up: evidence, else the broker's word, else nothing is claimed."""
    if isinstance(case.seen, Row) and case.seen.state is OrderState.NOT_CANCELLED:
        return Finish(Status.REFUSED, verified=True)
    if case.reply_status is Status.CANCELLED and case.contradicted:
        return Finish(Status.UNKNOWN)
    if case.reply_status is not None:
        return Finish(case.reply_status)
    if case.unsure or case.objections:
        return Finish(Status.UNKNOWN)
    return Finish(Status.EXPIRED)
