"""Habits to order: how late and how well a book shows what is true, and what the exchange makes of a cancel."""

import hashlib
import random
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from worker.sandbox.form import Form, OrderNumber, Seconds, Ucc
from worker.sandbox.order import Order

__all__ = ["Fate", "HabitBook", "Habits", "HabitsForm", "chance_of"]


_NANO = 1_000_000_000
_MOST_HIDDEN_SECONDS = 4.0

Share = Annotated[float, Field(ge=0, le=1)]


class Habits(Form):
    """All shares 0: a punctual broker that makes no mistake. A share is a probability, `..._seconds` the longest time.

    Of the book: `late` changes of orders are shown up to so many seconds later; `jump` pages are up to so many seconds
    older than they should be; `hidden` orders are missing from all pages for half of the seconds or more, then shown
    for as long, and so on; `doubled` rows have an older row of the same order before or after them, once it has changed.
    Of the exchange: `in_flight` orders are on their way for half of the seconds or more from their first cancel on, and
    the broker answers 1006 or 1021 meanwhile; `refuse_later` cancels are acknowledged and then refused; `refuse_ever`
    orders meet that with every cancel.
    """

    late: Share = 0.0
    late_seconds: Seconds = 2.5
    jump: Share = 0.0
    jump_seconds: Seconds = 1.5
    hidden: Share = 0.0
    hidden_seconds: Annotated[float, Field(ge=0, le=_MOST_HIDDEN_SECONDS)] = _MOST_HIDDEN_SECONDS
    doubled: Share = 0.0
    in_flight: Share = 0.0
    in_flight_seconds: Seconds = 3.0
    refuse_later: Share = 0.0
    refuse_later_seconds: Seconds = 0.5
    refuse_ever: Share = 0.0


class HabitsForm(Habits):
    """Habits to put in force: for one order, for one account, or, where neither is named, for all."""

    ucc: Ucc | None = None
    order_number: OrderNumber | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What an order's habits hold for it, drawn once. 0 and False: nothing."""

    hidden_seconds: float = 0.0
    hidden_from: float = 0.0
    in_flight_seconds: float = 0.0
    is_refused_ever: bool = False

    def is_hidden(self, at_ns: int) -> bool:
        """Whether pages lack the order at this time (epoch nanoseconds): never longer than they show it next."""
        if not self.hidden_seconds:
            return False
        return (at_ns / _NANO + self.hidden_from) % (2 * self.hidden_seconds) < self.hidden_seconds


_NO_FATE = Fate()


class HabitBook:
    """The habits in force: an order's own, else its account's, else those of all."""

    def __init__(self, *, seed: int, of_all: Habits | None = None) -> None:
        self._seed = seed
        self._at_start = HabitsForm(**(of_all or Habits()).model_dump())
        self.clear()

    def clear(self) -> None:
        """Go back to the habits of the start, and start the dice anew."""
        self.dice = random.Random(self._seed)
        self._forms: dict[str | None, HabitsForm] = {None: self._at_start}
        self._fates: dict[str, Fate] = {}

    def put(self, form: HabitsForm) -> None:
        """Put habits in force instead of earlier ones for the same."""
        self._forms[form.order_number or form.ucc] = form
        self._fates.clear()

    @property
    def are_none(self) -> bool:
        """Whether no order has any."""
        return len(self._forms) == 1 and self._forms[None] == HabitsForm()

    def as_json(self) -> list[dict[str, Any]]:
        """Return all that is in force as the control API shows it."""
        return [form.model_dump() for form in self._forms.values()]

    def of(self, order: Order) -> Habits:
        """Return the habits that an order meets."""
        forms = self._forms
        return forms.get(order.order_number) or forms.get(order.ucc) or forms[None]

    def fate(self, order: Order) -> Fate:
        """Return what these habits hold for an order: the same at every call."""
        fate = self._fates.get(order.order_number)
        if fate is None:
            fate = self._fates[order.order_number] = self._drawn(order)
        return fate

    def _drawn(self, order: Order) -> Fate:
        habits = self.of(order)
        if not (habits.hidden or habits.in_flight or habits.refuse_ever):
            return _NO_FATE
        dice = random.Random(f"{self._seed} {order.order_number}")
        hidden, hidden_for, hidden_from, in_flight, flies_for, refused = (dice.random() for _ in range(6))
        hidden_seconds = habits.hidden_seconds * (0.5 + hidden_for / 2) if hidden < habits.hidden else 0.0
        return Fate(
            hidden_seconds=hidden_seconds,
            hidden_from=hidden_from * 2 * hidden_seconds,
            in_flight_seconds=habits.in_flight_seconds * (0.5 + flies_for / 2) if in_flight < habits.in_flight else 0.0,
            is_refused_ever=refused < habits.refuse_ever,
        )

    def late_ns(self, order: Order, change: int) -> int:
        """Return by how many nanoseconds pages are late to show the order's change of this number; the first never is."""
        habits = self.of(order)
        if not change or chance_of(self._seed, order.order_number, change, "late") >= habits.late:
            return 0
        return int(habits.late_seconds * _NANO * chance_of(self._seed, order.order_number, change, "seconds"))


def chance_of(*what: int | str) -> float:
    """Return a number from 0 to below 1 that depends on nothing but the arguments."""
    text = " ".join(map(str, what)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest()) / 2**48
