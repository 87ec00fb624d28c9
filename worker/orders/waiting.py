"""The orders of one account that wait for their turn: whose turn is next, who may not go yet, whose time is up."""

import heapq
import math
from collections.abc import Callable, Collection
from itertools import count
from typing import Final

from worker.orders.job import Job

__all__ = ["RISK", "ROUTINE", "WaitingOrders"]

RISK: Final = 0
ROUTINE: Final = 1

_Entry = tuple[int, float, int, Job]
_Delayed = tuple[float, int, Job]


class WaitingOrders:
    """Risk before routine, then the earlier deadline, then the earlier arrival; a retry waits aside until its time has come.

    A value without a timer of its own: every time comes in, in seconds since the epoch.
    """

    def __init__(self) -> None:
        self._ready: list[_Entry] = []
        self._delayed: list[_Delayed] = []
        self._arrivals = count()

    def __len__(self) -> int:
        """Count the orders that may go now."""
        return len(self._ready)

    def __bool__(self) -> bool:
        """Tell whether an order may go now."""
        return bool(self._ready)

    @property
    def is_empty(self) -> bool:
        """No order waits, not even aside."""
        return not self._ready and not self._delayed

    @property
    def everyone(self) -> list[Job]:
        """All orders, in no order."""
        return [entry[-1] for entry in self._ready] + [entry[-1] for entry in self._delayed]

    @property
    def first_urgency(self) -> int:
        """The urgency of the next order, RISK or ROUTINE; there must be one."""
        return self._ready[0][0]

    @property
    def alike(self) -> int:
        """How many turns are worth asking for at once: risk orders alone if one is first, else all."""
        if self.first_urgency == ROUTINE:
            return len(self._ready)
        return sum(entry[0] == RISK for entry in self._ready)

    def push(self, job: Job, *, not_before: float = 0.0) -> None:
        """Let an order wait; 0 means that it may go at once."""
        if not_before > 0:
            heapq.heappush(self._delayed, (not_before, next(self._arrivals), job))
            return
        # A second try for what has ended waits for every first one.
        deadline_at = math.inf if job.is_watched else job.deadline_at
        heapq.heappush(self._ready, (_urgency(job), deadline_at, next(self._arrivals), job))

    def pop(self) -> Job:
        """Take the next order out; there must be one."""
        return heapq.heappop(self._ready)[-1]

    def take_due(self, now: float) -> list[Job]:
        """Take out the orders whose pause is over, in that order."""
        due: list[Job] = []
        while self._delayed and self._delayed[0][0] <= now:
            due.append(heapq.heappop(self._delayed)[-1])
        return due

    def take_late(self, now: float) -> list[Job]:
        """Take out the orders that have waited long enough, in the order of their turns."""
        return self._take(lambda job: job.waits_until <= now)

    def take_out(self, numbers: Collection[str]) -> list[Job]:
        """Take out the orders with these numbers."""
        return self._take(lambda job: job.order_number in numbers)

    def take_all(self) -> list[Job]:
        """Take every order out, in the order of their turns."""
        return self._take(lambda _: True)

    def next_time(self) -> float:
        """Say when to look at the clock again: the earliest deadline or end of a pause; inf for none."""
        ends = [entry[-1].waits_until for entry in self._ready] + [entry[-1].waits_until for entry in self._delayed]
        pauses = [entry[0] for entry in self._delayed[:1]]
        return min(ends + pauses, default=math.inf)

    def escalate(self, job: Job) -> bool:
        """Put a waiting order where its urgency belongs now; say whether it was there."""
        for entry in self._ready:
            if entry[-1] is job and entry[0] != _urgency(job):
                self._ready.remove(entry)
                heapq.heapify(self._ready)
                self.push(job)
                return True
        return False

    def _take(self, is_wanted: Callable[[Job], bool]) -> list[Job]:
        taken = [job for *_, job in sorted(entry for entry in self._ready if is_wanted(entry[-1]))]
        taken += [job for *_, job in sorted(entry for entry in self._delayed if is_wanted(entry[-1]))]
        if taken:
            gone = set(map(id, taken))
            self._ready = [entry for entry in self._ready if id(entry[-1]) not in gone]
            self._delayed = [entry for entry in self._delayed if id(entry[-1]) not in gone]
            heapq.heapify(self._ready)
            heapq.heapify(self._delayed)
        return taken


def _urgency(job: Job) -> int:
    return RISK if job.is_risk else ROUTINE
