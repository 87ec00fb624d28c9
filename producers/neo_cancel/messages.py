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
With version 2 the orders may be of many accounts: the chunk has no `ucc` then, but may have `backlogs`, a list of accounts
in whose backlogs a worker looks.
An order holds the fields of CancelOrder; `ucc` and `order_number` are required, the rest has its defaults. `id`,
`delivery_tag` and `correlation_id` are one unique text a message, of at most 255 printable characters. The worker
writes the ledger's record for an order that has none; until then a message lost on its way is lost, which is what the
library's enqueue script rules out.
"""

import json
import socket
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = [
    "TASK_NAME",
    "WIRE_VERSION",
    "WIRE_VERSION_MANY",
    "envelope",
    "new_id",
]

WIRE_VERSION: Final = 1
"""Of a message for one account."""
WIRE_VERSION_MANY: Final = 2
"""Of a message for many accounts."""
TASK_NAME: Final = "neo_cancel.cancel_orders"

_ORIGIN: Final = f"neo_cancel@{socket.gethostname()}"
_ENQUEUED_MARK: Final = "@enqueued_ms@"
_EMBED: Final = json.dumps({"callbacks": None, "errbacks": None, "chain": None, "chord": None})


def new_id() -> str:
    """Make an identifier for a message, a batch or a worker."""
    return str(uuid.uuid4())


def envelope(
    *,
    lane: str,
    orders: Mapping[str, Sequence[str]],
    waiting: Mapping[str, int] | None = None,
    batch: str | None = None,
) -> tuple[str, str]:
    """Write the Celery message (protocol 2, JSON) of one parcel as it lies in the Redis list named like the lane.

    `orders` are the JSON texts of orders, by account; `waiting` says of accounts how many orders wait in their backlogs,
    into which the message asks a worker to look. The message comes in two halves; the server's time in milliseconds goes
    between them. So recovery can tell a waiting message from a lost one by one clock.
    """
    waiting = waiting or {}
    message_id = new_id()
    message = {
        "body": f"[[{_chunk(lane, orders, list(waiting), batch)}], {{}}, {_EMBED}]",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _headers(TASK_NAME, message_id, shown=_shown(lane, orders, waiting)),
        "properties": _properties(message_id, lane),
    }
    before, _, after = json.dumps(message).rpartition(f'"{_ENQUEUED_MARK}"')
    return before, after


def _chunk(lane: str, orders: Mapping[str, Sequence[str]], backlogs: Sequence[str], batch: str | None) -> str:
    """Write what the message is about; of one account in the form that every worker reads."""
    accounts = [*orders, *backlogs]
    if len(accounts) == 1:
        head = json.dumps({"v": WIRE_VERSION, "ucc": accounts[0], "lane": lane, "batch": batch})
    else:
        head = json.dumps({"v": WIRE_VERSION_MANY, "lane": lane, "batch": batch, "backlogs": backlogs})
    return f'{head[:-1]}, "orders": [{", ".join(text for texts in orders.values() for text in texts)}]}}'


def _shown(lane: str, orders: Mapping[str, Sequence[str]], waiting: Mapping[str, int]) -> str:
    """Say for Flower whose orders the message is about, and how many."""
    accounts = {**orders, **waiting}
    whose = next(iter(accounts)) if len(accounts) == 1 else f"{len(accounts)} accounts"
    count = sum(map(len, orders.values()))
    shown = [f"{count} {'order' if count == 1 else 'orders'}"] if count else []
    if waiting:
        shown.append(f"{sum(waiting.values())} in backlog")
    return f"({whose} {' + '.join(shown)} {lane})"


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
