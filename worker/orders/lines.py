"""The waiting orders of one account and urgency that may go now: first sends, retries and watched orders."""

import heapq
from collections.abc import Callable
from typing import Final

from worker.orders.job import Job

__all__ = ["Entry", "Lines", "take_from"]

_FIRST_SENDS_A_RETRY: Final = 3
"""So many first sends go between two retries. A retry has had a turn: it may take a quarter of the turns, not half of them."""

_FIRST, _AGAIN, _WATCHED = range(3)
_FEW: Final = 8

Entry = tuple[float, int, Job]
"""A time in seconds since the epoch, when the order came, and the order."""


class Lines:
    """Three lines, each by the earlier deadline, then by the earlier arrival.

    While first sends and retries wait, three turns in four are for first sends and one for a retry, so that neither starves.
    While only one of the two lines has orders, every turn is for it. Watched orders go after both: a second try for what has
    ended waits for every first one.
    """

    def __init__(self) -> None:
        self._lines: tuple[list[Entry], ...] = ([], [], [])  # may hold orders that are gone
        self._place_of: dict[Job, tuple[int, int]] = {}  # the line, and when it came
        self._counts = [0, 0, 0]
        self._since_retry = 0

    def __len__(self) -> int:
        return len(self._place_of)

    @property
    def first_sends(self) -> int:
        """Count the orders that have had no turn yet."""
        return self._counts[_FIRST]

    def push(self, job: Job, arrival: int) -> None:
        """Put an order into its line."""
        line = _line_of(job)
        self._place_of[job] = line, arrival
        self._counts[line] += 1
        heapq.heappush(self._lines[line], (job.deadline_at, arrival, job))

    def pop(self) -> Job:
        """Take the order out whose turn it is; there must be one."""
        line = self._next_line()
        self._since_retry = self._since_retry + 1 if line == _FIRST else 0
        while True:
            _, arrival, job = heapq.heappop(self._lines[line])
            if self._place_of.get(job) == (line, arrival):
                self._forget(job)
                return job

    def remove(self, job: Job) -> bool:
        """Take this order out; say whether it was there."""
        if job not in self._place_of:
            return False
        self._forget(job)
        return True

    def take(self, is_wanted: Callable[[Job], bool]) -> list[Job]:
        """Take these orders out, one line after the other."""
        taken: list[Job] = []
        for line, entries in enumerate(self._lines):
            taken += [
                job
                for _, arrival, job in sorted(entries)
                if self._place_of.get(job) == (line, arrival) and is_wanted(job)
            ]
        for job in taken:
            self._forget(job)
        return taken

    def _forget(self, job: Job) -> None:
        line, _ = self._place_of.pop(job)
        self._counts[line] -= 1
        entries = self._lines[line]
        # What is gone is not kept alive for long: dropped once it is the greater part, it costs each order the same.
        if len(entries) > 2 * self._counts[line] + _FEW:
            entries[:] = [entry for entry in entries if self._place_of.get(entry[-1]) == (line, entry[1])]
            heapq.heapify(entries)

    def _next_line(self) -> int:
        if self._counts[_FIRST] and self._counts[_AGAIN]:
            return _AGAIN if self._since_retry >= _FIRST_SENDS_A_RETRY else _FIRST
        return next(line for line, count in enumerate(self._counts) if count)


def _line_of(job: Job) -> int:
    if job.is_watched:
        return _WATCHED
    return _AGAIN if job.has_had_turn else _FIRST


def take_from(line: list[Entry], is_wanted: Callable[[Job], bool]) -> list[Job]:
    """Take these orders out of a heap, in its order."""
    taken = sorted(entry for entry in line if is_wanted(entry[-1]))
    if taken:
        gone = {job for *_, job in taken}
        line[:] = [entry for entry in line if entry[-1] not in gone]
        heapq.heapify(line)
    return [job for *_, job in taken]
