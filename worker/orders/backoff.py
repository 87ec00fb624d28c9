"""How long to wait between tries, and the policy that says so."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tenacity import RetryCallState, wait_random_exponential

from worker.orders.job import Job
from worker.orders.verdict import Verdict

__all__ = ["LEAST_WAIT", "Backoff", "CancelPolicy"]

LEAST_WAIT: Final = 0.01


@dataclass(frozen=True, slots=True)
class CancelPolicy:
    """Durations in seconds.

    `window`: how long the book is waited for before the broker's reply stands. `verify` False takes every definite reply at
    its word. Between tries of any kind the pause is random between 0 and `backoff` * 2^tries, at most `backoff_most`
    (full jitter). `last_look`: how long past its deadline an order may take for one last look. `watch_refused`: an
    order that ended `refused` or `blocked` is watched like one that ended `unknown`.
    """

    window: float = 10.0
    verify: bool = True
    backoff: float = 0.1
    backoff_most: float = 5.0
    last_look: float = 2.0
    watch_refused: bool = False


class Backoff:
    """Full jitter, the broker's Retry-After honoured, and never asleep through the last chance before the deadline."""

    def __init__(self, job: Job, policy: CancelPolicy, clock: Callable[[], float]) -> None:
        self._job, self._policy, self._clock = job, policy, clock

    def __call__(self, state: RetryCallState) -> float:
        """Say how long tenacity should wait after the try that `state` tells of."""
        verdict: Verdict | None = state.outcome.result() if state.outcome else None
        asked = verdict.retry_after_seconds if verdict else None
        if asked == 0.0:
            return 0.0
        return self.seconds(state.attempt_number, at_least=asked or 0.0)

    def seconds(self, tries: int, *, at_least: float = 0.0) -> float:
        """How long to wait after so many tries."""
        jitter = wait_random_exponential(multiplier=self._policy.backoff, max=self._policy.backoff_most)
        state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
        state.attempt_number = tries
        remaining = max(0.0, self._job.deadline_at - self._clock())
        return min(max(jitter(state), at_least), max(remaining - 0.5, remaining / 2, LEAST_WAIT))
