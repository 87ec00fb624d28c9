"""The message that carries orders, of one account or of many."""

import json
from typing import Any

import pytest

import neo_cancel.messages
from neo_cancel import CancelOrder
from neo_cancel.messages import envelope

GOOD: dict[str, Any] = {"ucc": "AB123", "order_number": "251015000123456"}


def test_the_documented_message_has_the_form_of_our_own():
    """The example for strategies that do not use Python cannot rot."""
    text = (neo_cancel.messages.__doc__ or "").split("orders of one account:")[1].split("The body is itself")[0]
    example = json.loads("".join(line.strip() for line in text.splitlines()))
    before, after = envelope(lane="risk", orders={"AB123": [json.dumps(GOOD)]})
    ours = json.loads(f"{before}0{after}")
    assert ours.keys() == example.keys()
    for part in ("headers", "properties"):
        assert example[part].keys() <= ours[part].keys()
    assert ours["headers"]["task"] == example["headers"]["task"]
    (chunk,), _, _ = json.loads(example["body"])
    (our_chunk,), _, _ = json.loads(ours["body"])
    assert our_chunk.keys() == chunk.keys()
    assert CancelOrder(**GOOD, lane="risk") == CancelOrder.from_wire(chunk["orders"][0])


def sent(**parts: Any) -> dict[str, Any]:
    """Read a message back."""
    before, after = envelope(lane="routine", **parts)
    return json.loads(f"{before}0{after}")


def test_a_message_for_many_accounts_names_them_by_their_orders_and_backlogs():
    other = {**GOOD, "ucc": "CD456"}
    message = sent(orders={"AB123": [json.dumps(GOOD)], "CD456": [json.dumps(other)]}, waiting={"CD456": 30})
    ((chunk,), _, _) = json.loads(message["body"])
    assert (2, ["CD456"], [GOOD, other]) == (chunk["v"], chunk["backlogs"], chunk["orders"])
    assert "ucc" not in chunk


@pytest.mark.parametrize(
    ("orders", "waiting", "shown"),
    [
        ({"AB123": ["1"]}, {}, "(AB123 1 order routine)"),
        ({"AB123": ["1", "2"]}, {}, "(AB123 2 orders routine)"),
        ({}, {"AB123": 200}, "(AB123 200 in backlog routine)"),
        ({"AB123": ["1"], "CD456": ["2"]}, {"EF789": 30}, "(3 accounts 2 orders + 30 in backlog routine)"),
    ],
)
def test_flower_shows_how_many_accounts_and_orders_a_message_is_about(orders, waiting, shown):
    assert shown == sent(orders=orders, waiting=waiting)["headers"]["argsrepr"]
