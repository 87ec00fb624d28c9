"""What a page says about an order: a row, or which kind of nothing."""

import pytest

from worker.kotak.order_book import BookPage, OrderState, Row
from worker.kotak.replies import Reply
from worker.orders.finding import Finding, find

NUMBER, DAY_BEGAN_AT = "260722000000001", 1_784_700_000.0
FINE, NO_DATA = Reply(200, ok=True), Reply(200, ok=False, code="5203")


def row(changed_at=None):
    return Row(NUMBER, OrderState.CANCELLED, "cancelled", "regular", False, "TCS-EQ", 0, 10, None, changed_at)


@pytest.mark.parametrize("changed_at", [None, DAY_BEGAN_AT, DAY_BEGAN_AT + 60])
def test_a_row_of_today_is_found(changed_at):
    """Also one that does not say when it changed."""
    assert row(changed_at) == find(BookPage(FINE, {NUMBER: row(changed_at)}), NUMBER, DAY_BEGAN_AT)


def test_a_row_of_yesterday_proves_nothing():
    """Numbers are given out again: it is another order's, and no sign that this one is missing either."""
    assert Finding.NO_DATA is find(BookPage(FINE, {NUMBER: row(DAY_BEGAN_AT - 1)}), NUMBER, DAY_BEGAN_AT)


@pytest.mark.parametrize(
    ("page", "finding"),
    [
        pytest.param(None, Finding.UNREADABLE, id="no answer"),
        pytest.param(BookPage(Reply(502, ok=False), None), Finding.UNREADABLE, id="no book"),
        pytest.param(BookPage(NO_DATA, None, is_empty=True), Finding.NO_DATA, id="5203"),
        pytest.param(BookPage(FINE, {}, is_empty=True), Finding.NO_DATA, id="an empty book"),
        pytest.param(BookPage(FINE, {"1": row()}, is_partial=True), Finding.NO_DATA, id="a row that cannot be read"),
        pytest.param(BookPage(FINE, {"1": row()}), Finding.MISSING, id="a whole book with other orders"),
    ],
)
def test_only_a_whole_book_with_other_orders_lacks_an_order(page, finding):
    """Every other nothing is no proof of anything."""
    assert finding is find(page, NUMBER, DAY_BEGAN_AT)
