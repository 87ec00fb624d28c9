# Written by tests/sync_twin.py from neo_cancel/aio/producer.py: change that file, then run `make format`.
"""The producer: what a strategy or a risk desk calls."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from neo_cancel.bulk import decoded, final_records, slices
from neo_cancel.connection import connect, shown_url
from neo_cancel.errors import LedgerError, UnknownOrderError
from neo_cancel.keys import DEFAULT_TTL_SECONDS
from neo_cancel.namespace import DEFAULT_NAMESPACE, Namespace
from neo_cancel.open_bulk import OpenBulk
from neo_cancel.order import CancelOrder
from neo_cancel.parcels import CHUNK_SIZE
from neo_cancel.plan import Plan, Rounds, contradicts
from neo_cancel.record import OrderRecord
from neo_cancel.sync.handles import BulkHandle, OrderHandle
from neo_cancel.sync.ledger import Ledger
from neo_cancel.waiting import Pending

__all__ = ["CancelProducer"]


class CancelProducer:
    """Enqueue cancels and learn what became of them. Safe to share between threads.

    `redis_url` is redis, rediss, unix or sentinel (see neo_cancel.connection). `time_to_live_seconds` is how long
    records are kept, 7 days by default. `chunk_size` is the number of orders one message carries at most. `namespace` is
    that of the workers to ask, NEO_CANCEL_NAMESPACE there: they do not see the orders of another one.
    Nothing is connected before the first call; `connect()` does it early. Use it with `with` or call `close()`.

    Every call raises LedgerUnavailableError within 3 s where Redis is not there; a wait that has begun outlives a
    restart.
    The logger `neo_cancel` warns, once, when Redis is away during a wait or no order has become final for 10 s.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        time_to_live_seconds: int = DEFAULT_TTL_SECONDS,
        chunk_size: int = CHUNK_SIZE,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> None:
        self._plan = Plan(time_to_live_seconds, chunk_size)
        self._ledger = Ledger(connect(redis_url), shown_url(redis_url), Namespace(namespace))
        self.address = self._ledger.address

    def connect(self) -> Self:
        """Connect and load the scripts now, so that the first cancel of the day pays for neither.

        Raises LedgerUnavailableError within 3 s, naming the address without the password.
        """
        self._ledger.load_scripts()
        return self

    def close(self) -> None:
        """Close the connections. Orders go on; a second call does nothing."""
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def enqueue(self, order: CancelOrder) -> OrderHandle:
        """Accept one cancel: when this returns, the ledger holds it and a worker has been called.

        Called twice for an order that is being worked on, the second call attaches to the first, which takes over the more
        urgent lane and the later deadline; for one proven dead on the same trading day it is answered from the ledger. Raises
        LedgerUnavailableError or LedgerRefusedError; then repeat it, nothing doubles.
        """
        rounds = Rounds(self._plan.one(order))
        self._ledger.run(rounds)
        return OrderHandle(self, order.ucc, order.order_number, contradicts=contradicts(rounds.replies))

    def enqueue_many(self, orders: Iterable[CancelOrder]) -> BulkHandle:
        """Accept a bulk: risk orders first, many in a message.

        An order named twice is collapsed and counted in `duplicates`. Raises InvalidOrderError for an empty bulk before
        anything is written; LedgerUnavailableError or LedgerRefusedError when part of it may have been accepted. The
        error carries the id of the bulk (`batch`) and what is accepted for certain; repeat the whole bulk, nothing doubles.
        """
        bulk = OpenBulk()
        names = self.enqueue_piece(orders, bulk)
        return BulkHandle(self, bulk.batch, names, **bulk.counts)

    def enqueue_piece(self, orders: Iterable[CancelOrder], bulk: OpenBulk) -> Sequence[str]:
        """Accept a piece of a bulk that is too large for memory; answer the names of its orders, UCC:ORDER_NUMBER.

        All pieces have the id of `bulk`. Urgent orders go first within a piece: send their pieces first. An order that
        comes in two pieces attaches to itself. Raises what `enqueue_many` raises; then repeat all pieces.
        """
        plan = self._plan.many(orders, bulk)
        bulk.offered += len(plan.names)
        rounds = Rounds(plan.calls)
        try:
            self._ledger.run(rounds)
        except LedgerError as error:
            bulk.accepted += rounds.answered
            raise bulk.cut_off(error) from error.__cause__
        bulk.accepted += rounds.answered
        bulk.counts.update(plan.counts(rounds.replies))
        return plan.names

    def order(self, ucc: str, order_number: str) -> OrderHandle:
        """Ask for an order by its names, for example from another process than the one that enqueued it."""
        return OrderHandle(self, ucc, order_number)

    def bulk(self, batch: str) -> BulkHandle:
        """Ask for a bulk by its id. Raises UnknownOrderError where the ledger knows none."""
        names = self._ledger.members(batch)
        if not names:
            raise UnknownOrderError(f"the ledger knows no bulk {batch}")
        return BulkHandle(self, batch, names)

    def look_up(self, ucc: str, order_number: str) -> OrderRecord:
        """Read the record of an order. Raises UnknownOrderError where the ledger holds none."""
        value = self._ledger.value(ucc, order_number)
        if value is None:
            raise UnknownOrderError(f"the ledger knows no order {ucc}:{order_number}")
        return OrderRecord.decode(value)

    def read_records(self, names: Sequence[str]) -> list[OrderRecord | None]:
        """Read the records of orders named UCC:ORDER_NUMBER, in that order; None for one the ledger does not hold."""
        return decoded([value for some in slices(names) for value in self._ledger.values(some)])

    def events(self, *, since: str = "$", timeout_seconds: float | None = None) -> Iterator[OrderRecord]:
        """Follow every order that becomes final, from any producer, from now on or after the event id `since`.

        An event id is the server's time in milliseconds, then "-0"; "0-0" starts with the oldest event kept, about
        20,000 messages ago. Ends after `timeout_seconds`, never without. A slow consumer sees later states; the ledger
        keeps the truth.
        """
        ledger, pending = self._ledger, Pending((), timeout_seconds)
        pending.cursor = since if since != "$" else ledger.last_event()
        while pending.remaining_seconds > 0:
            reply = ledger.retry_until_available(pending, partial(ledger.next_events, pending))
            for some in slices(pending.advance(reply)):
                yield from final_records(ledger.retry_until_available(pending, partial(ledger.values, some)))

    def results(self, names: Sequence[str], timeout_seconds: float | None = None) -> Iterator[OrderRecord]:
        """Yield each named order's record once, as it becomes final; end early when the time is up."""
        ledger, pending = self._ledger, Pending(names, timeout_seconds)
        # Not retried: a server that is away from the start is an error. The wait outlives one that goes away later.
        pending.cursor = ledger.last_event()
        reply: Any = None
        while True:
            for some in slices(pending.to_read(reply)):
                yield from pending.settle(some, ledger.retry_until_available(pending, partial(ledger.values, some)))
            if pending.is_over:
                return
            ledger.warn_if_still(pending)
            reply = ledger.retry_until_available(pending, partial(ledger.next_events, pending))
