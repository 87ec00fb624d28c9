"""From orders to calls of the enqueue script, one round trip for many."""

import pytest
from redis.exceptions import NoScriptError, ResponseError

from neo_cancel import CancelOrder, InvalidOrderError
from neo_cancel.enqueue import enqueue_script
from neo_cancel.plan import Plan, Rounds


def order(number: int = 0, *, ucc: str = "AB123", **fields) -> CancelOrder:
    return CancelOrder(ucc=ucc, order_number=f"2510150001{number:05}", **fields)


def test_only_the_calls_that_did_not_run_are_sent_again():
    calls = Plan(60, 1).many([order(n, ucc=f"AB{n}") for n in range(3)]).calls
    rounds = Rounds(calls)
    assert list(calls) == rounds.next_group()
    rounds.take([[0], NoScriptError(), [0]])
    assert [calls[1]] == rounds.next_group()
    assert [enqueue_script()] == rounds.to_load()
    rounds.take([[1]])
    assert [] == rounds.next_group()
    assert [[0], [1], [0]] == rounds.replies


def test_ten_thousand_orders_of_a_hundred_accounts_take_one_round_trip():
    bulk = Plan(60, 50).many(CancelOrder(ucc=f"ACC{n % 100}", order_number=f"2510150{n:08}") for n in range(10_000))
    rounds, count = Rounds(bulk.calls), 0
    while group := rounds.next_group():
        rounds.take([[0] * 500] * len(group))
        count += 1
    assert 1 == count
    assert {"duplicates": 0, "attached": 0, "answered": 0, "contradicted": 0} == bulk.counts(rounds.replies)


def test_a_server_that_loses_the_scripts_each_time_is_an_error_in_the_end():
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


def test_what_was_accepted_beside_a_refusal_is_known():
    rounds = Rounds(Plan(60, 1).many([order(n, ucc=f"AB{n}") for n in range(3)]).calls)
    rounds.next_group()
    with pytest.raises(ResponseError, match="OOM"):
        rounds.take([[0], ResponseError("OOM"), [1]])
    assert 2 == rounds.answered


@pytest.mark.parametrize(("ttl", "chunk"), [(0, 50), (-1, 50), (60, 0), (60, 501), (60, True), (1.5, 50), ("60", 50)])
def test_a_producer_refuses_numbers_that_cannot_work(ttl, chunk):
    with pytest.raises(InvalidOrderError):
        Plan(ttl, chunk)
