"""The dead orders that the book has shown today."""

import pytest

from neo_cancel.record import Header
from worker.kotak.order_book import OrderState, Row
from worker.orders.finding import LookResult
from worker.orders.job import Job
from worker.orders.known_dead import KnownDead

NUMBER = "260722000000001"
MIDNIGHT = 1_784_745_000.0
"""The day in India begins."""
MORNING, HOUR = MIDNIGHT + 10 * 3600, 3600.0


def row(state=OrderState.FILLED, changed_at=None):
    return Row(NUMBER, state, str(state), "regular", False, "TCS-EQ", 0, 10, None, changed_at)


def job(accepted_at=MORNING):
    document = {"ucc": "AB123", "order_number": NUMBER, "variety": "regular", "lane": "routine", "deadline_seconds": 60}
    return Job(Header("sending", 1, "w", int(accepted_at * 1000), maybe_sent=False, crashes=0), document)


def learned(*rows, at=MORNING):
    dead = KnownDead()
    for one in rows:
        dead.learn({NUMBER: one}, [NUMBER], "book", at)
    return dead


@pytest.mark.parametrize("state", [OrderState.FILLED, OrderState.GONE, OrderState.CANCELLED])
def test_a_dead_row_is_remembered(state):
    """With the time of the read that showed it."""
    assert LookResult(row(state), "book", MORNING) == learned(row(state)).get(job(), MORNING + HOUR)


@pytest.mark.parametrize("state", [state for state in OrderState if state.is_alive])
def test_a_row_that_is_alive_is_not(state):
    """It will change."""
    assert learned(row(state)).get(job(), MORNING) is None


def test_only_the_rows_that_are_named_are_looked_at():
    """A long book is not read row by row."""
    dead = KnownDead()
    dead.learn({NUMBER: row()}, [], "book", MORNING)
    assert dead.get(job(), MORNING) is None


def test_the_first_proof_stays():
    """A later page says nothing new of a dead order."""
    dead = learned(row(OrderState.CANCELLED), row(OrderState.FILLED))
    assert OrderState.CANCELLED is dead.get(job(), MORNING).finding.state


def test_what_was_dead_yesterday_is_forgotten():
    """Order numbers are given out again."""
    dead = learned(row(), at=MIDNIGHT - 1)
    assert dead.get(job(MIDNIGHT - HOUR), MIDNIGHT - 0.5) is not None
    assert dead.get(job(MIDNIGHT + 1), MIDNIGHT + 1) is None


@pytest.mark.parametrize(("changed_at", "is_known"), [(MORNING - HOUR, True), (MIDNIGHT - 24 * HOUR, False)])
def test_a_row_that_changed_before_the_day_began_is_another_orders(changed_at, is_known):
    """The book may go on showing yesterday's orders."""
    assert is_known is (learned(row(changed_at=changed_at)).get(job(), MORNING) is not None)
