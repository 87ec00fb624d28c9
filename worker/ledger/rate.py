"""The accounts' rates, shared by all processes through Redis."""

from collections.abc import Callable, Sequence
from typing import Final

from worker.ledger.client import LedgerClient
from worker.ledger.steps import Wanted, pace_call, slow_call
from worker.ledger.uptime import uptime
from worker.observe.events import AccountSlowed, Publish
from worker.orders.ports import TurnRequest, Turns

__all__ = ["SharedRateLimiter"]

_MOST_ACCOUNTS: Final = 100
"""A script serves so many accounts: Redis answers nobody else meanwhile, for a millisecond or two."""


class SharedRateLimiter:
    """Grants sends. `rate_of` gives an account's order calls per second; 0 means unlimited, and then Redis is not asked."""

    def __init__(self, ledger: LedgerClient, rate_of: Callable[[str], float], publish: Publish) -> None:
        self._ledger, self._rate_of, self._publish = ledger, rate_of, publish

    def is_limited(self, ucc: str) -> bool:
        """See RateLimiter."""
        return self._rate_of(ucc) > 0

    async def take(self, requests: Sequence[TurnRequest], *, ahead_seconds: float) -> list[Turns]:
        """See RateLimiter."""
        answers: list[Turns] = []
        for first in range(0, len(requests), _MOST_ACCOUNTS):
            answers += await self._take(requests[first : first + _MOST_ACCOUNTS], ahead_seconds)
        return answers

    async def slow_down(self, ucc: str, pause_seconds: float) -> None:
        """See RateLimiter."""
        if self._rate_of(ucc) > 0:
            percent = await self._ledger.call(slow_call(ucc, pause_us=int(pause_seconds * 1e6)))
            self._publish(AccountSlowed(ucc, percent))

    async def _take(self, requests: Sequence[TurnRequest], ahead_seconds: float) -> list[Turns]:
        wanted = [Wanted(one.ucc, one.wanted, self._rate_of(one.ucc), one.is_risk) for one in requests]
        limited = [one for one in wanted if one.rate > 0]
        granted = dict(zip((one.ucc for one in limited), await self._granted(limited, ahead_seconds), strict=True))
        now = self._ledger.now()
        return [granted.get(one.ucc) or Turns((now,) * one.sends, now) for one in wanted]

    async def _granted(self, wanted: Sequence[Wanted], ahead_seconds: float) -> list[Turns]:
        if not wanted:
            return []
        asked_at, known_us = uptime(), int(self._ledger.known_time() * 1e6)
        server_us, *answers = await self._ledger.call(
            pace_call(wanted, ahead_us=int(ahead_seconds * 1e6), now_us=known_us)
        )
        self._ledger.learn_time(int(server_us) / 1000, asked_at=asked_at)
        return [_turns(answer, int(server_us) / 1e6) for answer in answers]


def _turns(answer: Sequence[bytes | str], now: float) -> Turns:
    wait_us, *sends = map(int, answer)
    return Turns(tuple(at / 1e6 for at in sends), now + wait_us / 1e6)
