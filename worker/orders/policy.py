"""How an account's orders are cancelled: the figures that an account may set for itself."""

from dataclasses import dataclass

__all__ = ["CancelPolicy"]


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
