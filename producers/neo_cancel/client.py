"""The producer: what a strategy or a risk desk calls."""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from redis.exceptions import NoScriptError

from neo_cancel.bulk import BulkStatus, Pending, distinct, keys_of, slices
from neo_cancel.connection import connect, shown_url
from neo_cancel.errors import LedgerUnavailableError, UnknownOrderError, WaitTimeoutError
from neo_cancel.ledger import (
    DEFAULT_TTL_SECONDS,
    EVENTS,
    ScriptCall,
    batch_key,
    enqueue_call,
    load_script,
    order_key,
)
from neo_cancel.messages import CHUNK_SIZE, CancelOrder, chunks, new_id
from neo_cancel.record import OrderRecord
from neo_cancel.translation import translated

__all__ = ["BulkHandle", "CancelProducer", "OrderHandle"]

CALLS_AT_ONCE: Final = 20
ACCEPTED, ATTACHED, DEAD_ALREADY = 0, 1, 2


class CancelProducer:
    """Enqueue cancels and learn what became of them. Safe to share between threads.

    `redis_url` is redis, rediss, unix or sentinel (see neo_cancel.connection). `time_to_live_seconds` is how long
    records are kept, 7 days by default. `chunk_size` is the number of orders one message carries at most.
    Nothing is connected before the first call; `connect()` does it early. Use it as a context manager or call `close()`.
    """

    def __init__(
        self, redis_url: str, *, time_to_live_seconds: int = DEFAULT_TTL_SECONDS, chunk_size: int = CHUNK_SIZE
    ) -> None:
        self.address = shown_url(redis_url)
        self._redis = connect(redis_url)
        self._ttl_seconds = time_to_live_seconds
        self._chunk_size = chunk_size

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

    def enqueue(self, order: CancelOrder) -> "OrderHandle":
        """Accept one cancel: when this returns, the ledger holds it and a worker has been called.

        Called twice for an order that is being worked on, the second call attaches to the first; for one proven dead it
        is answered from the ledger. Raises LedgerUnavailableError or LedgerRefusedError; then repeat it, nothing doubles.
        """
        distinct([order])
        with translated(self.address):
            self._run([enqueue_call([order], batch=None, ttl_seconds=self._ttl_seconds)])
        return OrderHandle(self, order.ucc, order.order_number)

    def enqueue_many(self, orders: Iterable[CancelOrder]) -> "BulkHandle":
        """Accept a bulk: risk orders first, in chunks of one account.

        An order named twice is collapsed and counted in `duplicates`. Raises InvalidOrderError for an empty bulk before
        anything is written; LedgerUnavailableError or LedgerRefusedError when part of it may have been accepted:
        repeat the whole bulk, nothing doubles.
        """
        kept, duplicates = distinct(orders)
        batch = new_id()
        calls = [
            enqueue_call(chunk, batch=batch, ttl_seconds=self._ttl_seconds) for chunk in chunks(kept, self._chunk_size)
        ]
        with translated(self.address):
            answers = [answer for reply in self._run(calls) for answer in reply]
        return BulkHandle(
            self,
            batch,
            [f"{order.ucc}:{order.order_number}" for order in kept],
            duplicates=duplicates,
            attached=answers.count(ATTACHED),
            answered=answers.count(DEAD_ALREADY),
        )

    def order(self, ucc: str, order_number: str) -> "OrderHandle":
        """Ask for an order by its names, for example from another process than the one that enqueued it."""
        return OrderHandle(self, ucc, order_number)

    def bulk(self, batch: str) -> "BulkHandle":
        """Ask for a bulk by its id. Raises UnknownOrderError where the ledger knows none."""
        with translated(self.address):
            names = [name.decode() for name in self._redis.lrange(batch_key(batch), 0, -1)]  # pyright: ignore[reportUnknownVariableType]
        if not names:
            raise UnknownOrderError(f"the ledger knows no bulk {batch}")
        return BulkHandle(self, batch, names)

    def look_up(self, ucc: str, order_number: str) -> OrderRecord:
        """Read the record of an order. Raises UnknownOrderError where the ledger holds none."""
        with translated(self.address):
            value = self._redis.get(order_key(ucc, order_number))
        if not isinstance(value, bytes):
            raise UnknownOrderError(f"the ledger knows no order {ucc}:{order_number}")
        return OrderRecord.decode(value)

    def events(self, *, since: str = "$", timeout_seconds: float | None = None) -> Iterator[OrderRecord]:
        """Follow every order that becomes final, whoever enqueued it, from now on or after the event id `since`.

        Ends after `timeout_seconds`, never without. A consumer that is slow sees later states; the ledger keeps the truth.
        """
        pending = Pending((), timeout_seconds)
        pending.cursor = since if since != "$" else self._last_event()
        while pending.remaining_seconds > 0:
            names = list(dict.fromkeys(pending.advance(self._next_events(pending))))
            for _, value in self._read(names):
                if value is not None:
                    yield OrderRecord.decode(value)

    def _run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        replies: list[Any] = []
        for at in range(0, len(calls), CALLS_AT_ONCE):
            group = calls[at : at + CALLS_AT_ONCE]
            try:
                replies += self._send(group)
            except NoScriptError:
                # A server that restarted or failed over has forgotten the scripts. What ran already attaches to itself.
                for name in {call.script for call in group}:
                    self._redis.script_load(load_script(name).text)
                replies += self._send(group)
        return replies

    def _send(self, group: Sequence[ScriptCall]) -> list[Any]:
        if len(group) == 1:
            return [self._redis.execute_command(*group[0].command)]
        with self._redis.pipeline(transaction=False) as pipeline:
            for call in group:
                pipeline.execute_command(*call.command)
            return pipeline.execute()

    def _read(self, names: Sequence[str]) -> list[tuple[str, bytes | None]]:
        found: list[tuple[str, bytes | None]] = []
        with translated(self.address):
            for some in slices(names):
                values: Any = self._redis.mget(keys_of(some))
                found += zip(some, values, strict=True)
        return found

    def _last_event(self) -> str | bytes:
        with translated(self.address):
            last: Any = self._redis.xrevrange(EVENTS, count=1)
        return last[0][0] if last else "0-0"

    def _next_events(self, pending: Pending) -> Any:
        with translated(self.address):
            return self._redis.xread({EVENTS: pending.cursor}, count=500, block=pending.block_milliseconds)

    def results(self, names: Sequence[str], timeout_seconds: float | None) -> Iterator[OrderRecord]:
        """Yield each named order's record once, as it becomes final; end early when the time is up."""
        pending = Pending(names, timeout_seconds)
        pending.cursor = self._last_event()
        reply: Any = None
        while True:
            wanted = pending.to_read(reply)
            found = self._read(wanted)
            yield from pending.settle([name for name, _ in found], [value for _, value in found])
            if not pending.names or pending.remaining_seconds <= 0:
                return
            reply = self._patient_events(pending)

    def _patient_events(self, pending: Pending) -> Any:
        while True:
            try:
                return self._next_events(pending)
            except LedgerUnavailableError:
                # The waiter outlives a restart of the server: its orders do, too.
                if pending.remaining_seconds <= 0:
                    raise
                time.sleep(min(random.uniform(0.05, 0.5), max(0.0, pending.remaining_seconds)))


