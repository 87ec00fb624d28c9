"""From the argument of a message to a chunk of orders, checked once: a wrong order is put aside, the others go on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from neo_cancel.errors import InvalidOrderError
from neo_cancel.messages import WIRE_VERSION
from neo_cancel.order import CancelOrder, Lane, is_ucc

__all__ = ["Chunk", "Refusal", "read_chunk", "without_value"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a message that cannot be used: the reason, naming field and rule, and the part as it came."""

    reason: str
    part: object


@dataclass(frozen=True, slots=True)
class Chunk:
    """Orders of one account that came in one message, through the queue of `lane`.

    `refusals` are the parts that cannot be used. A chunk without orders asks a worker to look into the account's backlog.
    """

    ucc: str
    lane: str
    orders: tuple[CancelOrder, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def read_chunk(argument: object) -> Chunk:
    """Check what a message holds. Raises InvalidOrderError where nothing of it can be used.

    Producers check before they send; messages that were written by hand or by another version are checked here only.
    """
    if not isinstance(argument, Mapping):
        raise InvalidOrderError("chunk", argument, "must be an object")
    fields = cast("Mapping[str, Any]", argument)
    version: Any = fields.get("v")
    ucc: Any = fields.get("ucc")
    lane: Any = fields.get("lane")
    wires: Any = fields.get("orders")
    if version != WIRE_VERSION:
        raise InvalidOrderError("v", version, f"this worker reads version {WIRE_VERSION}")
    if lane not in list(Lane):
        raise InvalidOrderError("lane", lane, f"must be one of {', '.join(Lane)}")
    if not is_ucc(ucc):
        raise InvalidOrderError("ucc", ucc, "must be a string of 3 to 16 characters A-Z or 0-9")
    if not isinstance(wires, list):
        raise InvalidOrderError("orders", wires, "must be a list")
    orders, refusals = _sorted_out(cast("list[object]", wires), ucc)
    return Chunk(ucc, str(lane), tuple(orders), tuple(refusals))


def _sorted_out(wires: Iterable[object], ucc: str) -> tuple[list[CancelOrder], list[Refusal]]:
    orders: list[CancelOrder] = []
    refusals: list[Refusal] = []
    for wire in wires:
        try:
            orders.append(_order_of(wire, ucc))
        except InvalidOrderError as error:
            refusals.append(Refusal(str(error), wire))
        except RecursionError:  # what cannot be shown cannot be kept
            refusals.append(Refusal("order: is nested too deeply", None))
    return orders, refusals


def _order_of(wire: object, ucc: str) -> CancelOrder:
    order = CancelOrder.from_wire(wire)
    if order.ucc != ucc:
        raise InvalidOrderError("ucc", order.ucc, "must be the message's account")
    return order


def without_value(reason: str) -> str:
    """Take the value out of a reason, as InvalidOrderError writes it: whatever stands in a wrong field may be a secret."""
    named, equals, rest = reason.partition("=")
    return f"{named}: {rest.rpartition(': ')[2]}" if equals else reason
