"""Counts that add up, duplicates that collapse, and waiters that know what to read next."""

import time

import pytest
from redis.exceptions import NoScriptError, ResponseError

from neo_cancel import BulkStatus, CancelOrder, InvalidOrderError, OrderRecord, Status
from neo_cancel.bulk import Pending, distinct, slices
from neo_cancel.enqueue import enqueue_script
from neo_cancel.plan import Plan, Rounds


def order(number: int = 0, **fields) -> CancelOrder:
    return CancelOrder(ucc="AB123", order_number=f"2510150001{number:05}", **fields)


def record(status: Status) -> OrderRecord:
    return OrderRecord(ucc="AB123", order_number="251015000123456", status=status, enqueued_at=0.0)


def encoded(status: str, number: int = 0) -> bytes:
    return f'{status} 1 - 1000 1 0 {{"ucc": "AB123", "order_number": "2510150001{number:05}"}}'.encode()


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


def test_counts_add_up_to_what_was_asked_for():
    records = [record(Status.CANCELLED), record(Status.CANCELLED), record(Status.UNKNOWN), record(Status.SENDING), None]
    status = BulkStatus.of(records)
    assert 5 == status.asked == sum(status.counts.values()) + status.missing
    assert (1, 2, False, False) == (status.pending, status.may_still_work, status.is_ended, status.is_complete)


@pytest.mark.parametrize("status", list(Status))
def test_a_bulk_is_complete_only_when_no_order_may_still_work(status):
    harmless = {"cancelled", "already_cancelled", "filled", "gone", "not_found"}
    assert (status in harmless) == BulkStatus.of([record(status)]).is_complete


def test_a_bulk_whose_records_are_gone_is_not_called_complete():
    assert not BulkStatus.of([None]).is_complete


def test_slices_cover_everything_once():
    assert [["a", "b"], ["c"]] == list(slices(["a", "b", "c"], 2))


def test_a_waiter_reads_everything_first_and_then_what_the_events_name():
    pending = Pending(["A:1", "A:2"], None)
    assert ["A:1", "A:2"] == pending.to_read()
    entry = (b"5-0", {b"ended": b"A:2 cancelled\nB:9 filled\nA:2 cancelled"})
    assert ["A:2"] == pending.to_read([[b"nc:events", [entry]]])
    assert b"5-0" == pending.cursor


def test_a_waiter_reads_both_forms_of_reply():
    """Protocol 2 answers a list of pairs, protocol 3 a map of lists."""
    entry = (b"5-0", {b"ended": b"A:1 cancelled"})
    assert ["A:1"] == Pending(["A:1"], None).advance([[b"nc:events", [entry]]])
    assert ["A:1"] == Pending(["A:1"], None).advance({b"nc:events": [[entry]]})


def test_a_waiter_lets_go_of_what_is_final_and_of_what_vanished():
    pending = Pending(["A:1", "A:2", "A:3"], None)
    final = pending.settle(["A:1", "A:2", "A:3"], [encoded("cancelled"), encoded("sending"), None])
    assert [Status.CANCELLED] == [record.status for record in final]
    assert ["A:2"] == list(pending.names)


@pytest.mark.parametrize("seconds", [0, 0.0001, 100])
def test_a_blocking_read_is_never_for_ever_and_below_the_socket_time_out(seconds):
    assert 1 <= Pending(["A:1"], seconds).block_milliseconds <= 500


def test_a_waiter_without_names_or_time_is_over():
    assert Pending([], None).is_over
    assert Pending(["A:1"], 0).is_over
    assert not Pending(["A:1"], None).is_over


def test_a_wait_ends_no_later_than_its_time_out_says():
    pending = Pending(["A:1"], 0.05)
    assert pending.pause_seconds <= 0.05
    time.sleep(0.06)
    assert 0 == pending.pause_seconds


def test_only_what_a_forgetful_server_did_not_run_is_sent_again():
    calls = Plan(60, 1).many([order(n) for n in range(3)]).calls
    rounds = Rounds(calls)
    assert list(calls) == rounds.next_group()
    rounds.take([[0], NoScriptError(), [0]])
    assert [calls[1]] == rounds.next_group()
    assert [enqueue_script()] == rounds.to_load()
    rounds.take([[1]])
    assert [] == rounds.next_group()
    assert [[0], [1], [0]] == rounds.replies


def test_ten_thousand_orders_of_a_hundred_accounts_take_ten_round_trips():
    bulk = Plan(60, 50).many(CancelOrder(ucc=f"ACC{n % 100}", order_number=f"2510150{n:08}") for n in range(10_000))
    rounds, count = Rounds(bulk.calls), 0
    while group := rounds.next_group():
        rounds.take([[0] * 50] * len(group))
        count += 1
    assert 10 == count
    assert {"duplicates": 0, "attached": 0, "answered": 0} == bulk.counts(rounds.replies)


def test_a_server_that_never_learns_is_an_error_in_the_end():
    rounds = Rounds(Plan(60, 1).one(order()))
    for _ in range(3):
        rounds.next_group()
        rounds.take([NoScriptError()])
    rounds.next_group()
    with pytest.raises(NoScriptError):
        rounds.take([NoScriptError()])


def test_any_other_refusal_is_raised_at_once():
    rounds = Rounds(Plan(60, 1).one(order()))
    rounds.next_group()
    with pytest.raises(ResponseError):
        rounds.take([ResponseError("OOM")])


@pytest.mark.parametrize(("ttl", "chunk"), [(0, 50), (-1, 50), (60, 0), (60, 501), (60, True), (1.5, 50), ("60", 50)])
def test_a_producer_refuses_numbers_that_cannot_work(ttl, chunk):
    with pytest.raises(InvalidOrderError):
        Plan(ttl, chunk)
