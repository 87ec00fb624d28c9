"""When an order that ended while it may still work is looked at again."""

from collections.abc import Callable
from dataclasses import dataclass

from neo_cancel.record import Status
from worker.orders.job import Job
from worker.orders.trading_day import is_day_over

__all__ = ["WatchPolicy"]


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """`is_watched` says of an account and a final status whether such an order is watched, until its trading day is over.

    Looks are `interval_seconds` apart.
    """

    is_watched: Callable[[str, Status], bool]
    interval_seconds: float

    def next_look_ms(self, job: Job, now: float) -> int | None:
        """Milliseconds since the epoch; None where the order is not looked at any more. `now` is in seconds."""
        if not self.is_watched(job.ucc, job.status) or is_day_over(job.accepted_at, now):
            return None
        return int((now + self.interval_seconds) * 1000)
