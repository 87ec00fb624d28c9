"""How many orders of an account a worker takes at once. The others wait in the ledger, out of reach of a worker's death."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final

from neo_cancel.order import Lane
from neo_cancel.parcels import CHUNK_SIZE

__all__ = ["Capacity"]

_SOON_SECONDS: Final = 3.0
_LEAST_SOON: Final = 5
_LEAST_PAUSE_SECONDS: Final = 0.05

Place = tuple[str, str]
"""A lane and an account."""


class Capacity:
    """Counts orders in hand by lane and account. All methods belong to the event loop. A place without orders costs no memory.

    `most`: orders of one account and lane at once. An account with a rate has room for less: `_SOON_SECONDS` worth of routine
    orders that wait for their first turn, since what is held for longer than that would only have to be taken back when
    this worker dies. Retries do not count: first sends left behind them in the ledger could not take turns with them. Risk
    orders are never held back so: the lane must know them all to send the most urgent first. `rate_of` answers an account's
    order calls per second (0: no limit), `waiting_of` how many orders wait for their first turn.
    """

    def __init__(self, most: int, rate_of: Callable[[str], float], waiting_of: Callable[[str], int]) -> None:
        self._most, self._rate_of, self._waiting_of = most, rate_of, waiting_of
        self._held: dict[Place, int] = {}
        self._coming: dict[Place, int] = {}
        self._on_room: dict[Place, Callable[[], None]] = {}

    def free(self, lane: str, ucc: str) -> int:
        """Count how many more orders the worker should take."""
        place = lane, ucc
        coming = self._coming.get(place, 0)
        free = self._most - self._held.get(place, 0) - coming
        if (soon := self._soon(lane, ucc)) is not None:
            free = min(free, soon - self._waiting_of(ucc) - coming)
        return max(0, free)

    @contextmanager
    def coming(self, counts: Mapping[Place, int]) -> Generator[None]:
        """Keep capacity for orders that are being claimed: other messages of their accounts come meanwhile."""
        for place, count in counts.items():
            _add(self._coming, place, count)
        try:
            yield
        finally:
            for place, count in counts.items():
                _add(self._coming, place, -count)

    def enter(self, lane: str, ucc: str) -> None:
        """Count an order that has begun."""
        _add(self._held, (lane, ucc), 1)

    def leave(self, lane: str, ucc: str) -> None:
        """Count an order no more; it leaves by the lane that it entered by."""
        place = lane, ucc
        _add(self._held, place, -1)
        if place in self._on_room and self._missing(lane, ucc) <= 0:
            self._on_room.pop(place)()

    def wait(self, lane: str, ucc: str, on_room: Callable[[], None]) -> float:
        """Have `on_room` called, once, when there is capacity enough to take more; a second call replaces the first.

        Answers in how many seconds to look, whatever happens: 0 where there is capacity now. An account with a rate gets room
        with time, which nothing announces.
        """
        missing = self._missing(lane, ucc)
        if missing <= 0:
            return 0.0
        self._on_room[lane, ucc] = on_room
        rate = self._rate_of(ucc)
        return max(_LEAST_PAUSE_SECONDS, missing / rate) if rate > 0 and lane != Lane.RISK else float("inf")

    def forget(self, lane: str, ucc: str) -> None:
        """Call back no more for this place."""
        self._on_room.pop((lane, ucc), None)

    def _missing(self, lane: str, ucc: str) -> int:
        """Count the capacity that is missing until it is worth taking more."""
        soon = self._soon(lane, ucc)
        return (CHUNK_SIZE if soon is None else soon // 2) - self.free(lane, ucc)

    def _soon(self, lane: str, ucc: str) -> int | None:
        rate = self._rate_of(ucc)
        if rate <= 0 or lane == Lane.RISK:
            return None
        return max(_LEAST_SOON, int(rate * _SOON_SECONDS))


def _add(counts: dict[Place, int], place: Place, count: int) -> None:
    left = counts.get(place, 0) + count
    if left:
        counts[place] = left
    else:
        counts.pop(place, None)
