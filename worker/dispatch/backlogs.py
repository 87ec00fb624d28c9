"""Working off the accounts' backlogs: drawing orders as capacity comes free, and adopting backlogs that lost their worker."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from neo_cancel.keys import place_of_backlog
from neo_cancel.namespace import Key
from neo_cancel.order import Lane
from worker.dispatch.agenda import Agenda
from worker.dispatch.capacity import Capacity
from worker.dispatch.in_hand import InHand
from worker.dispatch.ports import BacklogClaims
from worker.observe.events import InternalError, Publish

__all__ = ["Backlogs"]

_DRAWN_AT_ONCE: Final = 200
_DRAWN_OF_ONE: Final = 50
"""As many as a message has: what is taken together comes under suspicion together."""
_BACKLOGS_AT_ONCE: Final = 20
_TICK_SECONDS: Final = 0.01
"""What falls due within this is drawn together."""
_ADOPTED_AT_ONCE: Final = 100
_AGAIN_SECONDS: Final = 1.0


class Backlogs:
    """The backlogs that this worker works off. A backlog goes by the name of its key. All methods belong to the event loop.

    One task draws from all of them, many in one step of the ledger. `look_seconds` is the longest pause between two looks at a
    backlog: a look also tells other workers that one works on it. `lanes` are those whose orphaned backlogs are adopted;
    with none nothing is.
    """

    def __init__(
        self, claims: BacklogClaims, in_hand: InHand, capacity: Capacity, publish: Publish, *, look_seconds: float
    ) -> None:
        self._claims, self._in_hand, self._capacity, self._publish = claims, in_hand, capacity, publish
        self._look_seconds = look_seconds
        self._agenda = Agenda()
        self._drawing: Sequence[Key] = ()
        self._task: asyncio.Task[None] | None = None
        self.lanes: Sequence[str] = ()

    def work_off(self, backlog: Key) -> None:
        """Take orders from a backlog until it is empty. For one that is being worked off this means another look now."""
        if self._in_hand.is_draining:
            return
        lane, _ = place_of_backlog(backlog)
        self._agenda.put(backlog, -1.0 if lane == Lane.RISK else 0.0)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

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
        await self._claims.leave_backlogs(dict.fromkeys([*self._drawing, *self._agenda]))

    async def _work(self) -> None:
        while self._agenda and not self._in_hand.is_draining:
            await self._agenda.wait()
            soon = asyncio.get_running_loop().time() + _TICK_SECONDS
            self._drawing = self._agenda.take(soon, _BACKLOGS_AT_ONCE)
            try:
                await self._draw(self._drawing)
            except Exception as error:  # noqa: BLE001 (whatever goes wrong here must not stop every account for ever)
                self._publish(InternalError(repr(error)))
                for backlog in self._drawing:
                    self._agenda.put(backlog, asyncio.get_running_loop().time() + _AGAIN_SECONDS)
            self._drawing = ()

    async def _draw(self, backlogs: Iterable[Key]) -> None:
        """Take what there is capacity for, of each backlog."""
        at_most: dict[Key, int] = {}
        left = _DRAWN_AT_ONCE
        for backlog in backlogs:
            at_most[backlog] = min(self._capacity.free(*place_of_backlog(backlog)), _DRAWN_OF_ONE, left)
            left -= at_most[backlog]
        if not at_most:
            return
        with self._capacity.coming({place_of_backlog(backlog): count for backlog, count in at_most.items()}):
            answers = await self._claims.draw(at_most)
        for backlog, (still_there, jobs) in zip(at_most, answers, strict=True):
            self._in_hand.begin(jobs, place_of_backlog(backlog)[0])
            if still_there:
                self._wait(backlog)
            else:
                self._capacity.forget(*place_of_backlog(backlog))

    def _wait(self, backlog: Key) -> None:
        """Look again when there is capacity, at the latest before other workers take the backlog for abandoned."""
        lane, ucc = place_of_backlog(backlog)
        seconds = self._capacity.wait(lane, ucc, partial(self.work_off, backlog))
        self._agenda.put(backlog, asyncio.get_running_loop().time() + min(seconds, self._look_seconds))
