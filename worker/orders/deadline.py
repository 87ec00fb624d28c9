"""One timer for many deadlines: a timer for each of thousands that wait would cost as much as what they wait for."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

__all__ = ["DeadlineTimer"]

_LEAST_PAUSE_SECONDS: Final = 0.005


class DeadlineTimer:
    """Calls `ring` when the earliest of the times it was set to has come; `ring` answers the next one, inf for none.

    Times are seconds by the loop's clock.
    """

    def __init__(self, ring: Callable[[], float]) -> None:
        self._ring = ring
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Ring at this time at the latest."""
        if at < self._at:
            self.cancel()
            self._at = at
            self._timer = asyncio.get_running_loop().call_at(at, self._rang)

    def cancel(self) -> None:
        """Ring no more, until it is set again."""
        self._at = math.inf
        if self._timer is not None:
            self._timer.cancel()

    def _rang(self) -> None:
        self._at = math.inf
        self.set(max(self._ring(), asyncio.get_running_loop().time() + _LEAST_PAUSE_SECONDS))
