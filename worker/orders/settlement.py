"""What is known of an order: what was heard, what was seen, and how old that is. Pure decisions, no I/O, no clock.

The rules stand as a table in ARCHITECTURE.md ("What is known of an order"); the functions here follow it line by line.
A dead row is a proof whenever it was read, since no order comes back to life. A row that shows the order alive proves
that only for the time its page was of, and a page may be up to `window` seconds old when it comes.
"""

from typing import Final, assert_never

from neo_cancel.order import Variety
from neo_cancel.record import Status
from worker.kotak.codes import Action
from worker.kotak.order_book import OrderState, Row
from worker.orders.case import OBJECTIONS, Case
from worker.orders.finding import LookResult
from worker.orders.steps import Finish, Look, Send, Step

__all__ = ["MISSES", "MISSING_SECONDS", "at_deadline", "proven_end", "settle"]

_LOOK_AGAIN: Final = Look()
_SEND_AGAIN: Final = Send()
OKS: Final = 5
"""So many acknowledged cancels of one order that lives on are enough: the exchange refuses them."""
MISSES: Final = 3
MISSING_SECONDS: Final = 5.0
"""So long whole books must lack an order that the broker has not acknowledged, and that no page ever had.

The last of them must show the book as it was after the order was accepted, however far a page is behind: an order exists
before its cancel is asked for.
"""
CLOCK_SECONDS: Final = 0.05
"""So far the broker's clock may be off; beside that, some give times in whole seconds."""
GRACE_SECONDS: Final = 1.5
BLOCKED_SECONDS: Final = 5.0


def settle(case: Case, result: LookResult, *, now: float, window: float) -> Step:
    """Decide on a look. `window`: how many seconds a page may be behind, and how long the book is waited for."""
    case.note(result)
    if isinstance(result.finding, Row) and case.row is not None:
        if (end := proven_end(case)) is not None:
            return end
        return _alive(case, case.row, now=now, window=window)
    if _is_nowhere(case, window):  # by the pages of other orders' looks, too
        return Finish(Status.NOT_FOUND, verified=True)
    return _blind(case, began_at=result.began_at, window=window)


def at_deadline(case: Case, *, window: float) -> Finish:
    """Decide when time is up: proof, else the broker's word where the book never spoke against it, else nothing is claimed."""
    if (end := proven_end(case)) is not None:
        return end
    if _is_nowhere(case, window):
        return Finish(Status.NOT_FOUND, verified=True)
    was_sent = case.has_left or case.unsure
    is_not_cancelled = case.row is not None and case.row.state is OrderState.NOT_CANCELLED
    if was_sent and (case.is_refused_by_exchange or (is_not_cancelled and case.is_proof(window))):
        return Finish(Status.REFUSED, verified=True)
    if case.ok_at is not None:
        return Finish(Status.UNKNOWN if case.is_contradicted else Status.CANCELLED)
    if case.last is Action.UNCLEAR and case.was_seen:
        return Finish(Status.UNKNOWN)  # "not found" or "completed", against a row that shows it alive
    return Finish(case.reply_status or (Status.UNKNOWN if was_sent else Status.EXPIRED))


# ---------------------------------------------------------------------- a dead row


def proven_end(case: Case) -> Finish | None:
    """Answer the end of an order whose row is dead; None where no dead row was seen."""
    row = case.row
    if row is None or row.state.is_alive:
        return None
    status = _DEAD_STATUS.get(row.state) or _whose_cancel(case, row)
    return Finish(status, verified=True)


_DEAD_STATUS: Final = {OrderState.FILLED: Status.FILLED, OrderState.GONE: Status.GONE}


def _whose_cancel(case: Case, row: Row) -> Status:
    """Tell our cancel from another one: by the broker's "Ok", whatever it said later, or by when the order changed."""
    if case.ok_at is not None:
        return Status.CANCELLED
    if not case.unsure:
        return Status.ALREADY_CANCELLED
    if row.changed_at is not None and case.first_sent_at is not None and _ends(row.changed_at) < case.first_sent_at:
        return Status.ALREADY_CANCELLED
    return Status.CANCELLED


