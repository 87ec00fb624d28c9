"""When an order that ended while it may still work is looked at again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from neo_cancel.record import Status
from worker.ledger.crashes import MOST_CRASHES, MOST_CRASHES_OF_ALL
from worker.orders.job import Job
from worker.orders.trading_day import is_day_over

__all__ = ["WatchPolicy"]

_SELDOM: Final = 12


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """`is_watched` says of an account and a final status whether such an order is watched, until its trading day is over.

    Looks are `interval_seconds` apart; twelve times that for an order that ended because it killed workers. One that kills
    those that look at it, too, is not watched any more.
    """

    is_watched: Callable[[str, Status], bool]
    interval_seconds: float

    def next_look_ms(self, job: Job, now: float) -> int | None:
        """Milliseconds since the epoch; None where the order is not looked at any more. `now` is in seconds."""
        if job.crashes >= MOST_CRASHES_OF_ALL or is_day_over(job.accepted_at, now):
            return None
        if not self.is_watched(job.ucc, job.status):
            return None
        times = _SELDOM if job.crashes >= MOST_CRASHES else 1
        return int((now + times * self.interval_seconds) * 1000)