class OrderHandle:
    """One order's cancel, to ask about and to wait for."""

    def __init__(self, producer: CancelProducer, ucc: str, order_number: str) -> None:
        self._producer = producer
        self.ucc, self.order_number = ucc, order_number

    def __repr__(self) -> str:
        return f"OrderHandle({self.ucc}:{self.order_number})"

    def status(self) -> OrderRecord:
        """Read what is known now. Raises UnknownOrderError where the ledger holds no such order."""
        return self._producer.look_up(self.ucc, self.order_number)

    def wait(self, timeout_seconds: float | None = None) -> OrderRecord:
        """Wait until the order is final, for ever with None. Raises WaitTimeoutError; the order goes on."""
        for record in self._producer.results([f"{self.ucc}:{self.order_number}"], timeout_seconds):
            return record
        current = self.status()
        raise WaitTimeoutError(f"order {current.key} is still {current.status} after {timeout_seconds} s")


class BulkHandle:
    """Many orders' cancels. `duplicates` were collapsed, `attached` were under way already, `answered` were dead already."""

    def __init__(
        self,
        producer: CancelProducer,
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
        return f"BulkHandle({self.batch}, {len(self.names)} orders)"

    def __len__(self) -> int:
        return len(self.names)

    def status(self) -> BulkStatus:
        """Count the orders per status now."""
        return BulkStatus.of(self.records())

    def records(self) -> list[OrderRecord | None]:
        """Read every order's record, in the order of the bulk; None for one past its time to live."""
        return [value and OrderRecord.decode(value) for _, value in self._producer._read(self.names)]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def results(self, timeout_seconds: float | None = None) -> Iterator[OrderRecord]:
        """Yield each order's record once, as it becomes final; end when all did or the time is up."""
        return self._producer.results(self.names, timeout_seconds)

    def __iter__(self) -> Iterator[OrderRecord]:
        return self.results()

    def wait(self, timeout_seconds: float | None = None) -> BulkStatus:
        """Wait until every order is final, for ever with None. Raises WaitTimeoutError; the orders go on."""
        for _ in self.results(timeout_seconds):
            pass
        status = self.status()
        if not status.is_ended:
            raise WaitTimeoutError(f"{status.pending} of {status.asked} orders are not final after {timeout_seconds} s")
        return status
