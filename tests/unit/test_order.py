"""Bad input never travels: every rule of CancelOrder, and its wire form."""

import json
import math
import pickle
from typing import Any

import pytest

from neo_cancel import CancelOrder, InvalidOrderError, Lane, Variety

GOOD: dict[str, Any] = {"ucc": "AB123", "order_number": "251015000123456"}

BAD_VALUES: list[tuple[str, Any]] = [
    *[
        ("ucc", value)
        for value in ("", "AB", "A" * 17, "ab123", "AB 12", "AB123\n", "ÄB123", "AB\u0661\u0662", 12345, None)
    ],
    *[
        ("order_number", value)
        for value in ("", "1" * 9, "1" * 21, "2510150001234 6", "251015000123456\n", "-2510150001234")
    ],
    *[
        ("order_number", value)
        for value in ("2.51015E+14", "\u0661" * 15, 251015000123456, 2.51e14, None, b"251015000123456")
    ],
    *[("variety", value) for value in ("", "Regular", "bo", None, 1, ["regular"])],
    *[("lane", value) for value in ("", "RISK", "urgent", None, 1, {})],
    *[("amo", value) for value in ("YES", 1, None, "true")],
    *[("trading_symbol", value) for value in ("", "tcs-eq", "TCS EQ", "A" * 51, "TCS-EQ\n", 5)],
    *[("strategy", value) for value in ("s" * 65, 7, "a\nb")],
    *[("reason", value) for value in ("r" * 201, 7, "bell \x07", "\ud800")],
    *[("deadline_seconds", value) for value in (0, -1, 0.01, 86_401, math.nan, math.inf, "60", True)],
]


@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_refuses_a_bad_value_and_names_field_value_and_rule(field, value):
    """A caller can mend the input by the error alone."""
    with pytest.raises(InvalidOrderError) as caught:
        CancelOrder(**{**GOOD, field: value})
    assert field == caught.value.field
    assert value is caught.value.value
    assert str(caught.value).startswith(f"{field}={value!r}"[:60])
    assert str(caught.value).endswith(caught.value.rule)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ucc": "A12"},
        {"ucc": "A" * 16},
        {"order_number": "1" * 10},
        {"order_number": "1" * 20},
        {"variety": "cover"},
        {"variety": Variety.BRACKET},
        {"lane": "risk"},
        {"lane": Lane.RISK},
        {"amo": True, "trading_symbol": "M&M-EQ"},
        {"trading_symbol": "A" * 50},
        {"strategy": "s" * 64, "reason": "r" * 200},
        {"reason": "Stop-Loß 損切り 🛑"},
        {"deadline_seconds": 0.05},
        {"deadline_seconds": 86_400},
    ],
)
def test_a_good_order_makes_the_round_trip(fields):
    """What the worker reads is what the producer meant, the lane's deadline filled in."""
    order = CancelOrder(**{**GOOD, **fields})
    again = CancelOrder.from_wire(json.loads(json.dumps(order.to_wire())))
    assert order.key == again.key
    assert order.effective_deadline_seconds == again.deadline_seconds
    for field in ("variety", "lane", "amo", "trading_symbol", "strategy", "reason"):
        assert getattr(order, field) == getattr(again, field)


def test_an_after_market_order_needs_its_symbol():
    with pytest.raises(InvalidOrderError, match="mandatory for an after-market order") as caught:
        CancelOrder(**GOOD, amo=True)
    assert "trading_symbol" == caught.value.field


def test_unknown_fields_of_a_newer_sender_are_left_aside():
    assert CancelOrder(**GOOD) == CancelOrder.from_wire({**GOOD, "colour": "red", "v": 2})


@pytest.mark.parametrize(
    ("wire", "field"), [({}, "ucc"), ({"ucc": "AB123"}, "order_number"), ([], "order"), (None, "order")]
)
def test_wire_data_without_the_essentials_is_refused(wire, field):
    with pytest.raises(InvalidOrderError) as caught:
        CancelOrder.from_wire(wire)
    assert field == caught.value.field


@pytest.mark.parametrize(("lane", "seconds"), [("routine", 60.0), ("risk", 300.0)])
def test_each_lane_has_its_default_deadline(lane, seconds):
    assert seconds == CancelOrder(**GOOD, lane=lane).effective_deadline_seconds


def test_a_long_value_is_cut_in_the_error_text():
    with pytest.raises(InvalidOrderError) as caught:
        CancelOrder(**{**GOOD, "reason": "r" * 10_000})
    assert len(str(caught.value)) < 200


def test_the_error_survives_a_trip_between_processes():
    """A strategy that validates in a process pool gets the same error back."""
    error = pickle.loads(pickle.dumps(InvalidOrderError("ucc", "x", "must be longer")))  # noqa: S301
    assert ("ucc", "x", "must be longer") == (error.field, error.value, error.rule)
