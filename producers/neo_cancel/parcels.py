"""How a bulk is divided: what one call of the enqueue script accepts. No I/O in here."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from neo_cancel.order import CancelOrder, Lane

__all__ = ["CHUNK_SIZE", "MAX_CHUNK_SIZE", "MESSAGES_AT_ONCE", "Parcel", "parcels"]

CHUNK_SIZE: Final = 50
"""Orders in one message: what a message costs is paid once for all of them."""
MAX_CHUNK_SIZE: Final = 500
"""Orders in one call: it must not keep the server from others for long."""
MESSAGES_AT_ONCE: Final = 8
"""Messages of one account and lane in one bulk. Further orders wait in the account's backlog: their turn would come later anyhow,
and thousands of messages of one account would delay those of every other account."""
_FIRST: Final = 10
_SHALLOW: Final = 100
_BACKLOG_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Parcel:
    """Orders of one lane that are accepted in one step. `orders` go into one message, those of an account side by side.

    `waiting` are those that wait in the backlogs of their accounts, by account; the message names these accounts.
    """

    lane: str
    orders: Sequence[CancelOrder] = ()
    waiting: Mapping[str, Sequence[CancelOrder]] = field(default_factory=dict[str, Sequence[CancelOrder]])

    @property
    def everyone(self) -> list[CancelOrder]:
        """List all of its orders, those of the message first."""
        return [*self.orders, *(order for some in self.waiting.values() for order in some)]


def parcels(
    orders: Iterable[CancelOrder], size: int = CHUNK_SIZE, messages: Counter[tuple[str, str]] | None = None
) -> list[Parcel]:
    """Divide orders, risk first. A message has at most `size` of them.

    `messages` counts an account's messages by lane and account, over all pieces of a bulk; None for a whole one.

    What fits into one message goes into one. Of more, each account's first orders share messages with those of other accounts,
    so that every account can begin soon, and the rest waits in the backlogs, from which workers draw it at the accounts'
    rates. Orders of an account with very many of them fill several messages first, for several workers.
    """
    lanes: dict[str, dict[str, list[CancelOrder]]] = {str(Lane.RISK): {}, str(Lane.ROUTINE): {}}
    for order in orders:
        lanes[str(order.lane)].setdefault(order.ucc, []).append(order)
    messages = Counter() if messages is None else messages
    made = [parcel for lane, accounts in lanes.items() for parcel in _of_lane(lane, accounts, size, messages)]
    messages.update((parcel.lane, ucc) for parcel in made for ucc in {order.ucc for order in parcel.orders})
    return made


def _of_lane(
    lane: str, accounts: Mapping[str, Sequence[CancelOrder]], size: int, messages: Counter[tuple[str, str]]
) -> Iterator[Parcel]:
    shallow = [orders for orders in accounts.values() if len(orders) <= _SHALLOW]
    first = size if sum(map(len, shallow)) <= size else min(_FIRST, size)
    yield from _shared(lane, shallow, size, first)
    deep = [orders for orders in accounts.values() if len(orders) > _SHALLOW]
    yield from _deep(lane, deep, size, messages)


def _shared(lane: str, accounts: Iterable[Sequence[CancelOrder]], size: int, first: int) -> Iterator[Parcel]:
    """Put the first orders of many accounts into each message. Of a few more than the first all go there."""
    together: list[CancelOrder] = []
    waiting: dict[str, Sequence[CancelOrder]] = {}
    count = 0
    for orders in accounts:
        ahead = len(orders) if len(orders) <= min(2 * first, size) else first
        if together and (len(together) + ahead > size or count + len(orders) > MAX_CHUNK_SIZE):
            yield Parcel(lane, together, waiting)
            together, waiting, count = [], {}, 0
        together += orders[:ahead]
        count += len(orders)
        if len(orders) > ahead:
            waiting[orders[0].ucc] = orders[ahead:]
    if together:
        yield Parcel(lane, together, waiting)


def _deep(
    lane: str, accounts: Sequence[Sequence[CancelOrder]], size: int, messages: Counter[tuple[str, str]]
) -> Iterator[Parcel]:
    """Fill messages with orders of one account, the accounts in turn; what is beyond them waits."""
    ahead = [max(0, MESSAGES_AT_ONCE - messages[lane, orders[0].ucc]) * size for orders in accounts]
    for at in range(0, MESSAGES_AT_ONCE * size, size):
        for orders, most in zip(accounts, ahead, strict=True):
            if at < min(most, len(orders)):
                yield Parcel(lane, orders[at : at + size])
    for orders, most in zip(accounts, ahead, strict=True):
        for at in range(most, len(orders), _BACKLOG_AT_ONCE):
            yield Parcel(lane, (), {orders[0].ucc: orders[at : at + _BACKLOG_AT_ONCE]})
