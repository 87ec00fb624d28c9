"""What was measured: one dictionary of figures a round, and why something is missing."""

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Results", "Value"]

Round = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Value:
    """A figure over the rounds: its median and its extremes."""

    middle: float
    lowest: float
    highest: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Value | None":
        """Sum up; None for no values."""
        some = list(values)
        return cls(statistics.median(some), min(some), max(some), len(some)) if some else None


@dataclass(slots=True)
class Results:
    """Rounds in turn. What is measured once stands in a round of its own."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_incomplete: bool = False

    def value(self, figure: Callable[[Round], float]) -> Value | None:
        """Compute a figure within each round, so that both sides of a ratio saw the same machine; None where never measured."""
        values = []
        for measured in self.rounds:
            try:
                values.append(figure(measured))
            except (KeyError, ValueError, ZeroDivisionError):
                continue
        return Value.of(values)
