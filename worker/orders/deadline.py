"""One timer for many deadlines: a timer for each of thousands of waiting orders would cost as much as the orders."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

__all__ = ["DeadlineTimer"]

_LEAST_PAUSE_SECONDS: Final = 0.005


class DeadlineTimer:
    """Calls `on_time` when the earliest of the times it was set to has come; `on_time` answers the next one, inf for none.

    Times are seconds by the running loop's clock.
    """

    def __init__(self, on_time: Callable[[], float]) -> None:
        self._on_time = on_time
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Call at this time at the latest."""
        if at < self._at:
            self.cancel()
            self._at = at
            self._timer = asyncio.get_running_loop().call_at(at, self._fire)

    def cancel(self) -> None:
        """Call no more, until it is set again."""
        self._at = math.inf
        if self._timer is not None:
            self._timer.cancel()

    def _fire(self) -> None:
        self._at = math.inf
        self.set(max(self._on_time(), asyncio.get_running_loop().time() + _LEAST_PAUSE_SECONDS))
