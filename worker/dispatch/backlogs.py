"""Working off the accounts' backlogs: drawing orders as capacity comes free, and adopting backlogs that lost their worker."""

import asyncio
from collections.abc import Sequence
from typing import Final

from neo_cancel.keys import place_of_backlog
from neo_cancel.namespace import Key
from worker.dispatch.capacity import Capacity
from worker.dispatch.in_hand import InHand
from worker.dispatch.ports import BacklogClaims

__all__ = ["Backlogs"]

_DRAWN_AT_ONCE: Final = 200
_ADOPTED_AT_ONCE: Final = 100


class Backlogs:
    """The backlogs that this worker works off, one task each. A backlog goes by the name of its key.

    `look_seconds` is the longest pause between two looks at a backlog: a look also tells other workers that
    one works on it.
    `lanes` are those whose orphaned backlogs are adopted; with none nothing is.
    """

    def __init__(self, claims: BacklogClaims, in_hand: InHand, capacity: Capacity, *, look_seconds: float) -> None:
        self._claims, self._in_hand, self._capacity = claims, in_hand, capacity
        self._look_seconds = look_seconds
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._filled: set[Key] = set()
        self.lanes: Sequence[str] = ()

    def work_off(self, backlog: Key) -> None:
        """Take orders from a backlog until it is empty. For one that is being worked off this means another look."""
        # The task may have found it empty a moment ago, and not ended yet.
        self._filled.add(backlog)
        if backlog not in self._tasks and not self._in_hand.is_draining:
            self._tasks[backlog] = asyncio.create_task(self._work_off(backlog))

    async def adopt(self) -> None:
        """Work off backlogs of the served lanes that no worker works on."""
        if not self.lanes:
            return
        for _ in range(_ADOPTED_AT_ONCE):
            if self._in_hand.is_draining or (backlog := await self._claims.adopt_backlog(self.lanes)) is None:
                return
            self.work_off(backlog)

    async def leave(self) -> None:
        """Offer all backlogs to other workers."""
        await self._claims.leave_backlogs(self._tasks)

    async def _work_off(self, backlog: Key) -> None:
        try:
            await self._draw_all(backlog)
        finally:
            del self._tasks[backlog]

    async def _draw_all(self, backlog: Key) -> None:
        lane, ucc = place_of_backlog(backlog)
        while not self._in_hand.is_draining:
            self._filled.discard(backlog)
            if await self._draw(backlog, lane, ucc):
                await self._capacity.wait(lane, ucc, self._look_seconds)
            elif backlog not in self._filled:
                return

    async def _draw(self, backlog: Key, lane: str, ucc: str) -> int:
        """Take what there is capacity for; answer how many orders are left in the backlog."""
        at_most = min(self._capacity.free(lane, ucc), _DRAWN_AT_ONCE)
        with self._capacity.coming(lane, ucc, at_most):
            left, jobs = await self._claims.draw(backlog, at_most)
        self._in_hand.begin(jobs, lane)
        return left
