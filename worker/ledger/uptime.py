"""A clock for durations that goes on while the machine sleeps."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

__all__ = ["uptime"]

uptime: Final[Callable[[], float]] = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Count seconds, from a point that differs between machines. Steps of the wall clock change nothing."""
