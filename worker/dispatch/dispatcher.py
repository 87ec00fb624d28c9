"""From a chunk of orders to orders in hand: claimed as far as there is capacity, the rest left to the account's backlog."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from neo_cancel.keys import backlog_key
from neo_cancel.order import CancelOrder
from neo_cancel.parcels import MAX_CHUNK_SIZE
from worker.dispatch.answer import answer
from worker.dispatch.backlogs import Backlogs
from worker.dispatch.capacity import Capacity
from worker.dispatch.group import Threads
from worker.dispatch.in_hand import InHand
from worker.dispatch.intake import Chunk, Refusal, without_value
from worker.dispatch.ports import Claims, DeadLetters, Held
from worker.ledger.claims import Claimed
from worker.ledger.steps import NOTHING
from worker.observe.events import Publish, Refused

__all__ = ["Dispatcher"]

_WATCHED_AT_ONCE: Final = 100


class Dispatcher:
    """Works on messages and on the watch list. All methods belong to the event loop.

    With `most` orders in hand no thread is set free: then messages wait for one. `begun` is called when the first steps of a
    message's orders are done, which end with what they send.
    """

    def __init__(
        self,
        claims: Claims,
        held: Held,
        in_hand: InHand,
        backlogs: Backlogs,
        *,
        capacity: Capacity,
        threads: Threads,
        most: int,
        dead_letters: DeadLetters,
        begun: Callable[[], None],
        publish: Publish,
    ) -> None:
        self._claims, self._held = claims, held
        self._in_hand, self._backlogs, self._capacity = in_hand, backlogs, capacity
        self._threads, self._most, self._begun = threads, most, begun
        self._dead_letters, self._publish = dead_letters, publish

    def serve(self, lanes: Iterable[str], *, threads: int) -> None:
        """Serve these lanes with so many threads of Celery's. Orphaned backlogs are adopted from now on."""
        self._backlogs.lanes, self._threads.count = sorted(lanes), threads

    async def work(self, chunk: Chunk) -> dict[str, Any]:
        """Work on a message until its orders have ended, another worker has them, or its thread is needed; see answer."""
        await self._refuse(chunk.refusals)
        for ucc in chunk.backlogs:
            self._backlogs.work_off(backlog_key(chunk.lane, ucc))
        claimed = await self._claim(chunk)
        group = self._in_hand.begin([job for part in claimed for job in part.jobs], chunk.lane)
        asyncio.get_running_loop().call_soon(self._begun)
        if group.left:
            await self._threads.wait(group, may_free=len(self._in_hand) < self._most)
        return answer(chunk, claimed)

    async def take_watched(self) -> None:
        """Take orders from the watch list that are due."""
        if not self._in_hand.is_draining:
            for job in await self._claims.claim_watched(_WATCHED_AT_ONCE):
                self._in_hand.begin([job], job.lane)

    async def drain(self, at: float) -> None:
        """Take no more, let calls in flight end, at the latest `at` by the loop's clock, and give everything else back."""
        await self._in_hand.stop(at)
        await self._backlogs.leave()
        await self._claims.release(list(self._held))

    async def _refuse(self, refusals: Iterable[Refusal]) -> None:
        for refusal in refusals:
            await self._dead_letters.add_dead_letter(refusal.reason, refusal.part)
            self._publish(Refused(without_value(refusal.reason)))

    async def _claim(self, chunk: Chunk) -> list[Claimed]:
        return [await self._claim_some(chunk.lane, orders) for orders in _portions(chunk.orders)]

    async def _claim_some(self, lane: str, orders: Mapping[str, Sequence[CancelOrder]]) -> Claimed:
        room = {ucc: min(self._capacity.free(lane, ucc), len(some)) for ucc, some in orders.items()}
        with self._capacity.coming({(lane, ucc): count for ucc, count in room.items()}):
            at_most = dict.fromkeys(room, NOTHING) if self._in_hand.is_draining else room
            claimed = await self._claims.claim(lane, orders, at_most)
        for ucc, some in orders.items():
            if room[ucc] < len(some):
                self._backlogs.work_off(backlog_key(lane, ucc))
        return claimed


def _portions(orders: Mapping[str, Sequence[CancelOrder]]) -> Iterator[Mapping[str, Sequence[CancelOrder]]]:
    """Divide what came in a message: a step of the ledger must not keep the server from others for long."""
    portion: dict[str, Sequence[CancelOrder]] = {}
    free = MAX_CHUNK_SIZE
    for ucc, some in orders.items():
        left = some
        while left:
            portion[ucc], left = left[:free], left[free:]
            free -= len(portion[ucc])
            if not free:
                yield portion
                portion, free = {}, MAX_CHUNK_SIZE
    if portion:
        yield portion
