"""Warmth: when sessions are made before they are needed, and how many at once."""

import asyncio
import datetime as dt

import pytest

from tests.session_stand import Account, Book
from worker.sessions.warmth import Warmth, is_warm_time, seconds_of_day

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))


def at(day, time):
    return dt.datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=IST).timestamp()


MONDAY, FRIDAY, SATURDAY, SUNDAY = "2026-11-23", "2026-11-27", "2026-11-28", "2026-11-29"


@pytest.mark.parametrize(
    ("day", "time", "expected"),
    [
        (MONDAY, "00:00:00", False),
        (MONDAY, "08:29:59", False),
        (MONDAY, "08:30:00", True),
        (FRIDAY, "15:30:00", True),
        (FRIDAY, "23:29:59", True),
        (FRIDAY, "23:30:00", False),
        (SATURDAY, "10:00:00", False),
        (SUNDAY, "10:00:00", False),
    ],
)
def test_sessions_are_kept_on_weekdays_in_india_until_the_last_market_closes(day, time, expected):
    assert expected == is_warm_time(at(day, time), begins=seconds_of_day("08:30"))


class Sessions:
    def __init__(self):
        self.warmed, self.at_once, self.most_at_once = [], 0, 0

    async def warm(self, ucc, now):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.warmed.append(ucc)


def warmth(sessions, *accounts, now):
    return Warmth(sessions, Book(*accounts), begins=seconds_of_day("08:30"), clock=lambda: now)


async def test_every_account_that_logs_in_here_is_warmed_and_an_external_one_is_not():
    sessions = Sessions()
    accounts = (Account("AB123"), Account("AB124", login="typed"), Account("AB125", login="external"))
    await warmth(sessions, *accounts, now=at(MONDAY, "09:00:00")).tick()
    assert ["AB123", "AB124"] == sorted(sessions.warmed)


async def test_before_its_time_nothing_is_warmed():
    sessions = Sessions()
    await warmth(sessions, Account("AB123"), now=at(MONDAY, "08:00:00")).tick()
    assert [] == sessions.warmed


async def test_fewer_are_warmed_at_once_than_a_process_may_log_in():
    """An account whose orders wait finds a place."""
    sessions = Sessions()
    await warmth(sessions, *(Account(f"AB{n:03}") for n in range(40)), now=at(MONDAY, "09:00:00")).tick()
    assert (40, 12) == (len(sessions.warmed), sessions.most_at_once)
