"""The call that accepts orders: the one step a producer takes in the ledger."""

import json
from typing import Final

from neo_cancel.keys import (
    BACKLOGS,
    ORDER_PREFIX,
    URGENT_PREFIX,
    WATCH,
    backlog_key,
    batch_key,
    order_key,
    queue_key,
    queued_key,
)
from neo_cancel.messages import envelope
from neo_cancel.namespace import Key
from neo_cancel.order import CancelOrder
from neo_cancel.parcels import Parcel
from neo_cancel.scripts import Script, ScriptCall, load_script

__all__ = ["document", "enqueue_call", "enqueue_script"]

_NONE: Final = Key("")


def enqueue_script() -> Script:
    """Read the script that `enqueue_call` calls."""
    return load_script("neo_cancel", "enqueue")


def document(order: CancelOrder, batch: str | None) -> str:
    """Write the JSON document of a fresh record, which is the order's text in the message, too."""
    wire = order.to_wire()
    if batch is not None:
        wire["batch"] = batch
    return json.dumps(wire)


def enqueue_call(parcel: Parcel, *, batch: str | None, ttl_seconds: int) -> ScriptCall:
    """Accept a parcel: records, queue entries, backlogs and message in one atomic step.

    `batch` is the bulk that it belongs to, None for none. Answers one number an order, in the order of `parcel.everyone`; see
    lua/enqueue.lua.
    """
    lane, waiting = parcel.lane, parcel.waiting
    documents = [document(order, batch) for order in parcel.everyone]
    texts: dict[str, list[str]] = {}
    for order, text in zip(parcel.orders, documents, strict=False):
        texts.setdefault(order.ucc, []).append(text)
    counts = {ucc: len(orders) for ucc, orders in waiting.items()}
    where = [len(parcel.orders), len(counts), *counts.values()]
    before, after = envelope(lane=lane, orders=texts, waiting=counts, batch=batch)
    fixed = [queue_key(lane), queued_key(lane), batch_key(batch) if batch else _NONE, BACKLOGS, WATCH]
    records = [order_key(order.ucc, order.order_number) for order in parcel.everyone]
    return ScriptCall(
        enqueue_script(),
        [*fixed, *(backlog_key(lane, ucc) for ucc in waiting), *records],
        [ttl_seconds, before, after, lane, ORDER_PREFIX, URGENT_PREFIX, *where, *documents],
    )
