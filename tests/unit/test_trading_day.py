"""The trading day: midnight in India after the session an order belongs to."""

from datetime import UTC, datetime

import pytest

from worker.orders.trading_day import is_day_over, trading_day_end


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("accepted", "ends"),
    [
        ("2025-10-15 03:45", "2025-10-15 18:30"),  # 09:15 in India
        ("2025-10-15 10:29", "2025-10-15 18:30"),  # 15:59
        ("2025-10-15 10:30", "2025-10-16 18:30"),  # 16:00: mostly for the next day's session
        ("2025-10-15 18:29", "2025-10-16 18:30"),  # a minute before midnight
        ("2025-10-15 18:31", "2025-10-16 18:30"),  # a minute after it
    ],
)
def test_a_day_ends_at_midnight_in_india_after_its_session(accepted, ends):
    assert utc(ends) == trading_day_end(utc(accepted))


@pytest.mark.parametrize(("now", "is_over"), [("2025-10-15 18:30", False), ("2025-10-15 18:31", True)])
def test_a_day_is_over_after_its_end(now, is_over):
    assert is_over is is_day_over(utc("2025-10-15 03:45"), utc(now))
