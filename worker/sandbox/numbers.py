"""Order numbers of the stand-in broker: the Indian date as YYMMDD, and digits that count on."""

import random
import time
from collections.abc import Callable
from typing import Final

__all__ = ["OrderNumbers"]

_IST_SECONDS: Final = 19_800
_DAY_SECONDS: Final = 86_400
_PER_SECOND: Final = 100_000


class OrderNumbers:
    """Draws numbers, no one twice.

    With a seed nine digits follow the date, the same ones in every run. With None ten digits follow it, which count by the
    clock: what an earlier run has drawn lies behind, and a ledger that outlives the sandbox knows none of them. `now` is
    in epoch seconds.
    """

    def __init__(self, seed: int | None, *, now: Callable[[], float] = time.time) -> None:
        self._seed, self._now = seed, now
        self._day, self._count = "", 0
        self.clear()

    def clear(self) -> None:
        """Begin again with a seed; without one the numbers count on."""
        if self._seed is not None:
            self._count = random.Random(self._seed).randrange(100_000_000, 200_000_000)

    def draw(self) -> str:
        """Draw the next number."""
        now = self._now() + _IST_SECONDS
        today = time.strftime("%y%m%d", time.gmtime(now))
        if self._seed is not None:
            self._count += 1
            return f"{today}{self._count:09d}"
        following = self._count + 1 if today == self._day else 0
        self._day, self._count = today, max(following, int(now % _DAY_SECONDS * _PER_SECOND))
        return f"{today}{self._count:010d}"

    @property
    def lead_seconds(self) -> float:
        """How far the drawn numbers are ahead of the clock: a run that begins sooner than that would repeat some."""
        now = self._now() + _IST_SECONDS
        if self._seed is not None or self._day != time.strftime("%y%m%d", time.gmtime(now)):
            return 0.0
        return max(0.0, self._count / _PER_SECOND - now % _DAY_SECONDS)
