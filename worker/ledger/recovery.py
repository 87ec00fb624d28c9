"""Re-enqueue what lost its worker or its message, and look again at what ended without proof."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.exceptions import RedisError

from neo_cancel.messages import Lane
from worker.ledger.client import LedgerClient
from worker.ledger.hold import Hold
from worker.ledger.keys import COUNTERS, RECOVERY
from worker.ledger.requeuer import Requeuer
from worker.ledger.steps import dead_call, lost_call
from worker.observe.events import InternalError, LedgerAway, Publish, Recovered

__all__ = ["Recovery"]

AT_ONCE: Final = 5000


class Recovery:
    """One pass a second over all workers together, whoever gets the lock."""

    def __init__(
        self,
        ledger: LedgerClient,
        hold: Hold,
        requeuer: Requeuer,
        *,
        pass_seconds: float,
        pickup_seconds: float,
        publish: Publish,
    ) -> None:
        self._ledger, self._hold, self._requeuer, self._publish = ledger, hold, requeuer, publish
        self._pass_seconds, self._pickup_seconds = pass_seconds, pickup_seconds

    async def run_pass(self) -> int:
        """Put back what lost its worker or its message; say how many orders went."""
        lock_ms = int(self._pass_seconds * 900)
        if not await self._ledger.run("SET", RECOVERY, self._hold.worker, "NX", "PX", lock_ms):
            return 0
        recovered = await self._from_dead_workers() if self._hold.may_reap else 0
        for lane in Lane:
            recovered += await self._from_lost_messages(str(lane))
        if recovered:
            await self._ledger.run("HINCRBY", COUNTERS, "recovered", recovered)
        return recovered

    async def _from_dead_workers(self) -> int:
        recovered = 0
        while True:
            answer: list[bytes] = await self._ledger.call(dead_call(at_most=AT_ONCE))
            if not answer:
                return recovered
            owner, names = answer[0].decode(), [part.decode() for part in answer[2:]]
            if names:
                moved = await self._requeuer.requeue(owner, names, why="died", suspects=int(answer[1]))
                recovered += moved
                self._publish(Recovered("died", moved, worker=owner))

    async def _from_lost_messages(self, lane: str) -> int:
        call = lost_call(lane, pickup_ms=int(self._pickup_seconds * 1000), at_most=AT_ONCE)
        answer: Any = await self._ledger.call(call)
        if not answer:
            return 0
        moved = await self._requeuer.requeue("-", [name.decode() for name in answer], why="lost")
        self._publish(Recovered("lost", moved, lane=lane))
        return moved


async def every(seconds: float, what: Callable[[], Awaitable[object]], publish: Publish) -> None:
    """Do something again and again; an error is published, and the next time comes."""
    while True:
        try:
            await what()
        except (RedisError, OSError) as error:
            publish(LedgerAway(type(error).__name__, doing=getattr(what, "__name__", "")))
        except Exception as error:  # noqa: BLE001 (a worker without heartbeat or recovery is no worker)
            publish(InternalError(repr(error), doing=getattr(what, "__name__", "")))
        await asyncio.sleep(seconds)
