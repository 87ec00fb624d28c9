"""What becomes of many orders: counts that add up, and the set of those still waited for."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from neo_cancel.errors import InvalidOrderError
from neo_cancel.ledger import ended_names, named_key
from neo_cancel.messages import CancelOrder, Lane
from neo_cancel.record import OrderRecord, Status

__all__ = ["BulkStatus", "Pending", "distinct"]

READ_AT_ONCE: Final = 1000
_SWEEP_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class BulkStatus:
    """Counts per status at one moment; they add up to `asked`. `missing` orders are older than the ledger's time to live."""

    counts: Mapping[Status, int]
    asked: int
    missing: int
    may_still_work: int

    @property
    def pending(self) -> int:
        """How many have no final status yet."""
        return sum(count for status, count in self.counts.items() if status in _WORKING)

    @property
    def is_ended(self) -> bool:
        """Every order has a final status."""
        return self.pending == 0

    @property
    def is_complete(self) -> bool:
        """No order may still work."""
        return self.may_still_work == 0 and self.missing == 0

    @classmethod
    def of(cls, records: Iterable[OrderRecord | None]) -> "BulkStatus":
        """Count; None stands for an order the ledger does not know any more."""
        known = list(records)
        found = [record for record in known if record is not None]
        return cls(
            counts=Counter(record.status for record in found),
            asked=len(known),
            missing=len(known) - len(found),
            may_still_work=sum(record.may_still_work for record in found),
        )

    def to_json(self) -> dict[str, Any]:
        """Say it for programs."""
        return {
            "asked": self.asked,
            "counts": {str(status): count for status, count in sorted(self.counts.items())},
            "missing": self.missing,
            "pending": self.pending,
            "may_still_work": self.may_still_work,
            "ended": self.is_ended,
            "complete": self.is_complete,
        }


_WORKING: Final = frozenset({Status.QUEUED, Status.SENDING, Status.VERIFYING, Status.WAITING})


def distinct(orders: Iterable[CancelOrder]) -> tuple[list[CancelOrder], int]:
    """Collapse orders named twice, and say how many went: the more urgent lane wins.

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
        for field in ("variety", "amo", "trading_symbol"):
            if getattr(first, field) != getattr(order, field):
                rule = f"contradicts an earlier entry for order {order.order_number} ({getattr(first, field)!r})"
                raise InvalidOrderError(field, getattr(order, field), rule)
        if order.lane == Lane.RISK:
            kept[order.key] = order
    if not kept:
        raise InvalidOrderError("orders", [], "an empty bulk: at least one order is needed")
    return list(kept.values()), asked - len(kept)


def slices(names: Sequence[str], size: int = READ_AT_ONCE) -> Iterator[Sequence[str]]:
    """Cut a list into pieces that one command may carry."""
    return (names[at : at + size] for at in range(0, len(names), size))


class Pending:
    """The orders a waiter still waits for, and what to read next. Knows no socket: sync and async waiters share it.

    Events say who became final; a sweep every two seconds reads all that is left, so that an event trimmed from
    the stream delays a waiter instead of hanging it.
    """

    def __init__(self, names: Iterable[str], timeout_seconds: float | None) -> None:
        self.names = dict.fromkeys(names)
        self.cursor: str | bytes = "$"
        self._ends = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._next_sweep = 0.0

    @property
    def remaining_seconds(self) -> float:
        """Time left; infinite without a time-out."""
        return float("inf") if self._ends is None else self._ends - time.monotonic()

    @property
    def block_milliseconds(self) -> int:
        """How long one blocking read may last: below the socket's time-out, at least 1 because 0 means for ever."""
        return max(1, int(1000 * min(0.5, self.remaining_seconds)))

    def to_read(self, reply: Any = None) -> list[str]:
        """Name the orders to read now, given the reply of a blocking read of the events."""
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_SECONDS
            self.advance(reply)
            return list(self.names)
        return [name for name in dict.fromkeys(self.advance(reply)) if name in self.names]

    def advance(self, reply: Any) -> list[str]:
        """Move on in the stream and name who became final."""
        # Protocol 2 answers a list of pairs, protocol 3 a map of lists.
        streams: Any = list(reply.values())[0:1] if isinstance(reply, dict) else [pair[1] for pair in reply or ()]
        entries: Any = [entry for stream in streams for entry in (stream[0] if isinstance(reply, dict) else stream)]
        if not entries:
            return []
        self.cursor = entries[-1][0]
        return ended_names(entries)

    def settle(self, names: Sequence[str], values: Sequence[bytes | None]) -> list[OrderRecord]:
        """Take in what was read: the records that are final now, no longer waited for. A vanished record ends its wait, too."""
        final: list[OrderRecord] = []
        for name, value in zip(names, values, strict=True):
            if value is None:
                self.names.pop(name, None)
                continue
            record = OrderRecord.decode(value)
            if record.is_final:
                self.names.pop(name, None)
                final.append(record)
        return final


def keys_of(names: Iterable[str]) -> list[str]:
    """Name the records of orders given as UCC:ORDER_NUMBER."""
    return [named_key(name) for name in names]
