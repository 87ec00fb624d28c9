"""Places in flight of the whole process: how many calls it makes at once, and whose the next one is."""

from collections.abc import Callable
from typing import Final

from worker.orders.job import Job
from worker.orders.waiting import RISK, ROUTINE

__all__ = ["Places"]

_ASKED_FOR_A_PLACE: Final = 0.5
"""So many accounts may ask for a turn at once, for each call that may be in flight: what is granted and not sent within
milliseconds is lost."""


class Places:
    """Account queues that find no place get the next ones in turn, those with a risk order first.

    `most`: calls in flight. `kept`: so many more are for risk orders alone, whatever is in flight. There may be more calls
    than places: an account that was blocked answers its orders without a call, and a turn that the rate limiter grants is
    used.
    """

    def __init__(self, most: int, kept: int = 0) -> None:
        self._most = self._free = most
        self._kept = kept
        self._asked = 0
        self._risk_in_flight: set[Job] = set()
        self._starving: tuple[dict[Callable[[], bool], None], ...] = ({}, {})  # by urgency

    def free_for(self, urgency: int) -> int:
        """Count the calls that may be added now for orders of this urgency; below 1 for none."""
        if urgency == RISK:
            return self._kept + max(self._free, -len(self._risk_in_flight))
        return self._free

    def are_contended(self, urgency: int) -> bool:
        """Tell whether a queue with an order as urgent waits for a place, or would have to."""
        return self.free_for(urgency) <= 0 or any(self._starving[: urgency + 1])

    @property
    def are_all_free(self) -> bool:
        """No call is in flight."""
        return self._free == self._most

    def may_ask(self, urgency: int, *, is_due: bool = False) -> bool:
        """Tell whether one more account may ask for a turn at once; `is_due`: its own next time has come."""
        most = self._most if is_due else _ASKED_FOR_A_PLACE * self._most
        return self.free_for(urgency) > 0 and (urgency == RISK or self._asked < most)

    def count_asked(self, count: int) -> None:
        """Count accounts that ask for a turn at once; when one has its answer, a queue that waits is woken."""
        self._asked += count
        if count < 0:
            self._wake()

    def take(self, job: Job) -> None:
        """Use a place for an order."""
        self._free -= 1
        if job.is_risk:
            self._risk_in_flight.add(job)

    def wait(self, wake: Callable[[], bool], urgency: int) -> None:
        """Have `wake` called when a place is free for this urgency; it answers whether it took it."""
        self._starving[urgency][wake] = None

    def give_back(self, job: Job) -> None:
        """Free the order's place, and wake the queue whose turn it is; one that does not use it leaves it to the next."""
        self._free += 1
        self._risk_in_flight.discard(job)  # it may have become one in flight
        self._wake()

    def _wake(self) -> None:
        for urgency in (RISK, ROUTINE):
            queues = self._starving[urgency]
            while queues and self.may_ask(urgency):
                wake = next(iter(queues))
                del queues[wake]
                if wake():
                    return
