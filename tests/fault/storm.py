"""A storm: which share of some orders meets which fault with its first cancel."""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["storm_over"]

# Which orders these are is drawn once, by a fixed seed, and not call by call: a second cancel of the same order meets none,
# and each run has exactly these numbers.
STORM = [
    (0.05, {"fault": "reset", "after_effect": True}),
    (0.025, {"fault": "stall", "seconds": 6.0, "after_effect": True}),
    (0.025, {"fault": "stall", "seconds": 6.0}),
    (0.0125, {"fault": "preset", "preset": "html_502"}),
    (0.0125, {"fault": "preset", "preset": "html_502", "after_effect": True}),
    (0.0125, {"fault": "preset", "preset": "html_504"}),
    (0.0125, {"fault": "preset", "preset": "html_504", "after_effect": True}),
    (0.03, {"fault": "rate_limit", "retry_after": 1}),
    (0.03, {"fault": "preset", "preset": "1005"}),
    (0.01, {"fault": "preset", "preset": "garbage"}),
    (0.01, {"fault": "preset", "preset": "garbage", "after_effect": True}),
    (0.05, {"fault": "fill_before"}),
    (0.02, {"fault": "ack_only"}),
    (0.01, {"fault": "cancel_before"}),
]


def storm_over(shuffled: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Give the faults of these orders, named by their numbers; the last ones in the sequence are unlucky."""
    unlucky = list(shuffled)
    for share, fault in STORM:
        for _ in range(round(share * len(shuffled))):
            yield fault | {"on": "cancel", "order_number": unlucky.pop(), "times_per_order": 1}
