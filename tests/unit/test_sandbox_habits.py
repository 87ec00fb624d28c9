"""Habits of the sandbox: what is drawn for an order, and what a page shows of it, without a socket."""

import time
from dataclasses import replace

import orjson
import pytest

from worker.sandbox.habits import Fate, HabitBook, Habits, HabitsForm, chance_of
from worker.sandbox.order import Order
from worker.sandbox.page import book_page, shown_change

UCC = "AB123"
SECOND = 1_000_000_000


def an_order(number=1, state="open"):
    return Order(
        ucc=UCC,
        order_number=f"{260722000000000 + number}",
        variety="regular",
        amo=False,
        trading_symbol="TCS-EQ",
        segment="nse_cm",
        product="CNC",
        quantity=10,
        filled_quantity=0,
        state=state,
    )


def book(**habits):
    return HabitBook(seed=7, of_all=Habits(**habits))


def aged(order, *seconds):
    """Let the order's changes be so old."""
    now = time.time_ns()
    order.changes[:] = [
        replace(change, at_ns=now - int(age * SECOND)) for change, age in zip(order.changes, seconds, strict=True)
    ]
    return order


def rows_in(reply):
    return [(row["nOrdNo"], row["ordSt"]) for row in orjson.loads(reply.body).get("data", [])]


def test_without_habits_a_page_shows_every_order_as_it_is():
    orders = [an_order(1), an_order(2)]
    orders[1].move("cancelled", by="api")
    assert ["open", "cancelled"] == [state for _, state in rows_in(book_page(orders, book()))]


def test_a_late_change_is_shown_within_its_seconds_and_never_taken_back():
    order, habits = an_order(), book(late=1.0, late_seconds=2.0)
    order.move("cancel pending")
    order.move("cancelled", by="api")
    begun = order.changes[0].at_ns
    shown = [shown_change(order, habits, begun + tenth * SECOND // 10) for tenth in range(25)]
    assert sorted(shown) == shown
    assert (0, 2) == (shown[0], shown[-1])


def test_only_its_share_of_changes_is_late():
    habits, orders = book(late=0.3, late_seconds=2.0), [an_order(number) for number in range(1000)]
    late = [habits.late_ns(order, 1) for order in orders]
    assert 250 < sum(map(bool, late)) < 350
    assert max(late) <= 2 * SECOND
    assert {0} == {habits.late_ns(order, 0) for order in orders}


def test_a_page_that_jumps_back_shows_what_an_earlier_one_may_have_shown():
    order = an_order()
    order.move("cancelled", by="api")
    aged(order, 100, 0.5)
    habits = book(jump=0.5, jump_seconds=5.0)
    pages = {rows_in(book_page([order], habits))[0][1] for _ in range(50)}
    assert {"open", "cancelled"} == pages


def test_an_order_is_never_hidden_for_longer_than_it_is_shown_next():
    fates = [book(hidden=1.0).fate(an_order(number)) for number in range(20)]
    for fate in fates:
        assert 2.0 <= fate.hidden_seconds <= 4.0
        hidden = [fate.is_hidden(tenth * SECOND // 10) for tenth in range(200)]
        runs = "".join(".h"[is_hidden] for is_hidden in hidden).strip(".").split(".")
        assert max(map(len, runs)) <= 41
        assert sum(hidden) <= 120


def test_a_hidden_order_is_in_no_page_and_the_others_are():
    orders = [an_order(number) for number in range(40)]
    habits = book(hidden=0.5)
    hidden = {order.order_number for order in orders if habits.fate(order).is_hidden(time.time_ns())}
    shown = {number for number, _ in rows_in(book_page(orders, habits))}
    assert 0 < len(hidden) < 40
    assert len(shown ^ {order.order_number for order in orders} - hidden) <= 1


def test_of_an_order_that_is_never_hidden_nothing_is_drawn():
    assert Fate() == book(late=1.0, jump=1.0, doubled=1.0).fate(an_order())


def test_a_doubled_row_has_an_older_one_on_either_side():
    order, habits = an_order(), book(doubled=1.0)
    order.move("cancel pending")
    order.move("cancelled", by="api")
    aged(order, 100, 90, 80)
    pages = [orjson.loads(book_page([order], habits).body)["data"] for _ in range(50)]
    newest = [max(rows, key=lambda row: row["updRecvTm"])["ordSt"] for rows in pages]
    assert {"cancelled"} == set(newest)
    assert {0, 1} == {[row["ordSt"] for row in rows].index("cancelled") for rows in pages}
    assert {2} == set(map(len, pages))


def test_an_order_that_never_changed_has_one_row():
    order = an_order()
    assert [(order.order_number, "open")] == rows_in(book_page([order], book(doubled=1.0)))


def test_the_habits_of_an_order_come_before_those_of_its_account_and_of_all():
    order, habits = an_order(), book(late=0.1)
    found = [habits.of(order).late]
    habits.put(HabitsForm(ucc=UCC, late=0.2))
    found.append(habits.of(order).late)
    habits.put(HabitsForm(order_number=order.order_number, late=0.3))
    found.append(habits.of(order).late)
    habits.put(HabitsForm(ucc=UCC, late=0.4))
    assert [0.1, 0.2, 0.3, 0.3] == [*found, habits.of(order).late]


def test_cleared_habits_are_those_of_the_start():
    habits = book(late=0.1)
    habits.put(HabitsForm(late=0.5))
    habits.put(HabitsForm(ucc=UCC, late=0.2))
    habits.clear()
    assert [0.1] == [form["late"] for form in habits.as_json()]


@pytest.mark.parametrize(("habits", "expected"), [({}, True), ({"late": 0.1}, False)])
def test_a_book_knows_whether_any_habit_is_in_force(habits, expected):
    assert expected == book(**habits).are_none


def test_what_is_drawn_depends_on_the_seed_and_the_order_alone():
    first, again, other = (HabitBook(seed=seed, of_all=Habits(hidden=1.0)) for seed in (1, 1, 2))
    assert first.fate(an_order()) == again.fate(an_order())
    assert first.fate(an_order()) != other.fate(an_order())
    assert 1000 == len({chance_of(1, number) for number in range(1000)})
