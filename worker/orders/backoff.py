"""Whether there is another try, and after which pause: tenacity decides, driven one try at a time.

A retry is a re-queue here, so nothing sleeps: the pause that tenacity would sleep through is handed to the caller.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tenacity import RetryCallState, Retrying, retry_always, wait_exponential

from worker.orders.policy import CancelPolicy
from worker.orders.verdict import Verdict

__all__ = ["Draw", "Retries"]

LEAST_WAIT_SECONDS: Final = 0.01
_LAST_CHANCE_SECONDS: Final = 0.5

Draw = Callable[[float, float], float]
"""Draws a random number between two, as random.uniform does."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """A try that has to be repeated; see Retries.pause."""

    remaining_seconds: float
    verdict: Verdict | None


class Retries:
    """The tries of one kind for one order, each followed by a longer pause with full jitter.

    `growth`: how many times longer each pause may be than the one before; `most`: the longest one, if less
    than the policy's. The broker's Retry-After is honoured, and no pause lasts through the last chance before the deadline.
    """

    def __init__(self, policy: CancelPolicy, draw: Draw, *, growth: float = 2.0, most: float | None = None) -> None:
        most = min(policy.backoff_most, most or policy.backoff_most)
        self._ceiling = wait_exponential(multiplier=policy.backoff, max=most, exp_base=growth)
        self._draw = draw
        self._pause = 0.0
        retrying = Retrying(
            retry=retry_always,
            stop=_is_time_up,
            wait=self._seconds,
            sleep=self._note_pause,
            # The end of the tries is an answer, not an error: tenacity's RetryError never shows.
            retry_error_callback=lambda _: None,
        )
        self._tries = iter(retrying)
        self._current = next(self._tries, None)

    def pause(self, remaining_seconds: float, verdict: Verdict | None = None) -> float | None:
        """Count a try that has to be repeated, and say in how many seconds; None where no time is left for another.

        `remaining_seconds`: until the deadline. `verdict`: on the reply that asks for the try, None where a look does. Its
        `retry_after_seconds` is the broker's wish; 0 is at once, None is no wish.
        """
        if self._current is None:
            return None
        self._current.retry_state.set_result(_Failed(remaining_seconds, verdict))
        self._current = next(self._tries, None)
        return None if self._current is None else self._pause

    def _note_pause(self, seconds: float) -> None:
        self._pause = seconds

    def _seconds(self, state: RetryCallState) -> float:
        failed = _failed(state)
        wish = None if failed.verdict is None else failed.verdict.retry_after_seconds
        remaining = failed.remaining_seconds
        if wish == 0.0:
            return 0.0
        seconds = max(self._draw(0.0, self._ceiling(state)), wish or 0.0)
        return min(seconds, max(remaining - _LAST_CHANCE_SECONDS, remaining / 2, LEAST_WAIT_SECONDS))


def _is_time_up(state: RetryCallState) -> bool:
    return _failed(state).remaining_seconds <= LEAST_WAIT_SECONDS


def _failed(state: RetryCallState) -> _Failed:
    assert state.outcome is not None  # noqa: S101 (tenacity asks after a try)
    failed: _Failed = state.outcome.result()
    return failed
