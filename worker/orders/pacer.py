"""Asking for turns: for all accounts of a process together, a little before they are due."""

import asyncio
import heapq
import math
from itertools import count
from typing import Final, Protocol

from worker.observe.events import InternalError, Publish
from worker.orders.ports import RateLimiter, TurnRequest, Turns

__all__ = ["Asker", "Pacer"]

_AHEAD_SECONDS: Final = 0.003
"""A send is granted at most so long before its time. A risk order of another process may have to wait for it."""
_TICK_SECONDS: Final = 0.012
"""What falls due within this is asked for together."""
_AGAIN_SECONDS: Final = 1.0


class Asker(Protocol):
    """An account that wants turns."""

    def request(self) -> TurnRequest | None:
        """Say what is wanted now; None for nothing."""
        ...

    def granted(self, request: TurnRequest, turns: Turns) -> None:
        """Take what a request was granted; others may have been made meanwhile."""
        ...


class Pacer:
    """Asks the rate limiter for all accounts of one process. Nothing is asked for while no account wants anything.

    A question costs as much as a send, and its answer another switch of tasks: so one serves all accounts that are due.
    """

    def __init__(self, rate_limiter: RateLimiter, publish: Publish) -> None:
        self._rate_limiter, self._publish = rate_limiter, publish
        self._wanted: dict[Asker, float] = {}
        self._heap: list[tuple[float, int, Asker]] = []  # may hold what is not wanted any more
        self._arrivals = count()
        self._is_urgent = False
        self._asked_at = -math.inf
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def want(self, account: Asker, at: float, *, urgent: bool) -> None:
        """Ask for an account's turns, to be had at `at` (by the loop's clock). `urgent`: at once, and not with others.

        A second wish of the same account replaces the first one.
        """
        self._wanted[account] = at
        heapq.heappush(self._heap, (at, next(self._arrivals), account))
        self._is_urgent |= urgent
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ask_while_wanted())
        elif urgent or self._heap[0][-1] is account:
            self._wake.set()

    def close(self) -> None:
        """Ask for nothing any more."""
        self._wanted.clear()
        if self._task is not None:
            self._task.cancel()

    async def _ask_while_wanted(self) -> None:
        while self._wanted:
            await self._until_due()
            accounts = self._take_due(asyncio.get_running_loop().time())
            try:
                await self._ask(accounts)
            except Exception as error:  # noqa: BLE001 (whatever goes wrong here must not stop every account for ever)
                self._publish(InternalError(repr(error)))
                for account in accounts:
                    self._wanted.setdefault(account, 0.0)
                    heapq.heappush(self._heap, (0.0, next(self._arrivals), account))
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _ask(self, accounts: list[Asker]) -> None:
        asking = [(account, request) for account in accounts if (request := account.request()) is not None]
        if not asking:
            return
        self._asked_at = asyncio.get_running_loop().time()
        requests = [request for _, request in asking]
        answers = await self._rate_limiter.take(requests, ahead_seconds=_AHEAD_SECONDS)
        for (account, request), turns in zip(asking, answers, strict=True):
            account.granted(request, turns)

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while self._heap and not self._is_urgent:
            at = max(self._heap[0][0] - _AHEAD_SECONDS, self._asked_at + _TICK_SECONDS)
            if (seconds := at - loop.time()) <= 0:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                return

    def _take_due(self, now: float) -> list[Asker]:
        self._is_urgent = False
        due: list[Asker] = []
        while self._heap and self._heap[0][0] <= now + _AHEAD_SECONDS:
            at, _, account = heapq.heappop(self._heap)
            if self._wanted.get(account) == at:
                del self._wanted[account]
                due.append(account)
        return due
