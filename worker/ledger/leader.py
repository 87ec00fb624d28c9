"""What one of all workers does for all: a job by name, once a period."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from worker.ledger.client import LedgerClient
from worker.ledger.keys import leader_key
from worker.ledger.lease import Lease

__all__ = ["Leader", "LeaderJob"]

_SHARE: Final = 0.9
"""The lock lasts for this share of the period: it must be gone when the next tick comes."""


@dataclass(frozen=True, slots=True)
class LeaderJob:
    """Work for one of all workers. `name` is the lock's, the same in every worker; each calls `tick` once a period."""

    name: str
    period_seconds: float
    work: Callable[[], Awaitable[object]]


class Leader:
    """Lets the worker that comes first do a job. There is no lasting leader: the next period is another worker's chance."""

    def __init__(self, ledger: LedgerClient, lease: Lease) -> None:
        self._ledger, self._lease = ledger, lease

    async def tick(self, job: LeaderJob) -> bool:
        """Do the job unless some worker began it within the period; answer whether this one did.

        The lock is not given back: where the work fails, the next period tries again. Work that takes longer than its
        period runs in two workers at once. Raises RedisError where the server is away, and what the work raises.
        """
        lock_ms = max(1, int(job.period_seconds * 1000 * _SHARE))
        if not await self._ledger.run("SET", leader_key(job.name), self._lease.worker, "NX", "PX", lock_ms):
            return False
        await job.work()
        return True
