"""From the argument of a message to a chunk of orders, checked once: a wrong order is put aside, the others go on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from neo_cancel.errors import InvalidOrderError
from neo_cancel.messages import WIRE_VERSION, WIRE_VERSION_MANY
from neo_cancel.order import CancelOrder, Lane, is_ucc

__all__ = ["Chunk", "Refusal", "read_chunk", "without_value"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a message that cannot be used: the reason, naming field and rule, and the part as it came."""

    reason: str
    part: object


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one message asks for, through the queue of `lane`: orders, by account, and accounts whose backlogs are looked into.

    `refusals` are the parts that cannot be used.
    """

    lane: str
    orders: Mapping[str, Sequence[CancelOrder]]
    backlogs: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def count(self) -> int:
        """How many orders came in the message."""
        return sum(map(len, self.orders.values()))

    @property
    def accounts(self) -> int:
        """How many accounts it is about."""
        return len({*self.orders, *self.backlogs})

    def __str__(self) -> str:
        """Say for Flower whose orders it is about and how many, where the sender did not."""
        accounts = {**self.orders, **dict.fromkeys(self.backlogs)}
        whose = next(iter(accounts)) if len(accounts) == 1 else f"{len(accounts)} accounts"
        looks = ["backlog"] if self.backlogs else []
        orders = [f"{self.count} {'order' if self.count == 1 else 'orders'}"] if self.count or not looks else []
        return f"({whose} {' + '.join([*orders, *looks])} {self.lane})"


def read_chunk(argument: object) -> Chunk:
    """Check what a message holds. Raises InvalidOrderError where nothing of it can be used.

    Producers check before they send; messages that were written by hand or by another version are checked here only.
    """
    if not isinstance(argument, Mapping):
        raise InvalidOrderError("chunk", argument, "must be an object")
    fields = cast("Mapping[str, Any]", argument)
    version: Any = fields.get("v")
    lane: Any = fields.get("lane")
    wires: Any = fields.get("orders")
    if version is True or version not in (WIRE_VERSION, WIRE_VERSION_MANY):
        rule = f"this worker reads versions {WIRE_VERSION} and {WIRE_VERSION_MANY}"
        raise InvalidOrderError("v", version, rule)
    if lane not in list(Lane):
        raise InvalidOrderError("lane", lane, f"must be one of {', '.join(Lane)}")
    ucc = _account(fields.get("ucc"), "ucc") if version == WIRE_VERSION else None
    if not isinstance(wires, list):
        raise InvalidOrderError("orders", wires, "must be a list")
    orders, refusals = _sorted_out(cast("list[object]", wires), ucc)
    # A message without orders, for one account, asks for a look into its backlog.
    looks: object = fields.get("backlogs", []) if ucc is None else [] if wires else [ucc]
    return Chunk(str(lane), orders, _accounts(looks), tuple(refusals))


def _account(value: object, field: str) -> str:
    if not is_ucc(value):
        raise InvalidOrderError(field, value, "must be a string of 3 to 16 characters A-Z or 0-9")
    return str(value)


def _accounts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise InvalidOrderError("backlogs", values, "must be a list of accounts")
    return tuple(dict.fromkeys(_account(value, "backlogs") for value in cast("list[object]", values)))


def _sorted_out(wires: Iterable[object], ucc: str | None) -> tuple[dict[str, list[CancelOrder]], list[Refusal]]:
    """Read the orders, by account. Where `ucc` names the message's account, those of others cannot be used."""
    orders: dict[str, list[CancelOrder]] = {}
    refusals: list[Refusal] = []
    for wire in wires:
        try:
            order = _order_of(wire, ucc)
            orders.setdefault(order.ucc, []).append(order)
        except InvalidOrderError as error:
            refusals.append(Refusal(str(error), wire))
        except RecursionError:  # what cannot be shown cannot be kept
            refusals.append(Refusal("order: is nested too deeply", None))
    return orders, refusals


def _order_of(wire: object, ucc: str | None) -> CancelOrder:
    order = CancelOrder.from_wire(wire)
    if ucc not in (None, order.ucc):
        raise InvalidOrderError("ucc", order.ucc, "must be the message's account")
    return order


def without_value(reason: str) -> str:
    """Take the value out of a reason, as InvalidOrderError writes it: whatever stands in a wrong field may be a secret."""
    named, equals, rest = reason.partition("=")
    return f"{named}: {rest.rpartition(': ')[2]}" if equals else reason
