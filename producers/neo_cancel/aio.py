"""The producer for asyncio: the same verbs, the same promises, awaited."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from neo_cancel.bulk import BulkStatus, decoded, final_records, keys_of, slices
from neo_cancel.connection import connect_async, shown_url
from neo_cancel.errors import LedgerUnavailableError, UnknownOrderError
from neo_cancel.handles import bulk_timeout, order_timeout
from neo_cancel.ledger import DEFAULT_TTL_SECONDS, EVENTS, ScriptCall, batch_key, load_script, order_key
from neo_cancel.messages import CHUNK_SIZE
from neo_cancel.order import CancelOrder
from neo_cancel.plan import Plan, Rounds
from neo_cancel.record import OrderRecord
from neo_cancel.translation import translated
from neo_cancel.waiting import Pending

__all__ = ["AsyncBulkHandle", "AsyncCancelProducer", "AsyncOrderHandle"]

_Read = TypeVar("_Read")


class AsyncCancelProducer:
    """Enqueue cancels and learn what became of them, within one event loop.

    Arguments, errors and promises are those of CancelProducer. Use it with `async with` or call `aclose()`.
    Cancelling a waiting task ends the wait, not the order's cancel.
    """

    def __init__(
        self, redis_url: str, *, time_to_live_seconds: int = DEFAULT_TTL_SECONDS, chunk_size: int = CHUNK_SIZE
    ) -> None:
        self._plan = Plan(time_to_live_seconds, chunk_size)
        self._redis = connect_async(redis_url)
        self.address = shown_url(redis_url)

    async def connect(self) -> Self:
        """Connect and load the scripts now. Raises LedgerUnavailableError within 3 s."""
        with translated(self.address):
            await self._redis.script_load(load_script("enqueue").text)
        return self

    async def aclose(self) -> None:
        """Close the connections. Orders go on; a second call does nothing."""
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def enqueue(self, order: CancelOrder) -> "AsyncOrderHandle":
        """Accept one cancel; see CancelProducer.enqueue."""
        await self._run(self._plan.one(order))
        return AsyncOrderHandle(self, order.ucc, order.order_number)

    async def enqueue_many(self, orders: Iterable[CancelOrder]) -> "AsyncBulkHandle":
        """Accept a bulk; see CancelProducer.enqueue_many."""
        bulk = self._plan.many(orders)
        return AsyncBulkHandle(self, bulk.batch, bulk.names, **bulk.counts(await self._run(bulk.calls)))

    def order(self, ucc: str, order_number: str) -> "AsyncOrderHandle":
        """Ask for an order by its names."""
        return AsyncOrderHandle(self, ucc, order_number)

    async def bulk(self, batch: str) -> "AsyncBulkHandle":
        """Ask for a bulk by its id. Raises UnknownOrderError where the ledger knows none."""
        with translated(self.address):
            members: Any = await self._redis.lrange(batch_key(batch), 0, -1)
        if not members:
            raise UnknownOrderError(f"the ledger knows no bulk {batch}")
        return AsyncBulkHandle(self, batch, list(dict.fromkeys(name.decode() for name in members)))

    async def look_up(self, ucc: str, order_number: str) -> OrderRecord:
        """Read the record of an order. Raises UnknownOrderError where the ledger holds none."""
        with translated(self.address):
            value = await self._redis.get(order_key(ucc, order_number))
        if not isinstance(value, bytes):
            raise UnknownOrderError(f"the ledger knows no order {ucc}:{order_number}")
        return OrderRecord.decode(value)

    async def read_records(self, names: Sequence[str]) -> list[OrderRecord | None]:
        """Read the records of orders named UCC:ORDER_NUMBER, in that order; None for one the ledger does not hold."""
        return decoded([value for some in slices(names) for value in await self._values(some)])

    async def events(self, *, since: str = "$", timeout_seconds: float | None = None) -> AsyncIterator[OrderRecord]:
        """Follow every order that becomes final, whoever enqueued it; see CancelProducer.events."""
        pending = Pending((), timeout_seconds)
        pending.cursor = since if since != "$" else await self._last_event()
        while pending.remaining_seconds > 0:
            names = pending.advance(await self._patiently(pending, partial(self._next_events, pending)))
            for some in slices(names):
                for record in final_records(await self._patiently(pending, partial(self._values, some))):
                    yield record

    async def results(self, names: Sequence[str], timeout_seconds: float | None = None) -> AsyncIterator[OrderRecord]:
        """Yield each named order's record once, as it becomes final; end early when the time is up."""
        pending = Pending(names, timeout_seconds)
        # Not patient: a server that is away from the start is an error, one that goes away later is waited for.
        pending.cursor = await self._last_event()
        reply: Any = None
        while True:
            for some in slices(pending.to_read(reply)):
                values = await self._patiently(pending, partial(self._values, some))
                for record in pending.settle(some, values):
                    yield record
            if pending.is_over:
                return
            reply = await self._patiently(pending, partial(self._next_events, pending))

    async def _run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        rounds = Rounds(calls)
        with translated(self.address):
            while group := rounds.next_group():
                for script in rounds.to_load():
                    await self._redis.script_load(script.text)
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for call in group:
                        pipeline.execute_command(*call.command)
                    rounds.take(await pipeline.execute(raise_on_error=False))
        return rounds.replies

    async def _values(self, names: Sequence[str]) -> list[bytes | None]:
        with translated(self.address):
            return cast("list[bytes | None]", await self._redis.mget(keys_of(names)))

    async def _last_event(self) -> str | bytes:
        with translated(self.address):
            last: Any = await self._redis.xrevrange(EVENTS, count=1)
        return last[0][0] if last else "0-0"

    async def _next_events(self, pending: Pending) -> Any:
        with translated(self.address):
            return await self._redis.xread({EVENTS: pending.cursor}, count=500, block=pending.block_milliseconds)

    async def _patiently(self, pending: Pending, read: Callable[[], Awaitable[_Read]]) -> _Read:
        while True:
            try:
                return await read()
            except LedgerUnavailableError:
                if pending.remaining_seconds <= 0:
                    raise
                await asyncio.sleep(pending.pause_seconds)


