"""Accepting orders as a producer does, for tests that run the script themselves."""

from collections.abc import Sequence

from neo_cancel.enqueue import enqueue_call
from neo_cancel.order import CancelOrder
from neo_cancel.parcels import Parcel
from neo_cancel.scripts import ScriptCall

__all__ = ["accept_call"]


def accept_call(
    orders: Sequence[CancelOrder], *, batch: str | None = None, ttl_seconds: int = 60, to_backlog: bool = False
) -> ScriptCall:
    """Accept orders of one lane: in one message, or with `to_backlog` in the backlog of their one account."""
    lane = str(orders[0].lane)
    parcel = Parcel(lane, (), {orders[0].ucc: orders}) if to_backlog else Parcel(lane, orders)
    return enqueue_call(parcel, batch=batch, ttl_seconds=ttl_seconds)
