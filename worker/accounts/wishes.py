"""What an account sets for itself, whichever file names it."""

from collections.abc import Callable
from typing import Protocol

__all__ = ["AccountWishes", "Wishes", "WishesOf"]


class Wishes(Protocol):
    """An account's own settings; None takes the process's."""

    @property
    def orders_per_second(self) -> float | None:
        """Order calls in any rolling second; 0 is no limit."""
        ...

    @property
    def verify(self) -> bool | None:
        """Check every acknowledged cancel in the order book."""
        ...

    @property
    def watch_refused(self) -> bool | None:
        """Watch orders that ended refused."""
        ...


class WishesOf(Protocol):
    """A source of accounts."""

    def of(self, ucc: str) -> Wishes | None:
        """Answer an account's wishes; None where it is not named here."""
        ...

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called when they may have changed."""
        ...


class AccountWishes:
    """Joins sources; the first one that names an account counts."""

    def __init__(self, *sources: WishesOf) -> None:
        self._sources = sources

    def of(self, ucc: str) -> Wishes | None:
        """See WishesOf."""
        return next((found for source in self._sources if (found := source.of(ucc)) is not None), None)

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """See WishesOf."""
        for source in self._sources:
            source.subscribe(on_change)
