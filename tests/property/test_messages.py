"""Whatever a strategy writes, the message is sound JSON and says the same on the other side."""

import json

from hypothesis import given
from hypothesis import strategies as st

from neo_cancel import CancelOrder, InvalidOrderError, Lane, Variety
from neo_cancel.enqueue import document
from neo_cancel.messages import envelope

said = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)
tricky = st.sampled_from(['"@enqueued_ms@"', "@enqueued_ms@", '"enqueued_ms": 5', "\\", '"', "}", "\u2028", "%s", "💥"])
text = st.one_of(said, st.lists(st.one_of(tricky, said), max_size=4).map(lambda parts: "".join(parts)[:64]))
symbols = st.from_regex(r"[A-Z0-9&-]{1,50}", fullmatch=True)
orders = st.builds(
    CancelOrder,
    ucc=st.from_regex(r"[A-Z0-9]{3,16}", fullmatch=True),
    order_number=st.from_regex(r"[0-9]{10,20}", fullmatch=True),
    variety=st.sampled_from(Variety),
    lane=st.sampled_from(Lane),
    amo=st.booleans(),
    trading_symbol=symbols,
    strategy=st.none() | text,
    reason=st.none() | text,
    deadline_seconds=st.none() | st.floats(0.05, 86_400),
)


@given(orders)
def test_an_order_survives_the_wire(order):
    again = CancelOrder.from_wire(json.loads(json.dumps(order.to_wire())))
    assert order.to_wire() == again.to_wire()
    assert order.key == again.key


@given(st.lists(orders, min_size=1, max_size=5), st.integers(0, 2**43))
def test_an_envelope_is_sound_whatever_the_reasons_say(orders, now):
    """The time goes where the header is, even if a reason looks like the mark."""
    documents = [document(order, "b1") for order in orders]
    before, after = envelope(lane="risk", orders={"AB123": documents}, batch="b1")
    message = json.loads(f"{before}{now}{after}")
    assert now == message["headers"]["enqueued_ms"]
    (chunk,), kwargs, _ = json.loads(message["body"])
    assert {} == kwargs
    assert [json.loads(one) for one in documents] == chunk["orders"]


@given(
    st.dictionaries(
        st.sampled_from(list(CancelOrder.__dataclass_fields__)),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        ),
    )
)
def test_any_json_is_an_order_or_an_error_that_names_a_field(wire):
    try:
        CancelOrder.from_wire(wire)
        named = "ucc"
    except InvalidOrderError as error:
        named = error.field
    assert named in CancelOrder.__dataclass_fields__
