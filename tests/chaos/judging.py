"""Is a final status true? One order's record beside the sandbox's truth, and what is wrong where they differ."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from neo_cancel.record import DEAD, HARMLESS, OrderRecord, Status
from tests.fault.truth import status_for

__all__ = ["Judgement", "judge"]

CLOCK_SECONDS = 0.5
"""A worker's clock is the Redis server's as of its last heartbeat: behind by as much as that reply was late."""
BOOK_SECONDS = 4.0
"""So long a book may be behind: of an order that died later than that before its record's end, no worker can know it."""
_CANCELS = frozenset({Status.CANCELLED, Status.ALREADY_CANCELLED})


class Judgement(StrEnum):
    """What an order's record is worth."""

    TRUE = "true"
    UNKNOWN = "unknown"
    """Nothing is claimed."""
    FALSE = "false"
    """Called dead, or missing, while it worked."""
    WRONG_KIND = "wrong_kind"
    """It ended in another way, or with another quantity, than the record says, or it ended and is called refused."""
    GIVEN_UP = "given_up"
    """It works on, although the exchange would have taken a cancel."""
    LOST = "lost"
    """No record, or no final one."""


def judge(record: OrderRecord | None, truth: Mapping[str, Any] | None, *, is_refused_ever: bool = False) -> Judgement:
    """Compare; `truth` None is an order that never existed. `is_refused_ever`: the exchange refuses its every cancel."""
    if record is None or not record.is_final:
        return Judgement.LOST
    if record.status is Status.UNKNOWN:
        return Judgement.UNKNOWN
    if record.status in HARMLESS and _worked(record, truth, -CLOCK_SECONDS):
        return Judgement.FALSE
    if is_refused_ever and record.status is Status.REFUSED and _worked(record, truth, BOOK_SECONDS):
        return Judgement.TRUE
    if status_for(truth) is Status.REFUSED:
        return Judgement.GIVEN_UP
    return Judgement.TRUE if _is_of_its_kind(record, truth) else Judgement.WRONG_KIND


def _is_of_its_kind(record: OrderRecord, truth: Mapping[str, Any] | None) -> bool:
    if record.status is not status_for(truth) and not _cannot_be_told(record, truth):
        return False
    return truth is None or record.filled_quantity in {None, truth["filled_quantity"]}


def _worked(record: OrderRecord, truth: Mapping[str, Any] | None, seconds_before: float) -> bool:
    """Tell whether the order still worked so many seconds before its record's end, even if it died later."""
    if truth is None:
        return False
    died_at = truth["changed_at"][-1] if status_for(truth) in DEAD else float("inf")
    return died_at > (record.final_at or 0.0) - seconds_before


def _cannot_be_told(record: OrderRecord, truth: Mapping[str, Any] | None) -> bool:
    """Tell whether another party cancelled after an earlier worker may have sent a cancel whose reply no living one knows."""
    if truth is None or truth["cancelled_by"] != "other" or record.first_sent_at is None:
        return False
    return record.status in _CANCELS and record.fence > 1 and truth["changed_at"][-1] >= record.first_sent_at
