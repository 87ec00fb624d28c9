"""What is really so, for the control API: orders as they are, and orders to be."""

from typing import Any

from worker.sandbox.book import Book
from worker.sandbox.form import Generator, InputError, OrderForm, OrderTemplate, Segment, StateForm
from worker.sandbox.order import Order, standing_of

__all__ = ["change", "create", "truth_of"]


_SYMBOLS: dict[Segment, str] = {
    "nse_cm": "TCS-EQ",
    "bse_cm": "TCS",
    "nse_fo": "NIFTY26JUL25000CE",
    "bse_fo": "SENSEX26JUL82000PE",
    "cde_fo": "USDINR26JULFUT",
    "mcx_fo": "CRUDEOIL26JULFUT",
}
_PRODUCTS = {"bracket": "BO", "cover": "CO"}


def truth_of(order: Order) -> dict[str, Any]:
    """Return the order as it really is; times are epoch seconds."""
    return {
        "ucc": order.ucc,
        "order_number": order.order_number,
        "variety": order.variety,
        "amo": order.amo,
        "trading_symbol": order.trading_symbol,
        "segment": order.segment,
        "product": order.product,
        "state": order.state,
        "standing": order.standing,
        "initial_state": order.initial_state,
        "cancelled_by": order.cancelled_by,
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "unfilled": order.unfilled,
        "reason": order.reason,
        "cancel_requests": order.cancel_requests,
        "effects": order.effects,
        "changed_at": [change.at_ns / 1e9 for change in order.changes],
    }


def create(book: Book, wanted: list[OrderForm] | Generator) -> list[Order]:
    """Create all the orders, or raise InputError and create none."""
    if isinstance(wanted, Generator):
        template = wanted.generate
        orders = [_order(book, template, "generate", book.new_number()) for _ in range(template.count)]
    else:
        orders = _listed(book, wanted)
    book.add(orders)
    return orders


def _listed(book: Book, forms: list[OrderForm]) -> list[Order]:
    numbers: set[str] = set()
    for place, form in enumerate(forms):
        number = form.order_number
        if number is not None and (number in numbers or number in book.orders):
            raise InputError(f"{place}.order_number", number, "must be new")
        numbers.add(number or "")
    # Numbers as given come first: a generated one must not take their place.
    return [
        _order(book, form, str(place), form.order_number or book.new_number(numbers))
        for place, form in enumerate(forms)
    ]


def _order(book: Book, form: OrderTemplate, place: str, number: str) -> Order:
    if form.ucc not in book.accounts:
        raise InputError(f"{place}.ucc", form.ucc, "must be an account of the sandbox")
    state = form.state or ("after market order req received" if form.amo else "open")
    return Order(
        ucc=form.ucc,
        order_number=number,
        variety=form.variety,
        amo=form.amo,
        trading_symbol=form.trading_symbol or _SYMBOLS[form.segment],
        segment=form.segment,
        product=_product(form, place),
        quantity=form.quantity,
        filled_quantity=_filled(form, state, place),
        state=state,
        reason="RMS:Rule: Check circuit limit" if standing_of(state) == "gone" else "--",
    )


def _product(form: OrderTemplate, place: str) -> str:
    needed = _PRODUCTS.get(form.variety)
    if form.product is None:
        return needed or ("CNC" if form.segment.endswith("_cm") else "NRML")
    if form.product != needed and (needed or form.product in _PRODUCTS.values()):
        raise InputError(f"{place}.product", form.product, f"must suit the variety {form.variety}")
    return form.product


def _filled(form: OrderTemplate, state: str, place: str) -> int:
    complete = standing_of(state) == "filled"
    filled = form.filled_quantity
    if filled is None:
        return form.quantity if complete else 0
    if filled > form.quantity or (complete and filled != form.quantity):
        rule = f"must be {'' if complete else 'at most '}{form.quantity} here"
        raise InputError(f"{place}.filled_quantity", filled, rule)
    return filled


def change(book: Book, form: StateForm) -> Order:
    """Put an order into a state, as the exchange or the client's terminal would."""
    order = book.orders.get(form.order_number)
    if order is None:
        raise InputError("order_number", form.order_number, "must be an order of the sandbox")
    filled = form.filled_quantity
    complete = standing_of(form.state) == "filled"
    if filled is not None and (filled > order.quantity or (complete and filled != order.quantity)):
        rule = f"must be {'' if complete else 'at most '}{order.quantity} here"
        raise InputError("filled_quantity", filled, rule)
    if filled is not None:
        order.filled_quantity = filled
    order.move(form.state, reason=form.reason)
    return order
