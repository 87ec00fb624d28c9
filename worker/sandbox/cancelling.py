"""What a cancel does to an order, by the broker's rules."""

import asyncio

from worker.sandbox.exchange import Effect, Exchange
from worker.sandbox.order import Order, Variety
from worker.sandbox.reply import Reply, acknowledged, completed, not_found, refused
from worker.sandbox.wire import CancelCall

__all__ = ["cancel"]


_ROUTES: dict[Variety, str] = {
    "regular": "quick/order/cancel",
    "bracket": "quick/order/bo/exit",
    "cover": "quick/order/co/exit",
}


def cancel(order: Order | None, call: CancelCall, variety: Variety, ordered: Effect, exchange: Exchange) -> Reply:
    """Carry a cancel out and answer it. None means that the account has no such order."""
    if order is None:
        return not_found()
    problem = _refusal(order, call, variety) or exchange.objection(order)
    if problem is not None:
        return problem
    effect = exchange.effect(order, ordered)
    if effect.kind != "none":
        _take_effect(order, effect)
    return acknowledged(order.order_number)


def _refusal(order: Order, call: CancelCall, variety: Variety) -> Reply | None:
    if order.variety != variety:
        return refused(1009, f"Bad input: a {order.variety} order goes to {_ROUTES[order.variety]}", status=400)
    if order.standing == "filled":
        return completed()
    if order.standing != "working":
        return not_found()
    if order.amo != call.amo:
        return refused(1009, f"Bad input: am must be {'YES' if order.amo else 'NO'} for this order", status=400)
    if call.amo and call.trading_symbol != order.trading_symbol:
        return refused(1009, "Bad input: ts is not the symbol of this order", status=400)
    return None


def _take_effect(order: Order, effect: Effect) -> None:
    if effect.kind == "cancel":
        order.effects += 1
    if not effect.seconds:
        _settle(order, effect)
        return
    order.move("cancel pending")
    asyncio.get_running_loop().call_later(effect.seconds, _settle_later, order, effect, len(order.changes))


def _settle_later(order: Order, effect: Effect, changes: int) -> None:
    # Whatever happened to the order in between has the last word.
    if len(order.changes) == changes:
        _settle(order, effect)


def _settle(order: Order, effect: Effect) -> None:
    if effect.kind == "cancel":
        order.move("cancelled", by="api")
    else:
        order.move("not cancelled", reason=effect.reason)
