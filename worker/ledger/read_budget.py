"""When an account's book may be read: times that all processes reserve one by one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["SharedReadBudget"]

_LATE_SECONDS: Final = 0.08
_MOST_TRIES: Final = 3


class SharedReadBudget:
    """Waits for reserved times. `reserve` reserves the account's next one, and answers in how many seconds it comes."""

    def __init__(self, reserve: Callable[[str], Awaitable[float]]) -> None:
        self._reserve = reserve

    async def acquire(self, ucc: str) -> None:
        """Wait until the account may be read once more. First come, first served: a time is reserved when it is asked for.

        A time used too early meets the reads before it, one used late those of the second that follows. So it counts from
        the answer, and is given up where it may be over; after some tries a slow ledger must do.
        """
        loop = asyncio.get_running_loop()
        for _ in range(_MOST_TRIES):
            asked_at = loop.time()
            seconds = await self._reserve(ucc)
            await asyncio.sleep(seconds)
            if loop.time() - (asked_at + seconds) <= _LATE_SECONDS:
                return
