"""The call that accepts orders: the one step a producer takes in the ledger."""

import json
from collections.abc import Sequence
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


def enqueue_call(
    chunk: Sequence[CancelOrder], *, batch: str | None, ttl_seconds: int, to_backlog: bool = False
) -> ScriptCall:
    """Accept orders of one account and lane: records, queue entry and message in one atomic step.

    `batch` is the bulk they belong to, None for a single order. With `to_backlog` they wait in the account's backlog, and
    a message only wakes a worker to look there. Answers one number an order, see lua/enqueue.lua.
    """
    ucc, lane = chunk[0].ucc, str(chunk[0].lane)
    documents = [document(order, batch) for order in chunk]
    before, after = envelope(ucc=ucc, lane=lane, orders=[] if to_backlog else documents, batch=batch)
    fixed = [
        queue_key(lane),
        queued_key(lane),
        batch_key(batch) if batch else _NONE,
        backlog_key(lane, ucc) if to_backlog else _NONE,
        BACKLOGS,
        WATCH,
    ]
    return ScriptCall(
        enqueue_script(),
        [*fixed, *(order_key(ucc, order.order_number) for order in chunk)],
        [ttl_seconds, before, after, lane, ORDER_PREFIX, URGENT_PREFIX, *documents],
    )
