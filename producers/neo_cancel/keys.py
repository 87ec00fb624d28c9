"""The keys in Redis that a producer uses. The table of all keys is in worker/ledger/keys.py."""

from typing import Final

__all__ = [
    "BACKLOGS",
    "DEFAULT_TTL_SECONDS",
    "EVENTS",
    "ORDER_PREFIX",
    "URGENT_PREFIX",
    "WATCH",
    "WORKERS",
    "backlog_key",
    "batch_key",
    "named_key",
    "order_key",
    "place_of_backlog",
    "queued_key",
]

DEFAULT_TTL_SECONDS: Final = 7 * 86_400
"""How long records and bulks are kept by default."""

EVENTS: Final = "nc:events"
WATCH: Final = "nc:watch"
WORKERS: Final = "nc:workers"
BACKLOGS: Final = "nc:backlogs"

ORDER_PREFIX: Final = "nc:order:"
"""What the key of a record has in front of the order's name, UCC:ORDER_NUMBER."""

URGENT_PREFIX: Final = "nc:urgent:"
"""What the key of a worker's urgent orders has in front of the worker's id."""


def order_key(ucc: str, order_number: str) -> str:
    """Name the record of an order."""
    return f"{ORDER_PREFIX}{ucc}:{order_number}"


def named_key(name: str) -> str:
    """Name the record of an order given as UCC:ORDER_NUMBER."""
    return f"{ORDER_PREFIX}{name}"


def batch_key(batch: str) -> str:
    """Name the members of a bulk."""
    return f"nc:batch:{batch}"


def queued_key(lane: str) -> str:
    """Name the orders that wait in a lane's queue."""
    return f"nc:queued:{lane}"


def backlog_key(lane: str, ucc: str) -> str:
    """Name an account's backlog in a lane."""
    return f"nc:backlog:{lane}:{ucc}"


def place_of_backlog(key: str) -> tuple[str, str]:
    """Answer the lane and the account of a backlog's key."""
    _, _, lane, ucc = key.split(":")
    return lane, ucc
