"""Chunks of one account and lane, and the message that carries one."""

import json
from typing import Any

import neo_cancel.messages
from neo_cancel import CancelOrder
from neo_cancel.messages import chunks, envelope

GOOD: dict[str, Any] = {"ucc": "AB123", "order_number": "251015000123456"}


def test_chunks_hold_one_account_and_lane_and_start_with_risk():
    def order(ucc: str, number: int, lane: str) -> CancelOrder:
        return CancelOrder(ucc=ucc, order_number=f"25101500012{number:04}", lane=lane)

    orders = [order("AAA", n, "routine") for n in range(5)] + [order("BBB", n, "risk") for n in range(3)]
    got = chunks([*orders, order("AAA", 9, "risk")], size=2)
    shape = [(chunk[0].ucc, str(chunk[0].lane), len(chunk)) for chunk in got]
    assert [("BBB", "risk", 2), ("BBB", "risk", 1), ("AAA", "risk", 1)] == shape[:3]
    assert [("AAA", "routine", 2), ("AAA", "routine", 2), ("AAA", "routine", 1)] == shape[3:]
    assert [f"25101500012{n:04}" for n in range(5)] == [order.order_number for chunk in got[3:] for order in chunk]


def test_the_documented_message_has_the_form_of_our_own():
    """The example for strategies that do not use Python cannot rot."""
    text = (neo_cancel.messages.__doc__ or "").split("orders of one account:")[1].split("The body is itself")[0]
    example = json.loads("".join(line.strip() for line in text.splitlines()))
    before, after = envelope(ucc="AB123", lane="risk", orders=[json.dumps(GOOD)])
    ours = json.loads(f"{before}0{after}")
    assert ours.keys() == example.keys()
    for part in ("headers", "properties"):
        assert example[part].keys() <= ours[part].keys()
    assert ours["headers"]["task"] == example["headers"]["task"]
    (chunk,), _, _ = json.loads(example["body"])
    (our_chunk,), _, _ = json.loads(ours["body"])
    assert our_chunk.keys() == chunk.keys()
    assert CancelOrder(**GOOD, lane="risk") == CancelOrder.from_wire(chunk["orders"][0])
