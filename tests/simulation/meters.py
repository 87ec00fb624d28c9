"""What is counted over time: calls in a rolling second, and when a process looked at an account's book."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Final

from tests.simulation.accounts import Account
from tests.simulation.plan import Plan

__all__ = ["PATIENCE", "Read", "Reads", "RollingSecond"]

PATIENCE: Final = 3.0
"""Seconds in which a process that could have read the book must have begun to: it may wait 1.2 s for other orders to be
acknowledged, and then 1.65 s for its turn, since three processes share two reads a second."""
_AGAIN: Final = 1.7
"""Seconds until a process that stood still, and so missed the time of its read, has another one: three share two a second."""
_ROUNDING: Final = 1e-9


class RollingSecond:
    """Counts calls by account. `counted` answers how many there were in the second that ends with this call."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = defaultdict(deque)

    def counted(self, ucc: str, now: float) -> int:
        times = self._times[ucc]
        times.append(now)
        while times[0] <= now - 1.0 + _ROUNDING:
            times.popleft()
        return len(times)


@dataclass(slots=True)
class Read:
    """A read of the whole book (`number` None) or of one order, under way until `ended_at`."""

    begun_at: float
    number: str | None
    ended_at: float = math.inf

    def covers(self, number: str, since: float, until: float) -> bool:
        return self.begun_at <= until and self.ended_at >= since and self.number in (None, number)


class Reads:
    """Which reads each process had under way, and when it could have none: times are virtual, `start` is the plan's 0."""

    def __init__(self, plan: Plan, accounts: dict[str, Account], start: float) -> None:
        self._plan, self._accounts, self._start = plan, accounts, start
        self._reads: dict[tuple[str, str], list[Read]] = defaultdict(list)

    def begin(self, process: str, ucc: str, number: str | None, now: float) -> Read:
        read = Read(now, number)
        self._reads[process, ucc].append(read)
        return read

    def looked(self, process: str, ucc: str, number: str, since: float, until: float) -> bool:
        """Tell whether the process looked at the order in this time, or had less than PATIENCE of it to do so."""
        if until - since - self._lost(process, ucc, since, until) < PATIENCE:
            return True
        return any(read.covers(number, since, until) for read in reversed(self._reads[process, ucc]))

    def _lost(self, process: str, ucc: str, since: float, until: float) -> float:
        """Add up when no read could begin: the process stood still, the ledger was away, there was no session."""
        sessions = [(one.at, one.seconds) for one in self._accounts[ucc].troubles if one.kind == "no_session"]
        mishaps = [
            (self._start + one.at, one.seconds + _AGAIN)
            for one in self._plan.mishaps
            if one.kind == "ledger" or (one.kind == "pause" and process.startswith(f"P{one.process}."))
        ]
        return sum(max(0.0, min(at + seconds, until) - max(at, since)) for at, seconds in sessions + mishaps)
