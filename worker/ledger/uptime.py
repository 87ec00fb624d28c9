"""A clock for durations that goes on while the machine sleeps."""

import time

__all__ = ["uptime"]

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime() -> float:
    """Count seconds, from a point that differs between machines. Steps of the wall clock change nothing."""
    return time.clock_gettime(_CLOCK)
