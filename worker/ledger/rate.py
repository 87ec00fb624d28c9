"""The accounts' rates, shared by all processes through Redis."""

from collections.abc import Callable

from worker.ledger.client import LedgerClient
from worker.ledger.steps import pace_call, slow_call
from worker.observe.events import AccountSlowed, Publish

__all__ = ["SharedRateLimiter"]


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
