"""The trading day an order belongs to: when nothing more can become of it. Pure."""

from typing import Final

__all__ = ["is_day_over", "trading_day_end"]

_DAY_SECONDS: Final = 86_400
_IST_SECONDS: Final = 19_800
_EVENING_SECONDS: Final = 8 * 3600


def trading_day_end(accepted_at: float) -> float:
    """Answer when nothing more can become of an order: at midnight in India after the session it belongs to.

    A cancel asked for after 16:00 IST is mostly for an after-market order, which works on the next day. Times are seconds
    since the epoch.
    """
    local = accepted_at + _IST_SECONDS + _EVENING_SECONDS
    return (local // _DAY_SECONDS + 1) * _DAY_SECONDS - _IST_SECONDS


def is_day_over(accepted_at: float, now: float) -> bool:
    """Answer whether nothing more can become of the order; times as in trading_day_end."""
    return now > trading_day_end(accepted_at)
