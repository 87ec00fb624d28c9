"""What the exchange makes of a cancel that the broker passes on, by its habits."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from worker.sandbox.habits import HabitBook
from worker.sandbox.order import Order
from worker.sandbox.reply import Reply, completed, not_found

__all__ = ["REFUSAL", "Effect", "Exchange"]


REFUSAL = "RMS:Rule: Cancellation refused by the exchange"

_ARRIVES_AS = {
    "put order req received": "open",
    "validation pending": "open",
    "open pending": "open",
    "modify validation pending": "modified",
    "modify pending": "modified",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What an acknowledged cancel leads to.

    `cancel` and `refuse` happen after `seconds` in `cancel pending`, at once when 0; `none` changes nothing.
    `seconds` None means the account's own delay.
    """

    kind: Literal["cancel", "refuse", "none"] = "cancel"
    seconds: float | None = None
    reason: str = "--"


class Exchange:
    """Knows an order's habits. What a fault orders for a call comes before them."""

    def __init__(self, habits: HabitBook) -> None:
        self._habits = habits

    def objection(self, order: Order) -> Reply | None:
        """Return the broker's answer to a cancel of an order that is on its way, None for one that has arrived.

        An order whose habit it is sets out with its first cancel. One that worked before is being modified then.
        """
        if order.is_in_flight is None:
            self._set_out(order)
        if not order.is_in_flight or order.state not in _ARRIVES_AS:
            return None
        return not_found() if self._habits.dice.random() < 0.5 else completed()  # noqa: PLR2004 (either text)

    def _set_out(self, order: Order) -> None:
        seconds = self._habits.fate(order).in_flight_seconds
        order.is_in_flight = seconds > 0 and not order.amo
        if order.is_in_flight:
            if order.state not in _ARRIVES_AS:
                order.move("modify pending")
            asyncio.get_running_loop().call_later(seconds, _arrive, order)

    def effect(self, order: Order, ordered: Effect) -> Effect:
        """Return what a cancel leads to: what was ordered, or a refusal that comes later."""
        habits = self._habits.of(order)
        is_refused = self._habits.fate(order).is_refused_ever or self._habits.dice.random() < habits.refuse_later
        if ordered.kind != "cancel" or not is_refused:
            return ordered
        return Effect("refuse", self._habits.dice.uniform(0, habits.refuse_later_seconds), REFUSAL)


def _arrive(order: Order) -> None:
    order.is_in_flight = False
    if order.state in _ARRIVES_AS:
        order.move(_ARRIVES_AS[order.state])
