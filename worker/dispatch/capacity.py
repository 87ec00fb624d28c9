"""How many orders of an account a worker takes at once. The others wait in the ledger, out of reach of a worker's death."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from neo_cancel.messages import CHUNK_SIZE
from neo_cancel.order import Lane

__all__ = ["Capacity"]

_SOON_SECONDS: Final = 3.0
_LEAST_SOON: Final = 5
_LEAST_PAUSE_SECONDS: Final = 0.05


class Capacity:
    """Counts orders in hand by lane and account. All methods belong to the event loop.

    `most`: orders of one account and lane at once. An account with a rate has room for less: `_SOON_SECONDS` worth of routine
    orders that wait for their first turn, since what is held for longer than that would only have to be taken back when
    this worker dies. Retries do not count: first sends left behind them in the ledger could not take turns with them. Risk
    orders are never held back so: the lane must know them all to send the most urgent first. `rate_of` answers an account's
    order calls per second (0: no limit), `waiting_of` how many orders wait for their first turn.
    """

    def __init__(self, most: int, rate_of: Callable[[str], float], waiting_of: Callable[[str], int]) -> None:
        self._most, self._rate_of, self._waiting_of = most, rate_of, waiting_of
        self._held: Counter[tuple[str, str]] = Counter()
        self._coming: Counter[tuple[str, str]] = Counter()
        self._left: dict[tuple[str, str], asyncio.Event] = {}

    def free(self, lane: str, ucc: str) -> int:
        """Count how many more orders the worker should take."""
        place = lane, ucc
        free = self._most - self._held[place] - self._coming[place]
        if (soon := self._soon(lane, ucc)) is not None:
            free = min(free, soon - self._waiting_of(ucc) - self._coming[place])
        return max(0, free)

    @contextmanager
    def coming(self, lane: str, ucc: str, count: int) -> Generator[None]:
        """Keep capacity for orders that are being claimed: other messages of the account come meanwhile."""
        self._coming[lane, ucc] += count
        try:
            yield
        finally:
            self._coming[lane, ucc] -= count

    def enter(self, lane: str, ucc: str) -> None:
        """Count an order that has begun."""
        self._held[lane, ucc] += 1

    def leave(self, lane: str, ucc: str) -> None:
        """Count an order no more; it leaves by the lane that it entered by."""
        self._held[lane, ucc] -= 1
        if (left := self._left.get((lane, ucc))) is not None:
            left.set()

    async def wait(self, lane: str, ucc: str, seconds: float) -> None:
        """Wait until there is capacity enough to take more, at most so many seconds."""
        loop = asyncio.get_running_loop()
        left = self._left.setdefault((lane, ucc), asyncio.Event())
        ends_at = loop.time() + seconds
        while (remaining := ends_at - loop.time()) > 0 and (missing := self._missing(lane, ucc)) > 0:
            rate = self._rate_of(ucc)
            if rate > 0 and lane != Lane.RISK:  # turns come with time: no call of `leave` announces them
                remaining = min(remaining, max(_LEAST_PAUSE_SECONDS, missing / rate))
            left.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(remaining):
                    await left.wait()

    def _missing(self, lane: str, ucc: str) -> int:
        """Count the capacity that is missing until it is worth taking more."""
        soon = self._soon(lane, ucc)
        return (CHUNK_SIZE if soon is None else soon // 2) - self.free(lane, ucc)

    def _soon(self, lane: str, ucc: str) -> int | None:
        rate = self._rate_of(ucc)
        if rate <= 0 or lane == Lane.RISK:
            return None
        return max(_LEAST_SOON, int(rate * _SOON_SECONDS))
