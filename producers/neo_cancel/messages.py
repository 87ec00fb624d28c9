r"""The message that asks the workers to cancel orders: the contract with senders in any language.

A strategy that does not use Python sends the message itself: LPUSH to the Redis list `risk` or `routine`, one JSON text
a message, a Celery task of protocol 2 with orders of one account:

    {"body": "[[{\"v\": 1, \"ucc\": \"AB123\", \"lane\": \"risk\", \"batch\": null, \"orders\": [
        {\"ucc\": \"AB123\", \"order_number\": \"251015000123456\", \"lane\": \"risk\"}]}], {}, {}]",
     "content-type": "application/json", "content-encoding": "utf-8",
     "headers": {"lang": "py", "task": "neo_cancel.cancel_orders", "id": "4b1f", "argsrepr": "(AB123 1 order risk)"},
     "properties": {"body_encoding": "utf-8", "delivery_tag": "4b1f", "correlation_id": "4b1f",
                    "delivery_info": {"exchange": "", "routing_key": "risk"}}}

The body is itself JSON text, without line breaks: [[chunk], {}, {}]. `v` is the wire version; `lane` names the list, which
for workers whose namespace is `desk` is `desk:risk` or `desk:routine`.
An order holds the fields of CancelOrder; `ucc` and `order_number` are required, the rest has its defaults. `id`,
`delivery_tag` and `correlation_id` are one unique text a message, of at most 255 printable characters. The worker
writes the ledger's record for an order that has none; until then a message lost on its way is lost, which is what the
library's enqueue script rules out.
"""

import json
import socket
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final

from neo_cancel.order import CancelOrder, Lane

__all__ = [
    "CHUNK_SIZE",
    "TASK_NAME",
    "WIRE_VERSION",
    "chunks",
    "envelope",
    "new_id",
]

WIRE_VERSION: Final = 1
TASK_NAME: Final = "neo_cancel.cancel_orders"
CHUNK_SIZE: Final = 50
"""Orders of one account in one message: what a message costs is paid once for all of them."""

_ORIGIN: Final = f"neo_cancel@{socket.gethostname()}"
_ENQUEUED_MARK: Final = "@enqueued_ms@"
_EMBED: Final = json.dumps({"callbacks": None, "errbacks": None, "chain": None, "chord": None})


def new_id() -> str:
    """Make an identifier for a message, a batch or a worker."""
    return str(uuid.uuid4())


def envelope(*, ucc: str, lane: str, orders: Sequence[str], batch: str | None = None) -> tuple[str, str]:
    """Write the Celery message (protocol 2, JSON) of one chunk as it lies in the Redis list named like the lane.

    `orders` are the JSON texts of orders of one account. Without orders, the message asks a worker to look into the
    account's backlog. The message comes in two halves; the server's time in milliseconds goes between them. So
    recovery can tell a waiting message from a lost one by one clock.
    """
    head = json.dumps({"v": WIRE_VERSION, "ucc": ucc, "lane": lane, "batch": batch})
    chunk = f'{head[:-1]}, "orders": [{", ".join(orders)}]}}'
    count = f"{len(orders)} {'order' if len(orders) == 1 else 'orders'}" if orders else "backlog"
    message_id = new_id()
    message = {
        "body": f"[[{chunk}], {{}}, {_EMBED}]",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _headers(TASK_NAME, message_id, shown=f"({ucc} {count} {lane})"),
        "properties": _properties(message_id, lane),
    }
    before, _, after = json.dumps(message).rpartition(f'"{_ENQUEUED_MARK}"')
    return before, after


def _headers(task: str, message_id: str, *, shown: str) -> dict[str, Any]:
    return {
        "lang": "py",
        "task": task,
        "id": message_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": message_id,
        "parent_id": None,
        "argsrepr": shown,
        "kwargsrepr": "{}",
        "origin": _ORIGIN,
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        "enqueued_ms": _ENQUEUED_MARK,
    }


def _properties(message_id: str, lane: str) -> dict[str, Any]:
    return {
        "correlation_id": message_id,
        "reply_to": message_id,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": lane},
        "priority": 0,
        "body_encoding": "utf-8",
        "delivery_tag": message_id,
    }


def chunks(orders: Iterable[CancelOrder], size: int = CHUNK_SIZE) -> list[list[CancelOrder]]:
    """Split orders into chunks of one account and lane, risk first, each in the order of arrival."""
    groups: dict[tuple[str, str], list[CancelOrder]] = {}
    for order in orders:
        groups.setdefault((str(order.lane), order.ucc), []).append(order)
    urgent_first = sorted(groups.items(), key=lambda item: item[0][0] != Lane.RISK)
    return [group[at : at + size] for _, group in urgent_first for at in range(0, len(group), size)]
