"""Orders, rows and windows of the sandbox, without a socket."""

import orjson
import pytest

from worker.sandbox.book import Book, RollingSecond, Rules
from worker.sandbox.journal import busiest_second
from worker.sandbox.numbers import OrderNumbers
from worker.sandbox.order import Order, standing_of
from worker.sandbox.row import row_bytes, row_of
from worker.sandbox.totp import totp_codes


def an_order(**changes):
    fields = {
        "ucc": "AB123",
        "order_number": "260722000000001",
        "variety": "regular",
        "amo": False,
        "trading_symbol": "TCS-EQ",
        "segment": "nse_cm",
        "product": "CNC",
        "quantity": 10,
        "filled_quantity": 0,
        "state": "open",
    }
    return Order(**(fields | changes))


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        ("open", "working"),
        (" Trigger Pending ", "working"),
        ("not cancelled", "working"),
        ("never heard of", "working"),
        ("cancel pending", "cancelling"),
        ("CANCELLED", "cancelled"),
        ("cancelled after market order", "cancelled"),
        ("traded", "filled"),
        ("expired", "gone"),
    ],
)
def test_a_state_tells_where_an_order_stands(state, standing):
    assert standing == standing_of(state)


def test_an_order_remembers_who_cancelled_it_first():
    order = an_order()
    order.move("cancelled", by="api")
    order.move("cancelled after market order", by="other")
    assert "api" == order.cancelled_by


def test_an_order_created_cancelled_was_cancelled_before():
    assert "before" == an_order(state="cancelled").cancelled_by


def test_a_partial_fill_leaves_the_order_working():
    order = an_order()
    order.fill(4)
    assert ("open", 4, 6) == (order.state, order.filled_quantity, order.unfilled)


@pytest.mark.parametrize("quantity", [None, 10, 99])
def test_a_whole_fill_completes_the_order(quantity):
    order = an_order()
    order.fill(quantity)
    assert ("complete", 10) == (order.state, order.filled_quantity)


def test_the_row_follows_every_change():
    order = an_order()
    before = orjson.loads(row_bytes(order))
    order.move("cancelled", by="api")
    after = orjson.loads(row_bytes(order))
    assert ("open", "cancelled") == (before["ordSt"], after["ordSt"])
    assert before["GuiOrdId"] != after["GuiOrdId"]
    assert "10" == str(after["cnlQty"])


def test_rows_mix_ints_and_strings_by_order_number():
    rows = [row_of(order, order.latest) for order in (an_order(order_number=f"{n:015d}") for n in range(30))]
    assert {int, str} == {type(row["qty"]) for row in rows}
    assert {True, False} == {row["rejRsn"] == "--" for row in rows}


def test_a_row_names_the_instruments_token_and_the_price_of_what_was_filled():
    filled = row_of(order := an_order(filled_quantity=4), order.latest)
    unfilled = row_of(an_order(), an_order().latest)
    assert ("0.00", filled["prc"], unfilled["tok"]) == (unfilled["avgPrc"], filled["avgPrc"], filled["tok"])
    assert (5, True) == (len(filled["tok"]), filled["tok"].isdecimal())


def test_a_row_says_when_the_exchange_took_the_order_in():
    """A rejected order never was at the exchange."""
    rows = [row_of(order, order.latest) for order in (an_order(), an_order(state="rejected"))]
    assert [rows[0]["ordDtTm"], "--"] == [row["ordEntTm"] for row in rows]


def test_the_rows_own_stat_misleads():
    row = row_of(an_order(), an_order().latest)
    assert ("open", "complete") == (row["ordSt"], row["stat"])


def test_the_busiest_second_is_rolling_and_half_open():
    assert 3 == busiest_second([0.0, 0.6, 0.9, 1.5, 1.6])
    assert 1 == busiest_second([0.0, 1.0, 2.0])
    assert 0 == busiest_second([])


def test_a_rolling_second_counts_refused_calls_too():
    window = RollingSecond()
    assert [False, False, True, True, False] == [window.exceeds(2, now) for now in (0.0, 0.1, 0.2, 1.05, 2.1)]


def test_generated_numbers_are_repeatable_dated_and_unique():
    first, second = (Book(seed=7) for _ in range(2))
    numbers = [first.new_number() for _ in range(100)]
    assert numbers == [second.new_number() for _ in range(100)]
    assert (100, {15}) == (len(set(numbers)), {len(number) for number in numbers})


NOON = 1_784_700_000.0


def test_numbers_without_a_seed_follow_the_clock_so_that_no_later_run_repeats_one():
    first = OrderNumbers(None, now=lambda: NOON)
    numbers = {first.draw() for _ in range(100_000)}
    again = OrderNumbers(None, now=lambda: NOON + first.lead_seconds + 0.0001)
    assert (100_000, set(), {16}) == (
        len(numbers),
        numbers & {again.draw() for _ in range(100_000)},
        {len(number) for number in numbers},
    )


def test_numbers_without_a_seed_go_on_after_a_reset():
    book = Book(seed=None)
    before = book.new_number()
    book.clear()
    assert before < book.new_number()


def test_numbers_drawn_about_midnight_are_no_later_runs_of_the_new_day():
    clock = [NOON]
    late = OrderNumbers(None, now=lambda: clock[0])
    late.draw()
    clock[0] += 86_400 - NOON % 86_400 - 19_800 + 1
    second = late.draw()
    assert (0.0, second) == (late.lead_seconds, OrderNumbers(None, now=lambda: clock[0]).draw())


def test_a_replaced_account_keeps_its_orders_and_loses_its_session():
    book = Book(seed=1)
    old = book.open_account("AB123", Rules())
    book.add([an_order()])
    new = book.open_account("AB123", Rules(orders_per_second=1))
    assert (False, True, 1) == (old.alive, new.alive, len(book.accounts["AB123"].orders))


def test_totp_codes_follow_the_rfc():
    # RFC 6238, appendix B: SHA-1, 59 s, last six digits of 94287082.
    assert "287082" in totp_codes("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 59)
