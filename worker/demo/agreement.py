"""Is the ledger true? Pure: one order's record beside the sandbox's truth about it."""

from collections.abc import Mapping
from typing import Any, Final

from neo_cancel.record import OrderRecord, Status

__all__ = ["agrees", "expected_statuses", "truth_label"]

_NEVER_EXISTED: Final = "never existed"
_WORKING: Final = "still works"


def expected_statuses(truth: Mapping[str, Any] | None, *, is_meant_refused: bool = False) -> frozenset[Status]:
    """Name the final statuses that are right for an order; none are where the order should have ended and did not.

    `truth` is a row of the sandbox's truth, None for an order that never existed. `is_meant_refused`: the sandbox is set
    to refuse this order for good, so that it works on.
    """
    if truth is None:
        return frozenset({Status.NOT_FOUND})
    match truth["standing"]:
        case "cancelled":
            return frozenset({Status.CANCELLED if truth["cancelled_by"] == "api" else Status.ALREADY_CANCELLED})
        case "filled":
            return frozenset({Status.FILLED})
        case "gone":
            return frozenset({Status.GONE})
        case _:
            return frozenset({Status.REFUSED}) if is_meant_refused else frozenset()


def agrees(record: OrderRecord | None, truth: Mapping[str, Any] | None, *, is_meant_refused: bool = False) -> bool:
    """Compare status and, where the ledger claims to know it, the filled quantity. None is an order the ledger lost."""
    if record is None or record.status not in expected_statuses(truth, is_meant_refused=is_meant_refused):
        return False
    return truth is None or record.filled_quantity in {None, truth["filled_quantity"]}


def truth_label(truth: Mapping[str, Any] | None) -> str:
    """Name in words what is true of an order."""
    if truth is None:
        return _NEVER_EXISTED
    match truth["standing"]:
        case "cancelled":
            return "cancelled by us" if truth["cancelled_by"] == "api" else "cancelled before"
        case "filled" | "gone" as standing:
            return str(standing)
        case _:
            return _WORKING
