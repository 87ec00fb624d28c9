"""Waiters that know which orders are left, and what to read next."""

import pytest

from neo_cancel import BulkStatus, OrderRecord, Status
from neo_cancel.waiting import Pending, bulk_timeout, order_timeout


def encoded(status: str, number: int = 0) -> bytes:
    return f'{status} 1 - 1000 1 0 {{"ucc": "AB123", "order_number": "2510150001{number:05}"}}'.encode()


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


def test_a_status_of_a_newer_version_ends_a_wait_as_unknown():
    """The producer may be older than the workers; it must not wait for ever, nor call the order dead."""
    pending = Pending(["A:1"], None)
    (record,) = pending.settle(["A:1"], [encoded("exercised")])
    assert (Status.UNKNOWN, True, True, True) == (
        record.status,
        record.is_final,
        record.may_still_work,
        pending.is_over,
    )


@pytest.mark.parametrize("seconds", [0, 0.0001, 100])
def test_a_blocking_read_is_never_for_ever_and_below_the_socket_time_out(seconds):
    assert 1 <= Pending(["A:1"], seconds).block_milliseconds <= 500


def test_a_waiter_without_names_or_time_is_over():
    assert Pending([], None).is_over
    assert Pending(["A:1"], 0).is_over
    assert not Pending(["A:1"], None).is_over


def test_a_wait_ends_no_later_than_its_time_out_says():
    now = [100.0]
    pending = Pending(["A:1"], 0.05, clock=lambda: now[0])
    assert pending.pause_seconds <= 0.05
    now[0] += 0.06
    assert 0 == pending.pause_seconds
    assert pending.is_over


def test_a_sweep_reads_what_no_event_names_every_two_seconds():
    """An event that got lost delays the caller for two seconds, not for ever."""
    now = [100.0]
    pending = Pending(["A:1", "A:2"], None, clock=lambda: now[0])
    assert ["A:1", "A:2"] == pending.to_read()
    now[0] += 1.9
    assert [] == pending.to_read()
    now[0] += 0.2
    assert ["A:1", "A:2"] == pending.to_read()


def test_sweeps_of_many_orders_are_rarer():
    """A hundred thousand orders are swept every twenty seconds, so that a wait costs the server little."""
    now = [100.0]
    pending = Pending([f"A:{number}" for number in range(100_000)], None, clock=lambda: now[0])
    pending.to_read()
    now[0] += 19.0
    assert [] == pending.to_read()
    now[0] += 2.0
    assert 100_000 == len(pending.to_read())


def test_a_wait_in_which_nothing_moves_says_so_once_until_something_does():
    now = [100.0]
    pending = Pending(["A:1", "A:2"], None, clock=lambda: now[0])
    now[0] += 9.9
    assert not pending.is_still()
    now[0] += 0.2
    assert [True, False] == [pending.is_still(), pending.is_still()]
    pending.settle(["A:1"], [encoded("cancelled")])
    assert not pending.is_still()
    now[0] += 10.1
    assert pending.is_still()


@pytest.mark.parametrize(("workers", "text"), [(0, "1 left; no worker is alive"), (2, "1 left; workers alive: 2")])
def test_a_wait_in_which_nothing_moves_says_whether_a_worker_is_alive(workers, text):
    assert f"no order has become final for 10 s, {text}; the wait goes on" == Pending(["A:1"], None).stillness(workers)


def test_the_errors_of_a_wait_say_what_is_not_final():
    record = OrderRecord(ucc="AB123", order_number="251015000123456", status=Status.QUEUED, enqueued_at=0.0)
    assert "order AB123:251015000123456 is still queued after 2 s" == str(order_timeout(record, 2))
    assert "1 of 2 orders are not final after 2 s" == str(bulk_timeout(BulkStatus.of([record, None]), 2))