class AsyncOrderHandle:
    """One order's cancel, to ask about and to wait for."""

    def __init__(self, producer: AsyncCancelProducer, ucc: str, order_number: str) -> None:
        self._producer = producer
        self.ucc, self.order_number = ucc, order_number

    def __repr__(self) -> str:
        return f"AsyncOrderHandle({self.ucc}:{self.order_number})"

    async def status(self) -> OrderRecord:
        """Read what is known now. Raises UnknownOrderError where the ledger holds no such order."""
        return await self._producer.look_up(self.ucc, self.order_number)

    async def wait(self, timeout_seconds: float | None = None) -> OrderRecord:
        """Wait until the order is final, for ever with None. Raises WaitTimeoutError; the order goes on."""
        async for record in self._producer.results([f"{self.ucc}:{self.order_number}"], timeout_seconds):
            return record
        current = await self.status()
        if current.is_final:
            return current
        raise order_timeout(current, timeout_seconds)


class AsyncBulkHandle:
    """Many orders' cancels; see BulkHandle."""

    def __init__(
        self,
        producer: AsyncCancelProducer,
        batch: str,
        names: Sequence[str],
        *,
        duplicates: int = 0,
        attached: int = 0,
        answered: int = 0,
    ) -> None:
        self._producer = producer
        self.batch, self.names = batch, tuple(names)
        self.duplicates, self.attached, self.answered = duplicates, attached, answered

    def __repr__(self) -> str:
        return f"AsyncBulkHandle({self.batch}, {len(self.names)} orders)"

    def __len__(self) -> int:
        return len(self.names)

    async def status(self) -> BulkStatus:
        """Count the orders per status now."""
        return BulkStatus.of(await self.records())

    async def records(self) -> list[OrderRecord | None]:
        """Read every order's record, in the order of the bulk; None for one past its time to live."""
        return await self._producer.read_records(self.names)

    def results(self, timeout_seconds: float | None = None) -> AsyncIterator[OrderRecord]:
        """Yield each order's record once, as it becomes final; end when all did or the time is up."""
        return self._producer.results(self.names, timeout_seconds)

    def __aiter__(self) -> AsyncIterator[OrderRecord]:
        return self.results()

    async def wait(self, timeout_seconds: float | None = None) -> BulkStatus:
        """Wait until every order is final, for ever with None. Raises WaitTimeoutError; the orders go on."""
        final = [record async for record in self.results(timeout_seconds)]
        if len(final) == len(self.names):
            return BulkStatus.of(final)
        status = await self.status()
        if not status.is_ended:
            raise bulk_timeout(status, timeout_seconds)
        return status