def _ends(changed_at: float) -> float:
    """Say when a row's time is over for certain."""
    return changed_at + (1.0 if changed_at.is_integer() else 0.0) + CLOCK_SECONDS


# ---------------------------------------------------------------------- a row that shows the order alive


def _alive(case: Case, row: Row, *, now: float, window: float) -> Step:  # noqa: PLR0911 (a line of the table each)
    is_proof = case.is_proof(window)
    if row.state is OrderState.CANCEL_PENDING:
        return _LOOK_AGAIN
    match case.last:
        case Action.BLOCKED if is_proof:
            return Finish(Status.BLOCKED, verified=True)
        case Action.BLOCKED:
            return _SEND_AGAIN if now - case.last_at >= BLOCKED_SECONDS else _LOOK_AGAIN
        case Action.REFUSED:
            return Finish(Status.REFUSED, verified=True) if is_proof else _LOOK_AGAIN
        case Action.UNCLEAR:
            return _alive_against_objection(case, row, is_proof=is_proof, now=now, window=window)
        case Action.ACKNOWLEDGED:
            return _alive_against_ok(case, row, is_proof=is_proof)
        case Action.RETRY | Action.RENEW | Action.MEND | Action.LOOK | None:
            # An exit may close a position: it is repeated only when the last one certainly did nothing.
            return _SEND_AGAIN if case.may_be_repeated or is_proof else _LOOK_AGAIN
        case _:  # pragma: no cover
            assert_never(case.last)


def _alive_against_objection(case: Case, row: Row, *, is_proof: bool, now: float, window: float) -> Step:
    if row.state is OrderState.IN_FLIGHT or not case.has_been_asked(now, window):
        # On its way, an order cannot be cancelled yet, and the broker says so in words that mean something else.
        return _SEND_AGAIN if case.may_be_repeated or is_proof else _LOOK_AGAIN
    return Finish(Status.REFUSED, verified=True) if is_proof else _LOOK_AGAIN


def _alive_against_ok(case: Case, row: Row, *, is_proof: bool) -> Step:
    if case.oks >= OKS:
        is_refused = is_proof and row.state is OrderState.NOT_CANCELLED
        return Finish(Status.REFUSED, verified=True) if is_refused else _LOOK_AGAIN
    if case.variety != Variety.REGULAR:
        return _SEND_AGAIN if is_proof else _LOOK_AGAIN
    # The exchange may need a moment, and the book another.
    return _SEND_AGAIN if case.row_began_at - case.last_at >= _grace(case) else _LOOK_AGAIN


def _grace(case: Case) -> float:
    return GRACE_SECONDS * float(1 << (case.oks - 1))


# ---------------------------------------------------------------------- no row


def _is_nowhere(case: Case, window: float) -> bool:
    """Tell an order that does not exist from a book that lacks it: the book has had its time, and no page ever had it."""
    if case.was_seen or case.ok_at is not None or case.misses < MISSES:
        return False
    is_young = case.last_miss_at - case.accepted_at >= window
    return is_young and case.last_miss_at - max(case.first_miss_at, case.accepted_at) >= MISSING_SECONDS


def _blind(case: Case, *, began_at: float, window: float) -> Step:
    is_regular = case.variety == Variety.REGULAR
    if case.ok_at is not None:
        if not case.is_contradicted:
            return Finish(Status.CANCELLED) if began_at - case.ok_at >= window else _LOOK_AGAIN
        is_time = began_at - case.last_at >= _grace(case)
        return _SEND_AGAIN if is_regular and case.oks < OKS and is_time else _LOOK_AGAIN
    has_spoken_against = case.last is Action.UNCLEAR and case.was_seen
    if case.reply_status is not None and not has_spoken_against:
        # A book that can be read, and lacks the order, is on its way to prove more.
        is_silent = began_at - max(case.last_at, case.last_miss_at) >= window
        return Finish(case.reply_status) if is_silent else _LOOK_AGAIN
    if case.last in (Action.REFUSED, Action.BLOCKED) or case.objections >= OBJECTIONS:
        return _LOOK_AGAIN  # without a book, asking again brings nothing new
    # Nothing definite was ever heard. A regular cancel may be repeated, and its reply is evidence; an exit may not.
    return _SEND_AGAIN if is_regular else _LOOK_AGAIN
