"""A strategy's own test, with the producer that needs no Redis."""

from collections.abc import Iterable

import pytest

from neo_cancel import CancelOrder, CancelProducer, InvalidOrderError, Status, UnknownOrderError, WaitTimeoutError
from neo_cancel.testing import RecordingProducer


class PairsTrader:
    """A made-up strategy: when one leg fills, the other leg's orders go."""

    def __init__(self, producer: CancelProducer) -> None:
        self.producer = producer

    def on_fill(self, ucc: str, other_leg: Iterable[str]) -> list[str]:
        """Cancel the other leg; answer the orders that a person must look at."""
        orders = [CancelOrder(ucc=ucc, order_number=number, lane="risk", strategy="pairs") for number in other_leg]
        handle = self.producer.enqueue_many(orders)
        return [record.order_number for record in handle if record.may_still_work]


@pytest.fixture
def producer():
    with RecordingProducer() as recording:
        yield recording


def order(number: int = 1, **fields) -> CancelOrder:
    return CancelOrder(ucc="AB123", order_number=f"25101500012345{number}", **fields)


def test_the_strategy_reports_what_may_still_work(producer):
    producer.enqueue_many([order(1), order(2)])
    producer.settle("AB123", "251015000123451", "cancelled")
    producer.settle("AB123", "251015000123452", Status.FILLED, filled_quantity=75)
    assert [] == PairsTrader(producer).on_fill("AB123", ["251015000123451", "251015000123452"])
    assert [order(1), order(2)] == producer.orders


def test_a_strategy_that_would_hang_gets_an_error_at_once(producer):
    with pytest.raises(WaitTimeoutError, match="not settled: AB123:251015000123451"):
        PairsTrader(producer).on_fill("AB123", ["251015000123451"])


@pytest.mark.parametrize("timeout", [None, 5])
def test_waiting_for_an_order_without_an_end_raises_at_once(producer, timeout):
    with pytest.raises(WaitTimeoutError):
        producer.enqueue(order()).wait(timeout)
    with pytest.raises(WaitTimeoutError):
        producer.enqueue_many([order()]).wait(timeout)


def test_a_settled_order_answers_with_the_fields_given(producer):
    handle = producer.enqueue(order())
    producer.settle("AB123", "251015000123451", "refused", code="1006", text="no")
    record = handle.wait()
    assert ("refused", "1006", "no", True) == (record.status, record.code, record.text, record.may_still_work)
    assert record == handle.status() == producer.look_up("AB123", "251015000123451")


def test_bulks_count_like_the_ledger(producer):
    producer.enqueue_many([order(1), order(2)])
    producer.settle("AB123", "251015000123451", "cancelled")
    bulk = producer.enqueue_many([order(1), order(2), order(3), order(3)])
    assert (1, 1, 1) == (bulk.answered, bulk.attached, bulk.duplicates)
    assert [order(1), order(2), order(3)] == producer.orders
    assert {"cancelled": 1, "queued": 2} == dict(producer.bulk(bulk.batch).status().counts)


def test_an_order_that_may_still_work_is_tried_again(producer):
    producer.enqueue(order())
    producer.settle("AB123", "251015000123451", "refused")
    assert "queued" == producer.enqueue(order()).status().status
    assert 2 == len(producer.orders)


def test_more_urgency_is_recorded(producer):
    producer.enqueue(order())
    producer.enqueue(order(lane="risk"))
    assert ["routine", "risk"] == [str(order.lane) for order in producer.orders]


def test_events_tell_each_settled_order_once_and_end(producer):
    producer.enqueue_many([order(1), order(2)])
    producer.settle("AB123", "251015000123452", "cancelled")
    assert ["AB123:251015000123452"] == [record.key for record in producer.events()]
    assert [] == list(producer.events())


def test_bad_input_is_refused_as_by_the_real_one(producer):
    with pytest.raises(InvalidOrderError):
        producer.enqueue_many([])
    with pytest.raises(UnknownOrderError):
        producer.bulk("nobody")
    with pytest.raises(UnknownOrderError):
        producer.settle("AB123", "251015000123451", "cancelled")
    producer.enqueue(order())
    with pytest.raises(ValueError, match="is not final"):
        producer.settle("AB123", "251015000123451", "sending")
