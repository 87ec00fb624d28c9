"""A producer for strategies' own tests: no Redis, no worker, every answer from memory."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from neo_cancel.duplicates import distinct
from neo_cancel.errors import UnknownOrderError, WaitTimeoutError
from neo_cancel.open_bulk import OpenBulk
from neo_cancel.order import CancelOrder, Lane
from neo_cancel.record import FINAL, OrderRecord, Status
from neo_cancel.sync.handles import BulkHandle, OrderHandle
from neo_cancel.sync.producer import CancelProducer

__all__ = ["RecordingProducer"]


class RecordingProducer(CancelProducer):
    """Record what a strategy enqueues, and play the workers with `settle`. Connects nowhere.

    `orders` are the cancels for which a worker would be called, in the order of arrival. An order named twice in a bulk
    is in there once. One that is dead already is left out, and so is one under way, unless a risk cancel asks for it.
    """

    def __init__(self) -> None:
        super().__init__("redis://recording.invalid")
        self.orders: list[CancelOrder] = []
        self._records: dict[str, OrderRecord] = {}
        self._batches: dict[str, list[str]] = {}
        self._ended: list[str] = []

    def settle(self, ucc: str, order_number: str, status: Status | str, **fields: Any) -> OrderRecord:
        """Make an order final, as a worker would; `fields` are those of OrderRecord, such as `filled_quantity`.

        Raises UnknownOrderError for an order that was never enqueued and ValueError for a status that is not final.
        """
        if Status(status) not in FINAL:
            raise ValueError(f"{status} is not final")
        settled = {"final_at": time.time(), "owner": None, **fields}
        record = replace(self.look_up(ucc, order_number), status=Status(status), **settled)
        self._records[record.key] = record
        self._ended.append(record.key)
        return record

    def connect(self) -> Self:
        """Do nothing."""
        return self

    def close(self) -> None:
        """Do nothing; what was recorded stays."""

    def enqueue(self, order: CancelOrder) -> OrderHandle:
        """Record one cancel; attach where it is under way, answer where it is dead."""
        distinct([order])
        before = self._accept(order, None)
        return OrderHandle(self, order.ucc, order.order_number, contradicts=_contradicts(order, before))

    def enqueue_many(self, orders: Iterable[CancelOrder]) -> BulkHandle:
        """Record a bulk, with the counts the ledger would give. Raises InvalidOrderError for an empty one."""
        bulk = OpenBulk()
        names = self.enqueue_piece(orders, bulk)
        return BulkHandle(self, bulk.batch, names, **bulk.counts)

    def enqueue_piece(self, orders: Iterable[CancelOrder], bulk: OpenBulk) -> Sequence[str]:
        """Record a piece of a bulk."""
        kept, duplicates = distinct(orders)
        before = [self._accept(order, bulk.batch) for order in kept]
        names = [f"{order.ucc}:{order.order_number}" for order in kept]
        self._batches.setdefault(bulk.batch, []).extend(names)
        dead = sum(record is not None and record.is_dead for record in before)
        working = sum(record is not None and not record.is_final for record in before)
        other = sum(_contradicts(order, record) for order, record in zip(kept, before, strict=True))
        bulk.counts.update(duplicates=duplicates, attached=working, answered=dead, contradicted=other)
        return names

    def bulk(self, batch: str) -> BulkHandle:
        """Ask for a recorded bulk. Raises UnknownOrderError where there is none."""
        if batch not in self._batches:
            raise UnknownOrderError(f"no bulk {batch} was enqueued")
        return BulkHandle(self, batch, self._batches[batch])

    def look_up(self, ucc: str, order_number: str) -> OrderRecord:
        """Read the record of an order. Raises UnknownOrderError where none was enqueued."""
        if (record := self._records.get(f"{ucc}:{order_number}")) is None:
            raise UnknownOrderError(f"no order {ucc}:{order_number} was enqueued")
        return record

    def read_records(self, names: Sequence[str]) -> list[OrderRecord | None]:
        """Read the records of orders named UCC:ORDER_NUMBER."""
        return [self._records.get(name) for name in names]

    def results(self, names: Sequence[str], timeout_seconds: float | None = None) -> Iterator[OrderRecord]:
        """Yield what is settled. Where a real wait without time-out would hang, raise WaitTimeoutError at once."""
        records = [self._records[name] for name in names if name in self._records]
        yield from (record for record in records if record.is_final)
        hanging = [record.key for record in records if not record.is_final]
        if hanging and timeout_seconds is None:
            raise WaitTimeoutError(f"not settled: {', '.join(hanging)}; call settle() before the wait")

    def events(self, *, since: str = "$", timeout_seconds: float | None = None) -> Iterator[OrderRecord]:  # noqa: ARG002
        """Yield every settled order that no earlier iteration has seen, oldest first, then end instead of waiting."""
        while self._ended:
            yield self._records[self._ended.pop(0)]

    def _accept(self, order: CancelOrder, batch: str | None) -> OrderRecord | None:
        before = self._records.get(f"{order.ucc}:{order.order_number}")
        if before is None or (before.is_final and not before.is_dead):
            fresh = OrderRecord(
                **order.to_wire(),
                status=Status.QUEUED,
                batch=batch,
                enqueued_at=time.time(),
                maybe_sent=before is not None and before.maybe_sent,
            )
            self._records[fresh.key] = fresh
            self.orders.append(order)
        elif not before.is_dead:
            if order.lane == Lane.RISK != before.lane:
                self.orders.append(order)
            self._records[before.key] = _with_more(before, order)
        return before


def _with_more(record: OrderRecord, order: CancelOrder) -> OrderRecord:
    """Take over the more urgent lane and the later deadline."""
    until = time.time() + order.effective_deadline_seconds
    seconds = max(record.deadline_seconds, until - record.enqueued_at)
    return replace(record, lane=min(record.lane, order.lane), deadline_seconds=seconds)


def _contradicts(order: CancelOrder, record: OrderRecord | None) -> bool:
    """Tell whether work is under way for a request that says something else of the order."""
    if record is None or record.is_final:
        return False
    symbols = {order.trading_symbol, record.trading_symbol} - {None}
    return (order.variety, order.amo) != (record.variety, record.amo) or len(symbols) > 1
