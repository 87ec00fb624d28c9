"""The keys in Redis that a producer uses, named as in the default namespace. The table of all is in worker/ledger/keys.py."""

from typing import Final

from neo_cancel.namespace import Key

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
    "lane_of_queue",
    "named_key",
    "order_key",
    "place_of_backlog",
    "queue_key",
    "queued_key",
]

DEFAULT_TTL_SECONDS: Final = 7 * 86_400
"""How long records and bulks are kept by default."""

EVENTS: Final = Key("nc:events")
WATCH: Final = Key("nc:watch")
WORKERS: Final = Key("nc:workers")
BACKLOGS: Final = Key("nc:backlogs")

ORDER_PREFIX: Final = Key("nc:order:")
"""What the key of a record has in front of the order's name, UCC:ORDER_NUMBER."""

URGENT_PREFIX: Final = Key("nc:urgent:")
"""What the key of a worker's urgent orders has in front of the worker's id."""


def order_key(ucc: str, order_number: str) -> Key:
    """Name the record of an order."""
    return Key(f"{ORDER_PREFIX}{ucc}:{order_number}")


def named_key(name: str) -> Key:
    """Name the record of an order given as UCC:ORDER_NUMBER."""
    return Key(f"{ORDER_PREFIX}{name}")


def batch_key(batch: str) -> Key:
    """Name the members of a bulk."""
    return Key(f"nc:batch:{batch}")


def queue_key(lane: str) -> Key:
    """Name a lane's queue, the list that Celery reads."""
    return Key(lane)


def lane_of_queue(name: str) -> str:
    """Answer the lane of a queue named in any namespace."""
    return name.rpartition(":")[2]


def queued_key(lane: str) -> Key:
    """Name the orders that wait in a lane's queue."""
    return Key(f"nc:queued:{lane}")


def backlog_key(lane: str, ucc: str) -> Key:
    """Name an account's backlog in a lane."""
    return Key(f"nc:backlog:{lane}:{ucc}")


def place_of_backlog(key: str) -> tuple[str, str]:
    """Answer the lane and the account of a backlog's key, in any namespace."""
    _, _, lane, ucc = key.split(":")
    return lane, ucc
