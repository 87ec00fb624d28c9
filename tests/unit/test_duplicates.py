"""An order named more than once: collapsed and counted, or refused where its entries contradict each other."""

import pytest

from neo_cancel import CancelOrder, InvalidOrderError
from neo_cancel.duplicates import distinct


def order(number: int = 0, **fields) -> CancelOrder:
    return CancelOrder(ucc="AB123", order_number=f"2510150001{number:05}", **fields)


def test_an_order_named_twice_is_collapsed_and_counted():
    kept, duplicates = distinct([order(1), order(2), order(1), order(1)])
    assert [order(1), order(2)] == kept
    assert 2 == duplicates


def test_the_more_urgent_of_two_entries_wins_and_keeps_its_place():
    kept, _ = distinct([order(1), order(2), order(1, lane="risk")])
    assert [order(1, lane="risk"), order(2)] == kept


def test_a_routine_entry_does_not_slow_an_urgent_one():
    kept, _ = distinct([order(1, lane="risk"), order(1)])
    assert [order(1, lane="risk")] == kept


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"variety": "cover"}, "variety"),
        ({"amo": True, "trading_symbol": "TCS-EQ"}, "amo"),
        ({"trading_symbol": "TCS-EQ"}, "trading_symbol"),
    ],
)
def test_entries_that_contradict_each_other_are_refused(fields, field):
    with pytest.raises(InvalidOrderError, match="contradicts an earlier entry") as caught:
        distinct([order(1), order(1, **fields)])
    assert field == caught.value.field


@pytest.mark.parametrize("orders", [[], ["251015000123456"], [order(1), None]])
def test_a_bulk_of_nothing_or_of_something_else_is_refused(orders):
    with pytest.raises(InvalidOrderError):
        distinct(orders)
