"""Orders that two deaths of workers point at: one at a time, so that a further death names the one to blame."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from worker.dispatch.ports import Suspects
from worker.orders.job import Job

__all__ = ["Probation"]

_SECONDS: Final = 1.0


class Probation:
    """Begins with suspects one after the other, through `take`: the next one when the last has ended, or after a second.

    `take` sends no cancel for a watched order.
    """

    def __init__(self, suspects: Suspects, take: Callable[[Job], None], *, seconds: float = _SECONDS) -> None:
        self._suspects, self._take, self._seconds = suspects, take, seconds
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: dict[Job, asyncio.Event] = {}

    def add(self, job: Job) -> None:
        """Begin with an order when its turn has come."""
        task = asyncio.create_task(self._try(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ended(self, job: Job) -> None:
        """Let the next suspect begin. For an order that is not on probation this does nothing."""
        if (ended := self._ended.pop(job, None)) is not None:
            ended.set()

    def cancel(self) -> None:
        """Forget all that have not begun."""
        for task in self._tasks:
            task.cancel()

    async def clear_suspects(self) -> None:
        """Clear what was taken so far of suspicion, but not while an order is on probation."""
        if not self._lock.locked():
            await self._suspects.clear_suspects()

    async def _try(self, job: Job) -> None:
        async with self._lock:
            await self._suspects.suspect(job)
            ended = self._ended[job] = asyncio.Event()
            self._take(job)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await ended.wait()
