"""The order book as it is shown: punctual, or late, older than before, with rows missing or doubled."""

import time
from collections.abc import Iterable, Sequence

from worker.sandbox.habits import HabitBook, Habits
from worker.sandbox.order import Order
from worker.sandbox.reply import Reply, json_reply, no_data, rows
from worker.sandbox.row import change_bytes, row_bytes, row_of

__all__ = ["book_page", "history_page", "order_page", "shown_change"]


_NANO = 1_000_000_000


def book_page(orders: Iterable[Order], habits: HabitBook) -> Reply:
    """Return a page with these orders, as their habits have it."""
    if habits.are_none:
        found = list(map(row_bytes, orders))
    else:
        moment = _Moment(habits)
        found = [row for order in orders for row in moment.rows_of(order)]
    return rows(found) if found else no_data()


def order_page(order: Order | None, habits: HabitBook) -> Reply:
    """Return the page of a single order; None is one that the account does not have."""
    return no_data() if order is None else book_page([order], habits)


def history_page(order: Order | None, *, wrapped: bool) -> Reply:
    """Return every change of an order, the newest first. Habits of the book are none of the history."""
    if order is None:
        return no_data()
    envelope = {"stat": "Ok", "stCode": 200, "data": [row_of(order, change) for change in reversed(order.changes)]}
    return json_reply({"data": envelope} if wrapped else envelope)


class _Moment:
    """One page. Whether it is older than it should be, and by how much, is drawn once for all of its rows."""

    def __init__(self, habits: HabitBook) -> None:
        self._habits = habits
        self._now_ns = time.time_ns()
        self._jump, self._jump_part = habits.dice.random(), habits.dice.random()

    def rows_of(self, order: Order) -> Sequence[bytes]:
        # By the time of the page, however old what it shows is: no order is hidden for longer than its habit says.
        if self._habits.fate(order).is_hidden(self._now_ns):
            return ()
        if len(order.changes) == 1:
            return (row_bytes(order),)
        habits = self._habits.of(order)
        place = shown_change(order, self._habits, self._as_of_ns(habits))
        row = change_bytes(order, order.changes[place])
        dice = self._habits.dice
        if not place or dice.random() >= habits.doubled:
            return (row,)
        older = change_bytes(order, order.changes[dice.randrange(place)])
        return (older, row) if dice.random() < 0.5 else (row, older)  # noqa: PLR2004 (either way)

    def _as_of_ns(self, habits: Habits) -> int:
        if self._jump >= habits.jump:
            return self._now_ns
        return self._now_ns - int(self._jump_part * habits.jump_seconds * _NANO)


def shown_change(order: Order, habits: HabitBook, at_ns: int) -> int:
    """Return the number of the change that a page of this time shows: the newest that it is not too early for."""
    changes = order.changes
    for place in range(len(changes) - 1, 0, -1):
        if changes[place].at_ns + habits.late_ns(order, place) <= at_ns:
            return place
    return 0
