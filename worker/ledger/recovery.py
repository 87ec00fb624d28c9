"""Recovery: orders that lost their worker or their message go back into their queues."""

from typing import Any, Final

from neo_cancel.order import Lane
from worker.ledger.client import LedgerClient
from worker.ledger.keys import COUNTERS
from worker.ledger.lease import Lease
from worker.ledger.requeuer import NO_OWNER, Requeuer
from worker.ledger.steps import dead_call, lost_call
from worker.observe.events import Publish, Recovered

__all__ = ["Recovery"]

_AT_ONCE: Final = 5000
_COUNTER: Final = "recovered"


class Recovery:
    """A pass over all workers and lanes, which one of all workers does at a time.

    `pickup_seconds` is how long a message may be on its way from the queue to a claim.
    """

    def __init__(
        self, ledger: LedgerClient, lease: Lease, requeuer: Requeuer, *, pickup_seconds: float, publish: Publish
    ) -> None:
        self._ledger, self._lease, self._requeuer = ledger, lease, requeuer
        self._pickup_seconds, self._publish = pickup_seconds, publish

    async def run_pass(self) -> int:
        """Put back what lost its worker or its message; answer how many orders went. Raises RedisError."""
        recovered = await self._from_dead_workers() if self._lease.may_reap else 0
        for lane in Lane:
            recovered += await self._from_lost_messages(str(lane))
        if recovered:
            await self._ledger.run("HINCRBY", COUNTERS, _COUNTER, recovered)
        return recovered

    async def _from_dead_workers(self) -> int:
        recovered = 0
        while answer := await self._ledger.call(dead_call(at_most=_AT_ONCE)):
            owner, names = answer[0].decode(), [part.decode() for part in answer[2:]]
            if names:
                moved = await self._requeuer.requeue(owner, names, why="died", suspects=int(answer[1]))
                recovered += moved
                self._publish(Recovered("died", moved, worker=owner))
        return recovered

    async def _from_lost_messages(self, lane: str) -> int:
        call = lost_call(lane, pickup_ms=int(self._pickup_seconds * 1000), at_most=_AT_ONCE)
        names: Any = await self._ledger.call(call)
        if not names:
            return 0
        moved = await self._requeuer.requeue(NO_OWNER, [name.decode() for name in names], why="lost")
        self._publish(Recovered("lost", moved, lane=lane))
        return moved
