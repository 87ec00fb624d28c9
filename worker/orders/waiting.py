"""The orders of one account that wait for their turn: whose turn is next, who may not go yet, whose time is up."""

import heapq
import math
from collections.abc import Callable, Collection
from itertools import count
from typing import Final

from worker.orders.job import Job
from worker.orders.lines import Entry, Lines, take_from

__all__ = ["RISK", "ROUTINE", "WaitingOrders"]

RISK: Final = 0
ROUTINE: Final = 1


class WaitingOrders:
    """Risk before routine; within each, first sends and retries in turn, then watched orders (see Lines).

    A retry waits aside until its time has come. A value without a timer of its own: every time comes in, in seconds since
    the epoch. An order's `waits_until` may grow while it waits here, but not shrink.
    """

    def __init__(self) -> None:
        self._ready = (Lines(), Lines())  # by urgency
        self._delayed: list[Entry] = []
        self._ends: list[Entry] = []  # by waits_until; also of orders that are gone, which are dropped later
        self._arrivals = count()
        self._arrival_of: dict[Job, int] = {}

    def __len__(self) -> int:
        """Count the orders that may go now."""
        return len(self._ready[RISK]) + len(self._ready[ROUTINE])

    def __bool__(self) -> bool:
        """Tell whether an order may go now."""
        return len(self) > 0

    @property
    def is_empty(self) -> bool:
        """No order waits, not even aside."""
        return not self._arrival_of

    @property
    def everyone(self) -> list[Job]:
        """All orders, in no order."""
        return list(self._arrival_of)

    @property
    def first_sends(self) -> int:
        """Count the orders that may go now and have had no turn yet."""
        return sum(lines.first_sends for lines in self._ready)

    @property
    def first_urgency(self) -> int:
        """The urgency of the next order, RISK or ROUTINE; there must be one."""
        return RISK if self._ready[RISK] else ROUTINE

    def count(self, urgency: int) -> int:
        """Count the orders of this urgency that may go now."""
        return len(self._ready[urgency])

    def push(self, job: Job, *, not_before: float = 0.0) -> None:
        """Let an order wait; 0 means that it may go at once."""
        arrival = self._arrival_of[job] = next(self._arrivals)
        heapq.heappush(self._ends, (job.waits_until, arrival, job))
        if not_before > 0:
            heapq.heappush(self._delayed, (not_before, arrival, job))
        else:
            self._ready[_urgency(job)].push(job, arrival)

    def pop(self) -> Job:
        """Take the next order out; there must be one."""
        job = self._ready[self.first_urgency].pop()
        self._forget(job)
        return job

    def take_due(self, now: float) -> list[Job]:
        """Take out the orders whose pause is over, in that order."""
        due: list[Job] = []
        while self._delayed and self._delayed[0][0] <= now:
            due.append(heapq.heappop(self._delayed)[-1])
            self._forget(due[-1])
        return due

    def take_late(self, now: float) -> list[Job]:
        """Take out the orders that have waited long enough, line by line."""
        late: set[Job] = set()
        while self._next_end() <= now:
            late.add(heapq.heappop(self._ends)[-1])
        return self._take(late.__contains__) if late else []

    def take_out(self, numbers: Collection[str]) -> list[Job]:
        """Take out the orders with these numbers."""
        return self._take(lambda job: job.order_number in numbers)

    def take_all(self) -> list[Job]:
        """Take every order out, line by line."""
        return self._take(lambda _: True)

    def next_time(self) -> float:
        """Say when to look at the clock again: the earliest deadline or end of a pause; inf for none."""
        return min(self._next_end(), self._delayed[0][0] if self._delayed else math.inf)

    def _next_end(self) -> float:
        """Say when the first wait for a turn is over; inf for none."""
        while self._ends:
            at, arrival, job = self._ends[0]
            if self._arrival_of.get(job) != arrival:
                heapq.heappop(self._ends)
            elif at < job.waits_until:  # it waits for longer than it did when it came
                heapq.heapreplace(self._ends, (job.waits_until, arrival, job))
            else:
                break
        return self._ends[0][0] if self._ends else math.inf

    def escalate(self, job: Job) -> bool:
        """Put a waiting order where its urgency belongs now; say whether it was there."""
        if not (job.is_risk and self._ready[ROUTINE].remove(job)):
            return False
        self._forget(job)
        self.push(job)
        return True

    def _take(self, is_wanted: Callable[[Job], bool]) -> list[Job]:
        taken = [job for lines in self._ready for job in lines.take(is_wanted)]
        taken += take_from(self._delayed, is_wanted)
        for job in taken:
            self._forget(job)
        return taken

    def _forget(self, job: Job) -> None:
        del self._arrival_of[job]
        # What is gone is not kept alive for long: dropped once it is the greater part, it costs each order the same.
        if len(self._ends) > 2 * len(self._arrival_of):
            self._ends = [entry for entry in self._ends if self._is_there(entry)]
            heapq.heapify(self._ends)

    def _is_there(self, entry: Entry) -> bool:
        _, arrival, job = entry
        return self._arrival_of.get(job) == arrival


def _urgency(job: Job) -> int:
    return RISK if job.is_risk else ROUTINE
