"""Handles for asyncio: one order's cancel, or a bulk's, to ask about and to wait for."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from neo_cancel.bulk import BulkStatus
from neo_cancel.record import OrderRecord
from neo_cancel.waiting import bulk_timeout, order_timeout

__all__ = ["AsyncBulkHandle", "AsyncOrderHandle", "AsyncRecords"]


class AsyncRecords(Protocol):
    """Where a handle's answers come from."""

    async def look_up(self, ucc: str, order_number: str) -> OrderRecord:
        """Read the record of one order."""
        ...

    async def read_records(self, names: Sequence[str]) -> list[OrderRecord | None]:
        """Read the records of orders named UCC:ORDER_NUMBER."""
        ...

    def results(self, names: Sequence[str], timeout_seconds: float | None = None) -> AsyncIterator[OrderRecord]:
        """Yield each named order's record once, as it becomes final."""
        ...


class AsyncOrderHandle:
    """One order's cancel, to ask about and to wait for.

    `contradicts`: work on it was under way for a request with another variety, AMO flag or symbol; the order book settles which
    is right. False for an order that is only asked about.
    """

    def __init__(self, records: AsyncRecords, ucc: str, order_number: str, *, contradicts: bool = False) -> None:
        self._records, self.contradicts = records, contradicts
        self.ucc, self.order_number = ucc, order_number

    def __repr__(self) -> str:
        return f"AsyncOrderHandle({self.ucc}:{self.order_number})"

    async def status(self) -> OrderRecord:
        """Read what is known now. Raises UnknownOrderError where the ledger holds no such order."""
        return await self._records.look_up(self.ucc, self.order_number)

    async def wait(self, timeout_seconds: float | None = None) -> OrderRecord:
        """Wait until the order is final, for ever with None. Raises WaitTimeoutError; the order goes on.

        The wait outlives a restart of the server. It raises LedgerUnavailableError where the server is away from the start.
        """
        async for record in self._records.results([f"{self.ucc}:{self.order_number}"], timeout_seconds):
            return record
        current = await self.status()
        if current.is_final:
            return current
        raise order_timeout(current, timeout_seconds)


class AsyncBulkHandle:
    """Many orders' cancels, `names` being the orders as UCC:ORDER_NUMBER.

    `duplicates` were collapsed, `attached` were under way already, `answered` were dead already. Of those attached,
    `contradicted` were asked for before with another variety, AMO flag or symbol, which the order book settles. All are 0 for
    a bulk asked for by its id.
    """

    def __init__(
        self,
        records: AsyncRecords,
        batch: str,
        names: Sequence[str],
        *,
        duplicates: int = 0,
        attached: int = 0,
        answered: int = 0,
        contradicted: int = 0,
    ) -> None:
        self._records = records
        self.batch, self.names = batch, tuple(names)
        self.duplicates, self.attached, self.answered = duplicates, attached, answered
        self.contradicted = contradicted

    def __repr__(self) -> str:
        return f"AsyncBulkHandle({self.batch}, {len(self.names)} {'order' if len(self.names) == 1 else 'orders'})"

    def __len__(self) -> int:
        return len(self.names)

    async def status(self) -> BulkStatus:
        """Count the orders per status now."""
        return BulkStatus.of(await self.records())

    async def records(self) -> list[OrderRecord | None]:
        """Read every order's record, in the order of the bulk; None for one past its time to live."""
        return await self._records.read_records(self.names)

    def results(self, timeout_seconds: float | None = None) -> AsyncIterator[OrderRecord]:
        """Yield each order's record once, as it becomes final; end when all did or the time is up."""
        return self._records.results(self.names, timeout_seconds)

    def __aiter__(self) -> AsyncIterator[OrderRecord]:
        return self.results()

    async def wait(self, timeout_seconds: float | None = None) -> BulkStatus:
        """Wait until every order is final, for ever with None. Raises WaitTimeoutError; the orders go on.

        The wait outlives a restart of the server. It raises LedgerUnavailableError where the server is away from the start.
        """
        final = [record async for record in self.results(timeout_seconds)]
        if len(final) == len(self.names):
            return BulkStatus.of(final)
        status = await self.status()
        if not status.is_ended:
            raise bulk_timeout(status, timeout_seconds)
        return status
