"""What this worker knows of orders it holds, written into their records."""

from collections.abc import Sequence
from typing import Final

from worker.ledger.client import LedgerClient
from worker.ledger.keys import order_key
from worker.ledger.lease import Lease
from worker.ledger.steps import Entry, record_call
from worker.ledger.watch_policy import WatchPolicy
from worker.orders.job import Job

__all__ = ["WRITE_AT_MOST", "Records"]

WRITE_AT_MOST: Final = 200
"""Records in one step: it must not keep the server from others for long."""


class Records:
    """`ttl_seconds` is how long a record lives after it was written last."""

    def __init__(self, ledger: LedgerClient, lease: Lease, watch_policy: WatchPolicy, *, ttl_seconds: int) -> None:
        self._ledger, self._lease, self._watch_policy, self._ttl_seconds = ledger, lease, watch_policy, ttl_seconds

    async def write_progress(self, jobs: Sequence[Job]) -> None:
        """Write where orders stand that this worker goes on holding; nothing for one that a newer owner has."""
        owner = self._lease.worker
        await self._write([_entry(job, owner) for job in jobs])

    async def write_final(self, jobs: Sequence[Job]) -> list[bool]:
        """Write final statuses, which ends the claims; answer for each whether it is written: a newer owner's stays."""
        now = self._ledger.now()
        entries = [_entry(job, None, self._watch_policy.next_look_ms(job, now)) for job in jobs]
        return [bool(answer) for answer in await self._write(entries)]

    async def _write(self, entries: Sequence[Entry]) -> list[int]:
        call = record_call(self._lease.worker, entries, ttl_seconds=self._ttl_seconds)
        answers: list[int] = await self._ledger.call(call)
        return answers


def _entry(job: Job, owner: str | None, look_ms: int | None = None) -> Entry:
    return Entry(order_key(job.ucc, job.order_number), job.fence, job.encode(owner), look_ms)
