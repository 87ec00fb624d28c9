"""From orders to calls of the enqueue script, many of them in one round trip. No I/O in here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from redis.exceptions import NoScriptError

from neo_cancel.duplicates import distinct
from neo_cancel.enqueue import enqueue_call
from neo_cancel.errors import InvalidOrderError
from neo_cancel.open_bulk import OpenBulk
from neo_cancel.order import CancelOrder
from neo_cancel.parcels import MAX_CHUNK_SIZE, Parcel, parcels
from neo_cancel.scripts import Script, ScriptCall

__all__ = ["BulkPlan", "Plan", "Rounds", "contradicts"]

CALLS_AT_ONCE: Final = 20
RELOADS_AT_MOST: Final = 3
ACCEPTED, ATTACHED, DEAD_ALREADY, CONTRADICTS = 0, 1, 2, 3


class Counts(TypedDict):
    """How many entries of a bulk started no new work, and why."""

    duplicates: int
    attached: int
    answered: int
    contradicted: int


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """A bulk before it is sent: its id, its orders' names, how many entries were dropped as duplicates, and the calls."""

    batch: str
    names: Sequence[str]
    duplicates: int
    calls: Sequence[ScriptCall]

    def counts(self, replies: Iterable[Sequence[int]]) -> Counts:
        """Count the answers of the script."""
        answers = [answer for reply in replies for answer in reply]
        return {
            "duplicates": self.duplicates,
            "attached": answers.count(ATTACHED) + answers.count(CONTRADICTS),
            "answered": answers.count(DEAD_ALREADY),
            "contradicted": answers.count(CONTRADICTS),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """How a producer enqueues. Raises InvalidOrderError for numbers that cannot work."""

    time_to_live_seconds: int
    chunk_size: int

    def __post_init__(self) -> None:
        """Refuse numbers that Redis or a worker could only refuse later."""
        _check_count("time_to_live_seconds", self.time_to_live_seconds, 10**9)
        _check_count("chunk_size", self.chunk_size, MAX_CHUNK_SIZE)

    def one(self, order: CancelOrder) -> list[ScriptCall]:
        """Plan a single cancel."""
        distinct([order])
        return [enqueue_call(Parcel(str(order.lane), [order]), batch=None, ttl_seconds=self.time_to_live_seconds)]

    def many(self, orders: Iterable[CancelOrder], bulk: OpenBulk | None = None) -> BulkPlan:
        """Plan a bulk, or a piece of one; None makes one. Raises InvalidOrderError for an empty one."""
        kept, duplicates = distinct(orders)
        bulk = OpenBulk() if bulk is None else bulk
        batch = bulk.batch
        calls = [
            enqueue_call(parcel, batch=batch, ttl_seconds=self.time_to_live_seconds)
            for parcel in parcels(kept, self.chunk_size, bulk.messages)
        ]
        return BulkPlan(batch, [f"{order.ucc}:{order.order_number}" for order in kept], duplicates, calls)


def contradicts(replies: Iterable[Sequence[int]]) -> bool:
    """Tell whether an order was asked for before as something else, by the answers of the script."""
    return any(CONTRADICTS in reply for reply in replies)


class Rounds:
    """The calls of one request, one group a round trip.

    A server that restarted or failed over has lost the scripts. They are loaded again, and the calls that did not run are
    sent again.
    """

    def __init__(self, calls: Sequence[ScriptCall]) -> None:
        self.replies: list[Any] = [None] * len(calls)
        self._calls = calls
        self._left = list(range(len(calls)))
        self._group: list[int] = []
        self._lost: dict[Script, None] = {}
        self._reloads = 0

    @property
    def answered(self) -> int:
        """For how many orders an answer has come; not for all where a round trip failed."""
        return sum(len(reply) for reply in self.replies if reply is not None)

    def next_group(self) -> list[ScriptCall]:
        """Answer the calls of the next round trip; none when all calls are done."""
        self._group, self._left = self._left[:CALLS_AT_ONCE], self._left[CALLS_AT_ONCE:]
        return [self._calls[at] for at in self._group]

    def to_load(self) -> list[Script]:
        """Answer the scripts to load before that round trip."""
        lost, self._lost = self._lost, {}
        return list(lost)

    def take(self, replies: Sequence[Any]) -> None:
        """Take in all replies to a round trip; raise the first error that loading the scripts again does not mend."""
        again: list[int] = []
        failure: Exception | None = None
        for at, reply in zip(self._group, replies, strict=True):
            if isinstance(reply, NoScriptError) and self._reloads < RELOADS_AT_MOST:
                again.append(at)
                self._lost[self._calls[at].script] = None
            elif isinstance(reply, Exception):
                failure = failure or reply
            else:
                self.replies[at] = reply
        if failure is not None:
            raise failure
        self._reloads += bool(again)
        self._left = again + self._left


def _check_count(field: str, value: object, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
        raise InvalidOrderError(field, value, f"must be a whole number from 1 to {highest}")
