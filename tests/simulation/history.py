"""What happened in a run, in order, as text that is the same to the byte whenever the seed is the same."""

import hashlib
from typing import Any

from tests.simulation.book import Page
from tests.simulation.truth import Order

__all__ = ["History"]


class History:
    """Remembers events as they are and renders them when asked: most runs never show theirs."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._events: list[tuple[float, str, str, str, tuple[Any, ...]]] = []

    def add(self, at: float, where: str, order: str, what: str, *facts: Any) -> None:
        """Remember an event; `order` is a number, or an account for what concerns all of its orders."""
        self._events.append((at, where, order, what, facts))

    def truth(self, at: float, order: Order) -> None:
        """Remember an order's new state."""
        version = order.versions[-1]
        facts = version.said, version.filled, order.ended_by or "", version.visible_at - at
        self._events.append((at, "truth", order.number, "becomes", facts))

    def lines(self, numbers: frozenset[str] | None = None) -> list[str]:
        """Render what concerns these orders or their accounts, None for everything."""
        return [self._line(event, numbers) for event in self._events if numbers is None or event[2] in numbers]

    def digest(self) -> str:
        """Sum the whole history up."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()

    def _line(self, event: tuple[float, str, str, str, tuple[Any, ...]], numbers: frozenset[str] | None) -> str:
        at, where, order, what, facts = event
        said = " ".join(_text(fact, numbers) for fact in facts)
        return f"{at - self._start:9.4f}  {where:<8}{order:<17}{what:<14}{said}"


def _text(fact: Any, numbers: frozenset[str] | None) -> str:
    if isinstance(fact, Page):
        return fact.text(numbers)
    return f"{fact:.3f}" if isinstance(fact, float) else str(fact)
