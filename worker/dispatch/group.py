"""Orders that were taken together, and the threads of Celery that wait for such groups to end."""

import asyncio
from typing import Final

__all__ = ["Group", "Threads"]

_CROWDED: Final = 0.75


class Group:
    """Orders that one message or one look at a backlog brought, through this lane. `left`: how many have not ended."""

    __slots__ = ("_over", "lane", "left")

    def __init__(self, lane: str) -> None:
        self.lane, self.left = lane, 0
        self._over = asyncio.Event()

    def add(self) -> None:
        """Count an order that has begun."""
        self.left += 1

    def remove(self) -> None:
        """Count an order no more; the last one ends the wait."""
        self.left -= 1
        if not self.left:
            self._over.set()

    def release(self) -> None:
        """End the wait, whatever is left, also a wait that begins later."""
        self._over.set()

    async def wait(self) -> None:
        """Return when no order is left, or on `release`."""
        if self.left:
            await self._over.wait()


class Threads:
    """The threads of Celery's pool: each one waits for the group of its message.

    Bulks that wait for the rates of their accounts would keep every thread for minutes, and a message for an account that
    could send at once would lie in the queue. So once three quarters of the threads wait, the longest wait is ended. The
    orders of its group are this worker's by the ledger, with the message or without it.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._waiting: dict[Group, None] = {}  # the longest wait first

    async def wait(self, group: Group, *, may_free: bool) -> None:
        """Wait until the group has ended, or its thread is needed. `may_free`: another thread may be set free for this one."""
        self._waiting[group] = None
        if may_free and len(self._waiting) > self.count * _CROWDED:
            next(iter(self._waiting)).release()
        try:
            await group.wait()
        finally:
            del self._waiting[group]
