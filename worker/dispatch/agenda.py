"""When to look at what next."""

import asyncio
import contextlib
import heapq
import math
from collections.abc import Iterator

from neo_cancel.namespace import Key

__all__ = ["Agenda"]


class Agenda:
    """Keys, each with the time of its next look by the loop's clock. One task waits for what is due."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []  # may hold what is not due any more
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def __iter__(self) -> Iterator[Key]:
        """Go over the names."""
        return iter(self._due)

    def put(self, name: Key, at: float) -> None:
        """Look at it then, or earlier if that was said before."""
        if at < self._due.get(name, math.inf):
            self._due[name] = at
            heapq.heappush(self._heap, (at, name))
            self._wake.set()

    async def wait(self) -> None:
        """Return when something is due; there must be something to wait for."""
        loop = asyncio.get_running_loop()
        while (seconds := self._heap[0][0] - loop.time()) > 0:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    def take(self, until: float, most: int) -> list[Key]:
        """Take out what is due by then, the earliest first, at most so many names."""
        due: list[Key] = []
        while self._heap and self._heap[0][0] <= until and len(due) < most:
            at, name = heapq.heappop(self._heap)
            if self._due.get(name) == at:
                del self._due[name]
                due.append(name)
        return due
