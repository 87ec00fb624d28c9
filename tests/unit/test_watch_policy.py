"""When an order that may still work is looked at again."""

import pytest

from neo_cancel.record import Status
from tests.unit.ledger_fakes import job
from worker.ledger.watch_policy import WatchPolicy

NOON_MS = 1_760_500_000_000
"""A moment of a trading day."""


def policy(*statuses: str) -> WatchPolicy:
    return WatchPolicy(lambda ucc, status: ucc == "AB123" and status in statuses, interval_seconds=5.0)


@pytest.mark.parametrize(("status", "look_ms"), [("unknown", NOON_MS + 6000), ("refused", None), ("cancelled", None)])
def test_an_order_is_watched_where_the_account_says_so(status, look_ms):
    ended = job(1, enqueued_ms=NOON_MS)
    ended.status = Status(status)
    assert look_ms == policy("unknown").next_look_ms(ended, NOON_MS / 1000 + 1)


def test_after_its_trading_day_an_order_is_not_watched():
    ended = job(1, status="unknown", enqueued_ms=NOON_MS)
    assert policy("unknown").next_look_ms(ended, NOON_MS / 1000 + 2 * 86_400) is None


@pytest.mark.parametrize(("crashes", "seconds"), [(2, 5), (3, 60), (4, 60)])
def test_an_order_that_killed_workers_is_looked_at_more_seldom(crashes, seconds):
    ended = job(1, status="unknown", enqueued_ms=NOON_MS, crashes=crashes)
    assert NOON_MS + seconds * 1000 == policy("unknown").next_look_ms(ended, NOON_MS / 1000)


def test_an_order_that_kills_those_that_look_at_it_is_not_watched():
    ended = job(1, status="unknown", enqueued_ms=NOON_MS, crashes=5)
    assert policy("unknown").next_look_ms(ended, NOON_MS / 1000) is None
