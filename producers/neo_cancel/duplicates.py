"""One order named more than once in a bulk: collapsed, or refused where its entries contradict each other."""

from collections.abc import Iterable

from neo_cancel.errors import InvalidOrderError
from neo_cancel.order import CancelOrder, Lane

__all__ = ["contradiction", "distinct"]


def distinct(orders: Iterable[CancelOrder]) -> tuple[list[CancelOrder], int]:
    """Collapse the entries for one order into one; answer the orders and how many entries were dropped.

    The most urgent lane wins.

    Raises InvalidOrderError for an empty bulk and where two entries contradict each other about what the order is.
    """
    kept: dict[tuple[str, str], CancelOrder] = {}
    asked = 0
    for order in orders:
        if not isinstance(order, CancelOrder):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOrderError("orders", order, "must hold CancelOrder values only")
        asked += 1
        first = kept.setdefault(order.key, order)
        if first is order:
            continue
        if error := contradiction(first, order):
            raise error
        if order.lane == Lane.RISK:
            kept[order.key] = order
    if not kept:
        raise InvalidOrderError("orders", [], "an empty bulk: at least one order is needed")
    return list(kept.values()), asked - len(kept)


def contradiction(first: CancelOrder, second: CancelOrder) -> InvalidOrderError | None:
    """Make the error for two entries that describe one order differently; None where they agree."""
    for field in ("variety", "amo", "trading_symbol"):
        if getattr(first, field) != getattr(second, field):
            rule = f"contradicts an earlier entry for order {second.order_number} ({getattr(first, field)!s})"
            return InvalidOrderError(field, getattr(second, field), rule)
    return None
