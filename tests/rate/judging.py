"""Whether an account was above its rate, as the broker counts. Pure: sends in, figures out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.arithmetic import busiest_second

__all__ = ["HEARD_SECONDS", "SEEN_SECONDS", "Figures", "Send", "judge"]

HEARD_SECONDS: Final = 0.05
"""So long after it left, a 429 is known to every process."""
SEEN_SECONDS: Final = 2.0
"""So long after it was written, a changed accounts file is known to every process."""


@dataclass(frozen=True, slots=True)
class Send:
    """One call as the broker saw it: whole at `at`, answered with a Retry-After of `pause_seconds` (0: none).

    The answer left between `begun_at` and `left_at`, both None for a call without one yet. Times are of one monotonic clock.
    """

    at: float
    begun_at: float | None = None
    left_at: float | None = None
    pause_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """`busiest` is the most sends in any rolling window of `window_seconds`, `most` what the rate allows there."""

    sends: int
    busiest: int
    most: int
    window_seconds: float
    in_pause: int

    @property
    def verdict(self) -> str:
        """In a word or two; "ok" if the rate was kept."""
        if not self.sends:
            return "NOT MEASURED"
        complaints = ["ABOVE"] * (self.busiest > self.most) + ["IN A PAUSE"] * (self.in_pause > 0)
        return " and ".join(complaints) or "ok"


def judge(sends: Sequence[Send], rate: float, *, changed_at: float | None = None, new_rate: float = 0.0) -> Figures:
    """Judge all sends of one account. From `SEEN_SECONDS` after `changed_at` on, `new_rate` counts; None is no change.

    Of two rates the one that was kept worse is reported.
    """
    times = [send.at for send in sends]
    parts = [(times, rate)]
    if changed_at is not None:
        seen_at = changed_at + SEEN_SECONDS
        parts = [([at for at in times if at < seen_at], rate), ([at for at in times if at >= seen_at], new_rate)]
    busiest, most, window = max((_busiest(some, limit) for some, limit in parts), key=lambda found: found[0] - found[1])
    return Figures(len(times), busiest, most, window, _in_pause(sends))


def _busiest(times: Sequence[float], rate: float) -> tuple[int, int, float]:
    # A rate below one a second is one send in several seconds.
    most, window = (int(rate), 1.0) if rate >= 1 else (1, 1 / rate)
    return busiest_second(times, window), most, window


def _in_pause(sends: Sequence[Send]) -> int:
    pauses = [
        (send.left_at + HEARD_SECONDS, send.begun_at + send.pause_seconds)
        for send in sends
        if send.pause_seconds and send.left_at is not None and send.begun_at is not None
    ]
    return sum(any(first < send.at < last for first, last in pauses) for send in sends)
