"""The trading day an order belongs to: when nothing more can become of it. Pure."""

from typing import Final

__all__ = ["day_in_india", "is_day_over", "trading_day_begin", "trading_day_end"]

_DAY_SECONDS: Final = 86_400
_IST_SECONDS: Final = 19_800
_EVENING_SECONDS: Final = 8 * 3600


def day_in_india(at: float) -> int:
    """Count the days in India from 1 January 1970 to a time in seconds since the epoch."""
    return int((at + _IST_SECONDS) // _DAY_SECONDS)


def trading_day_end(accepted_at: float) -> float:
    """When an order need not be looked at any more: midnight in India after the session it belongs to.

    A cancel asked for after 16:00 IST is mostly for an after-market order, which works on the next day. Times are seconds
    since the epoch.
    """
    return _midnight(day_in_india(accepted_at + _EVENING_SECONDS) + 1)


def trading_day_begin(accepted_at: float) -> float:
    """Before when nothing can have happened to an order: 16:00 in India on the evening before its cancel was asked for.

    Then the after-market orders of that day begin. A row that changed earlier is another order's, because numbers are given
    out again. Late on a day, in the evening market, all of that day counts.
    """
    return _midnight(day_in_india(accepted_at)) - _EVENING_SECONDS


def is_day_over(accepted_at: float, now: float) -> bool:
    """Say whether the order need not be looked at any more; times as in trading_day_end."""
    return now > trading_day_end(accepted_at)


def _midnight(day: int) -> float:
    return float(day * _DAY_SECONDS - _IST_SECONDS)
