"""Waiters that know which orders are left, and what to read next."""

import time

import pytest

from neo_cancel import Status
from neo_cancel.waiting import Pending


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
