"""The accounts' rates and read budgets, shared by all processes through Redis."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from worker.ledger.client import LedgerClient
from worker.ledger.steps import pace_call, read_call, slow_call
from worker.observe.events import AccountSlowed, Publish

__all__ = ["SharedRateLimiter", "SharedReadBudget"]

_LATE_SECONDS: Final = 0.08


class SharedRateLimiter:
    """Grants sends. `rate_of` gives an account's order calls per second; 0 means unlimited, and then Redis is not asked."""

    def __init__(self, ledger: LedgerClient, rate_of: Callable[[str], float], publish: Publish) -> None:
        self._ledger, self._rate_of, self._publish = ledger, rate_of, publish

    def is_limited(self, ucc: str) -> bool:
        """See RateLimiter."""
        return self._rate_of(ucc) > 0

    async def take(self, ucc: str, wanted: int, *, is_risk: bool) -> tuple[int, float]:
        """See RateLimiter."""
        rate = self._rate_of(ucc)
        if rate <= 0:
            return wanted, 0.0
        granted, wait_us = await self._ledger.call(pace_call(ucc, wanted=wanted, rate=rate, is_risk=is_risk))
        return granted, wait_us / 1e6

    async def slow_down(self, ucc: str) -> None:
        """See RateLimiter."""
        if self._rate_of(ucc) > 0:
            percent = await self._ledger.call(slow_call(ucc))
            self._publish(AccountSlowed(ucc, percent))


class SharedReadBudget:
    """Gives out times at which an account's book may be read, evenly spaced: `reads_per_second`, all processes together."""

    def __init__(self, ledger: LedgerClient, reads_per_second: float) -> None:
        self._ledger, self._reads_per_second = ledger, reads_per_second

    async def acquire(self, ucc: str) -> None:
        """Wait for the next time that is free. First come, first served: a time is reserved when it is asked for."""
        late_seconds = math.inf
        while late_seconds > _LATE_SECONDS:  # used late, it would meet the reads of the second that follows
            loop = asyncio.get_running_loop()
            asked_at = loop.time()
            wait_us = await self._ledger.call(read_call(ucc, reads_per_second=self._reads_per_second))
            due_at = asked_at + wait_us / 1e6
            await asyncio.sleep(max(0.0, due_at - loop.time()))
            late_seconds = loop.time() - due_at
