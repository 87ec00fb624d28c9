# Written by tests/sync_twin.py from aio.py: change that file, then run `make format`.
"""The producer: what a strategy or a risk desk calls."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from neo_cancel.bulk import decoded, final_records, keys_of, slices
from neo_cancel.connection import connect, shown_url
from neo_cancel.errors import LedgerUnavailableError, UnknownOrderError
from neo_cancel.handles import BulkHandle, OrderHandle
from neo_cancel.ledger import DEFAULT_TTL_SECONDS, EVENTS, ScriptCall, batch_key, load_script, order_key
from neo_cancel.messages import CHUNK_SIZE
from neo_cancel.order import CancelOrder
from neo_cancel.plan import Plan, Rounds
from neo_cancel.record import OrderRecord
from neo_cancel.translation import translated
from neo_cancel.waiting import Pending

__all__ = ["CancelProducer"]

_Read = TypeVar("_Read")


class CancelProducer:
    """Enqueue cancels and learn what became of them. Safe to share between threads.

    `redis_url` is redis, rediss, unix or sentinel (see neo_cancel.connection). `time_to_live_seconds` is how long
    records are kept, 7 days by default. `chunk_size` is the number of orders one message carries at most.
    Nothing is connected before the first call; `connect()` does it early. Use it with `with` or call `close()`.

    Every call raises LedgerUnavailableError within 3 s where Redis is not there; a wait that has begun outlives a
    restart.
    """

    def __init__(
        self, redis_url: str, *, time_to_live_seconds: int = DEFAULT_TTL_SECONDS, chunk_size: int = CHUNK_SIZE
    ) -> None:
        self._plan = Plan(time_to_live_seconds, chunk_size)
        # Any: redis-py types its synchronous and its asynchronous replies as one.
        self._redis: Any = connect(redis_url)
        self.address = shown_url(redis_url)

    def connect(self) -> Self:
        """Connect and load the scripts now, so that the first cancel of the day pays for neither.

        Raises LedgerUnavailableError within 3 s, naming the address without the password.
        """
        with translated(self.address):
            self._redis.script_load(load_script("enqueue").text)
        return self

    def close(self) -> None:
        """Close the connections. Orders go on; a second call does nothing."""
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def enqueue(self, order: CancelOrder) -> OrderHandle:
        """Accept one cancel: when this returns, the ledger holds it and a worker has been called.

        Called twice for an order that is being worked on, the second call attaches to the first; for one proven dead
        it is answered from the ledger. Raises LedgerUnavailableError or LedgerRefusedError; then repeat it, nothing
        doubles.
        """
        self._run(self._plan.one(order))
        return OrderHandle(self, order.ucc, order.order_number)

    def enqueue_many(self, orders: Iterable[CancelOrder]) -> BulkHandle:
        """Accept a bulk: risk orders first, in chunks of one account.

        An order named twice is collapsed and counted in `duplicates`. Raises InvalidOrderError for an empty bulk before
        anything is written; LedgerUnavailableError or LedgerRefusedError when part of it may have been accepted:
        repeat the whole bulk, nothing doubles.
        """
        bulk = self._plan.many(orders)
        return BulkHandle(self, bulk.batch, bulk.names, **bulk.counts(self._run(bulk.calls)))

    def order(self, ucc: str, order_number: str) -> OrderHandle:
        """Ask for an order by its names, for example from another process than the one that enqueued it."""
        return OrderHandle(self, ucc, order_number)

    def bulk(self, batch: str) -> BulkHandle:
        """Ask for a bulk by its id. Raises UnknownOrderError where the ledger knows none."""
        with translated(self.address):
            members = self._redis.lrange(batch_key(batch), 0, -1)
        if not members:
            raise UnknownOrderError(f"the ledger knows no bulk {batch}")
        # A chunk whose answer got lost was sent again and stands in the list twice.
        return BulkHandle(self, batch, list(dict.fromkeys(name.decode() for name in members)))

    def look_up(self, ucc: str, order_number: str) -> OrderRecord:
        """Read the record of an order. Raises UnknownOrderError where the ledger holds none."""
        with translated(self.address):
            value = self._redis.get(order_key(ucc, order_number))
        if value is None:
            raise UnknownOrderError(f"the ledger knows no order {ucc}:{order_number}")
        return OrderRecord.decode(value)

    def read_records(self, names: Sequence[str]) -> list[OrderRecord | None]:
        """Read the records of orders named UCC:ORDER_NUMBER, in that order; None for one the ledger does not hold."""
        return decoded([value for some in slices(names) for value in self._values(some)])

    def events(self, *, since: str = "$", timeout_seconds: float | None = None) -> Iterator[OrderRecord]:
        """Follow every order that becomes final, from any producer, from now on or after the event id `since`.

        An event id is the server's time in milliseconds, then "-0"; "0-0" starts with the oldest event kept, about
        20,000 messages ago. Ends after `timeout_seconds`, never without. A slow consumer sees later states; the ledger
        keeps the truth.
        """
        pending = Pending((), timeout_seconds)
        pending.cursor = since if since != "$" else self._last_event()
        while pending.remaining_seconds > 0:
            names = pending.advance(self._patiently(pending, partial(self._next_events, pending)))
            for some in slices(names):
                yield from final_records(self._patiently(pending, partial(self._values, some)))

    def results(self, names: Sequence[str], timeout_seconds: float | None = None) -> Iterator[OrderRecord]:
        """Yield each named order's record once, as it becomes final; end early when the time is up."""
        pending = Pending(names, timeout_seconds)
        # Not patient: a server that is away from the start is an error; the wait outlives one that goes away later.
        pending.cursor = self._last_event()
        reply: Any = None
        while True:
            for some in slices(pending.to_read(reply)):
                yield from pending.settle(some, self._patiently(pending, partial(self._values, some)))
            if pending.is_over:
                return
            reply = self._patiently(pending, partial(self._next_events, pending))

    def _run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        rounds = Rounds(calls)
        with translated(self.address):
            while group := rounds.next_group():
                for script in rounds.to_load():
                    self._redis.script_load(script.text)
                with self._redis.pipeline(transaction=False) as pipeline:
                    for call in group:
                        pipeline.execute_command(*call.command)
                    rounds.take(pipeline.execute(raise_on_error=False))
        return rounds.replies

    def _values(self, names: Sequence[str]) -> list[bytes | None]:
        with translated(self.address):
            values: list[bytes | None] = self._redis.mget(keys_of(names))
        return values

    def _last_event(self) -> str | bytes:
        with translated(self.address):
            last = self._redis.xrevrange(EVENTS, count=1)
        return last[0][0] if last else "0-0"

    def _next_events(self, pending: Pending) -> Any:
        with translated(self.address):
            return self._redis.xread({EVENTS: pending.cursor}, count=500, block=pending.block_milliseconds)

    def _patiently(self, pending: Pending, read: Callable[[], _Read]) -> _Read:
        while True:
            try:
                return read()
            except LedgerUnavailableError:
                if pending.remaining_seconds <= 0:
                    raise
                time.sleep(pending.pause_seconds)
