"""Sessions made before the market opens, and kept: a cancel must not begin with a login."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from worker.sessions.ports import EXTERNAL, CredentialsBook
from worker.sessions.shared_sessions import SharedSessions

__all__ = ["Warmth", "is_warm_time", "seconds_of_day"]

_DAY_SECONDS: Final = 86_400
_IST_SECONDS: Final = 19_800
_CLOSING_SECONDS: Final = (23 * 60 + 30) * 60
"""Half past eleven in the evening: the last market is about to close, and no session lasts longer than the day."""
_THURSDAY: Final = 3
"""The weekday of 1 January 1970, from Monday on."""
_WEEKEND: Final = 5
_AT_ONCE: Final = 12
"""Fewer than a process may have logins at once: an account whose orders wait need not wait for those that are warmed."""


def seconds_of_day(text: str) -> int:
    """Read a time of day such as 08:30."""
    hours, _, minutes = text.partition(":")
    return (int(hours) * 60 + int(minutes)) * 60


def is_warm_time(now: float, *, begins: int) -> bool:
    """Tell whether sessions are kept: on weekdays in India, from so many seconds after midnight until the last market closes."""
    day, second = divmod(int(now) + _IST_SECONDS, _DAY_SECONDS)
    return (day + _THURSDAY) % 7 < _WEEKEND and begins <= second < _CLOSING_SECONDS


class Warmth:
    """One per process. `begins`: seconds after midnight in India; `clock`: seconds since the epoch.

    Each process does it for all accounts, in an order of its own; an account is logged in once all the same.
    """

    def __init__(
        self, sessions: SharedSessions, book: CredentialsBook, *, begins: int, clock: Callable[[], float]
    ) -> None:
        self._sessions, self._book, self._begins, self._clock = sessions, book, begins, clock
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def tick(self) -> None:
        """Have a session of every account at hand, if it is time for that. A person is told which ones need one."""
        now = self._clock()
        if not is_warm_time(now, begins=self._begins):
            return
        accounts = [one.ucc for one in self._book.all() if one.login != EXTERNAL]
        random.shuffle(accounts)
        await asyncio.gather(*(self._warm(ucc, now) for ucc in accounts))

    async def _warm(self, ucc: str, now: float) -> None:
        async with self._places:
            await self._sessions.warm(ucc, now)
