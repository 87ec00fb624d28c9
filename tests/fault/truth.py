"""What the ledger must say of an order, given how the order really is."""

from collections.abc import Mapping
from typing import Any

from neo_cancel.record import DEAD, Status

__all__ = ["contradicts", "status_for"]

STILL_WORKS = frozenset({Status.REFUSED, Status.BLOCKED, Status.EXPIRED, Status.UNKNOWN})


def status_for(truth: Mapping[str, Any] | None) -> Status:
    """Name the one true final status; `refused` where the order still works. None is an order that never existed."""
    if truth is None:
        return Status.NOT_FOUND
    match truth["standing"]:
        case "cancelled":
            return Status.CANCELLED if truth["cancelled_by"] == "api" else Status.ALREADY_CANCELLED
        case "filled":
            return Status.FILLED
        case "gone":
            return Status.GONE
        case _:
            return Status.REFUSED


def contradicts(status: Status, truth: Mapping[str, Any] | None) -> bool:
    """Say whether a status claims more than is true: an order called dead or missing that is something else."""
    return status in DEAD | {Status.NOT_FOUND} and status is not status_for(truth)
