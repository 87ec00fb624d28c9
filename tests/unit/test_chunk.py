"""What a message holds is checked once, where it comes in: a wrong order is put aside, the others go on."""

import pytest

from neo_cancel.errors import InvalidOrderError
from neo_cancel.order import CancelOrder
from worker.dispatch.intake import Chunk, Refusal, read_chunk

NUMBER = "251015000123456"
ORDER = {"ucc": "AB123", "order_number": NUMBER}
GOOD = {"v": 1, "ucc": "AB123", "lane": "risk", "batch": None, "orders": [ORDER]}
OTHER = {"ucc": "CD456", "order_number": NUMBER}
MANY = {"v": 2, "lane": "risk", "batch": None, "backlogs": ["AB123", "EF789"], "orders": [ORDER, OTHER, "text"]}


def test_a_chunk_holds_checked_orders():
    assert Chunk("risk", {"AB123": [CancelOrder(ucc="AB123", order_number=NUMBER)]}) == read_chunk(GOOD)


def test_a_chunk_without_orders_names_an_account_and_a_lane():
    assert Chunk("routine", {}, ("AB123",)) == read_chunk({"v": 1, "ucc": "AB123", "lane": "routine", "orders": []})


def test_a_chunk_of_many_accounts_holds_their_orders_apart_and_names_their_backlogs():
    """A wrong part harms no account."""
    chunk = read_chunk(MANY)
    assert {ucc: [CancelOrder(ucc=ucc, order_number=NUMBER)] for ucc in ("AB123", "CD456")} == chunk.orders
    assert (("AB123", "EF789"), 2, 3, 1) == (chunk.backlogs, chunk.count, chunk.accounts, len(chunk.refusals))


@pytest.mark.parametrize(
    ("chunk", "shown"),
    [
        (read_chunk(GOOD), "(AB123 1 order risk)"),
        (read_chunk(MANY), "(3 accounts 2 orders + backlog risk)"),
        (Chunk("routine", {}, ("AB123",)), "(AB123 backlog routine)"),
        (Chunk("routine", {}), "(0 accounts 0 orders routine)"),
    ],
)
def test_a_chunk_says_for_flower_what_it_is_about(chunk, shown):
    assert shown == str(chunk)


def test_what_a_newer_version_adds_is_left_aside():
    assert read_chunk(GOOD) == read_chunk({**GOOD, "orders": [{**ORDER, "colour": "red"}], "colour": "red"})


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("text", "chunk='text': must be an object"),
        (None, "chunk=None: must be an object"),
        ({}, "v=None: this worker reads versions 1 and 2"),
        ({**GOOD, "v": 3}, "v=3: this worker reads versions 1 and 2"),
        ({**GOOD, "v": True}, "v=True: this worker reads versions 1 and 2"),
        ({**MANY, "backlogs": "all"}, "backlogs='all': must be a list of accounts"),
        ({**MANY, "backlogs": ["ab"]}, "backlogs='ab': must be a string of 3 to 16 characters A-Z or 0-9"),
        ({**GOOD, "lane": "express"}, "lane='express': must be one of risk, routine"),
        ({**GOOD, "lane": ["risk"]}, "lane=['risk']: must be one of risk, routine"),
        ({**GOOD, "ucc": "ab123"}, "ucc='ab123': must be a string of 3 to 16 characters A-Z or 0-9"),
        ({**GOOD, "ucc": 123}, "ucc=123: must be a string of 3 to 16 characters A-Z or 0-9"),
        ({**GOOD, "orders": "all"}, "orders='all': must be a list"),
        ({"v": 1, "ucc": "AB123", "lane": "risk"}, "orders=None: must be a list"),
    ],
)
def test_a_message_of_which_nothing_can_be_used_is_refused_by_field_and_rule(argument, reason):
    with pytest.raises(InvalidOrderError) as refused:
        read_chunk(argument)
    assert reason == str(refused.value)


def test_a_wrong_order_is_put_aside_with_its_reason_and_the_others_go_on():
    bad = [{**ORDER, "order_number": "12x"}, "text", {**ORDER, "ucc": "OTHER1"}, {"ucc": "AB123"}]
    chunk = read_chunk({**GOOD, "orders": [*bad[:2], ORDER, *bad[2:]]})
    assert {"AB123": [CancelOrder(ucc="AB123", order_number=NUMBER)]} == chunk.orders
    assert (
        Refusal("order_number='12x': must be a string of 10 to 20 digits", bad[0]),
        Refusal("order='text': must be an object with ucc and order_number", bad[1]),
        Refusal("ucc='OTHER1': must be the message's account", bad[2]),
        Refusal("order_number=None: is required", bad[3]),
    ) == chunk.refusals


def test_an_order_nested_as_deeply_as_no_error_can_show_takes_no_neighbour_with_it():
    """JSON may be read at a depth at which Python can no longer say what it has read."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    chunk = read_chunk({**GOOD, "orders": [{**ORDER, "order_number": deep}, ORDER]})
    assert ((Refusal("order: is nested too deeply", None),), 1) == (chunk.refusals, chunk.count)


def test_a_message_of_wrong_orders_only_is_a_chunk_without_orders():
    chunk = read_chunk({**GOOD, "orders": ["text"]})
    assert ({}, (), 1) == (chunk.orders, chunk.backlogs, len(chunk.refusals))
