"""The waiting orders of one account and urgency that may go now: first sends, retries and watched orders."""

import heapq
from collections.abc import Callable
from typing import Final

from worker.orders.job import Job

__all__ = ["Entry", "Lines", "take_from"]

_FIRST_SENDS_A_RETRY: Final = 3
"""So many first sends go between two retries. A retry has had a turn: it may take a quarter of the turns, not half of them."""

Entry = tuple[float, int, Job]
"""A time in seconds since the epoch, when the order came, and the order."""


class Lines:
    """Three lines, each by the earlier deadline, then by the earlier arrival.

    While first sends and retries wait, three turns in four are for first sends and one for a retry, so that neither starves.
    While only one of the two lines has orders, every turn is for it. Watched orders go after both: a second try for what has
    ended waits for every first one.
    """

    def __init__(self) -> None:
        self._first: list[Entry] = []
        self._again: list[Entry] = []
        self._watched: list[Entry] = []
        self._since_retry = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._again) + len(self._watched)

    @property
    def first_sends(self) -> int:
        """Count the orders that have had no turn yet."""
        return len(self._first)

    def push(self, job: Job, arrival: int) -> None:
        """Put an order into its line."""
        heapq.heappush(self._line_of(job), (job.deadline_at, arrival, job))

    def pop(self) -> Job:
        """Take the order out whose turn it is; there must be one."""
        line = self._next_line()
        self._since_retry = self._since_retry + 1 if line is self._first else 0
        return heapq.heappop(line)[-1]

    def take(self, is_wanted: Callable[[Job], bool]) -> list[Job]:
        """Take these orders out, one line after the other."""
        return [job for line in self._all for job in take_from(line, is_wanted)]

    @property
    def _all(self) -> tuple[list[Entry], ...]:
        return self._first, self._again, self._watched

    def _line_of(self, job: Job) -> list[Entry]:
        if job.is_watched:
            return self._watched
        return self._again if job.has_had_turn else self._first

    def _next_line(self) -> list[Entry]:
        if self._first and self._again:
            return self._again if self._since_retry >= _FIRST_SENDS_A_RETRY else self._first
        return self._first or self._again or self._watched


def take_from(line: list[Entry], is_wanted: Callable[[Job], bool]) -> list[Job]:
    """Take these orders out of a heap, in its order."""
    taken = sorted(entry for entry in line if is_wanted(entry[-1]))
    if taken:
        gone = {job for *_, job in taken}
        line[:] = [entry for entry in line if entry[-1] not in gone]
        heapq.heapify(line)
    return [job for *_, job in taken]
