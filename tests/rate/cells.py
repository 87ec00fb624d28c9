"""The grid: rates, connect delays, numbers of processes, troubles; and which cells are measured together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["DELAYS", "PROCESSES", "QUICK", "RATES", "TROUBLES", "Account", "Run", "runs"]

RATES: Final = (1.0, 2.5, 4.99, 7.9, 8.0, 8.9, 20.0)
DELAYS: Final = (0, 60, 150)
PROCESSES: Final = (1, 3, 4)
TROUBLES: Final = {
    "plain": "nothing happens",
    "complaints": "a 429 now and then",
    "retry_after": "a 429 with Retry-After: 2 now and then",
    "kill": "kill -9 of a worker in the middle, and another one in its place",
    "changed": "the accounts file names half the rates from the middle on",
}


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a run: its rate in sends a second, and the milliseconds that a connection to its broker takes."""

    rate: float
    delay_ms: int

    @property
    def ucc(self) -> str:
        """Its name."""
        return f"R{round(self.rate * 1000):05d}D{self.delay_ms:03d}"


@dataclass(frozen=True, slots=True)
class Run:
    """Cells that are measured at the same time: every account with the same processes and the same trouble."""

    trouble: str
    processes: int


QUICK: Final = (
    Run("plain", 1),
    Run("plain", 4),
    Run("complaints", 3),
    Run("retry_after", 3),
    Run("kill", 3),
    Run("changed", 3),
)
"""Each trouble once, and the fewest and the most processes."""


def runs(troubles: Iterable[str], processes: Iterable[int]) -> list[Run]:
    """Name all runs of the grid."""
    numbers = tuple(processes)
    return [Run(trouble, number) for trouble in troubles for number in numbers]
