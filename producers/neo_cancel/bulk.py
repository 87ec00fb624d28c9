"""What becomes of many orders: counts that add up, and the set of those still waited for."""

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from neo_cancel.errors import InvalidOrderError
from neo_cancel.event_stream import ended_names
from neo_cancel.keys import named_key
from neo_cancel.messages import CancelOrder, Lane
from neo_cancel.record import FINAL, OrderRecord, Status

__all__ = ["BulkStatus", "Pending", "contradiction", "distinct", "slices"]

READ_AT_ONCE: Final = 1000
_SWEEP_SECONDS: Final = 2.0
_SWEPT_PER_SECOND: Final = 5000
_FINAL_WORDS: Final = frozenset(status.encode() for status in FINAL)


@dataclass(frozen=True, slots=True)
class BulkStatus:
    """Counts per status at one moment; with `missing`, the orders past their time to live, they add up to `asked`."""

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
        if error := contradiction(first, order):
            raise error
        if order.lane == Lane.RISK:
            kept[order.key] = order
    if not kept:
        raise InvalidOrderError("orders", [], "an empty bulk: at least one order is needed")
    return list(kept.values()), asked - len(kept)


def contradiction(first: CancelOrder, second: CancelOrder) -> InvalidOrderError | None:
    """Say where two entries for one order disagree about what the order is."""
    for field in ("variety", "amo", "trading_symbol"):
        if getattr(first, field) != getattr(second, field):
            rule = f"contradicts an earlier entry for order {second.order_number} ({getattr(first, field)!s})"
            return InvalidOrderError(field, getattr(second, field), rule)
    return None


def slices(names: Sequence[str], size: int = READ_AT_ONCE) -> Iterator[Sequence[str]]:
    """Cut a list into pieces that one command may carry."""
    return (names[at : at + size] for at in range(0, len(names), size))


class Pending:
    """The orders a waiter still waits for, and what to read next. Knows no socket: sync and async waiters share it.

    Events say who became final. Now and then, every two seconds up to 10,000 orders, all that is left is read, so that
    an event trimmed from the stream or lost with a server delays a waiter instead of hanging it.
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
    def is_over(self) -> bool:
        """Nothing is waited for any more, or the time is up."""
        return not self.names or self.remaining_seconds <= 0

    @property
    def block_milliseconds(self) -> int:
        """How long one blocking read may last: below the socket's time-out, at least 1 because 0 means for ever."""
        return max(1, int(1000 * min(0.5, self.remaining_seconds)))

    @property
    def pause_seconds(self) -> float:
        """How long to leave a server alone that did not answer."""
        return min(random.uniform(0.05, 0.5), max(0.0, self.remaining_seconds))

    def to_read(self, reply: Any = None) -> list[str]:
        """Name the orders to read now, given the reply of a blocking read of the events."""
        ended = self.advance(reply)
        if time.monotonic() < self._next_sweep:
            return [name for name in ended if name in self.names]
        self._next_sweep = time.monotonic() + max(_SWEEP_SECONDS, len(self.names) / _SWEPT_PER_SECOND)
        return list(self.names)

    def advance(self, reply: Any) -> list[str]:
        """Move on in the stream and name who became final, each once."""
        # Protocol 2 answers a list of pairs, protocol 3 a map of lists.
        streams: dict[Any, Any] = dict(reply or ())
        entries: list[Any] = [entry for stream in streams.values() for entry in stream]
        if isinstance(reply, dict):
            entries = [entry for some in entries for entry in some]
        if not entries:
            return []
        self.cursor = entries[-1][0]
        return list(dict.fromkeys(ended_names(entries)))

    def settle(self, names: Sequence[str], values: Sequence[bytes | None]) -> list[OrderRecord]:
        """Take in what was read and answer the records that are final now. A vanished record ends its wait, too."""
        final: list[OrderRecord] = []
        for name, value in zip(names, values, strict=True):
            # Only what is final is worth decoding: a sweep reads many that are not.
            if value is not None and value.partition(b" ")[0] not in _FINAL_WORDS:
                continue
            self.names.pop(name, None)
            if value is not None:
                final.append(OrderRecord.decode(value))
        return final


def decoded(values: Iterable[bytes | None]) -> list[OrderRecord | None]:
    """Decode what was found; None stays None."""
    return [None if value is None else OrderRecord.decode(value) for value in values]


def final_records(values: Iterable[bytes | None]) -> list[OrderRecord]:
    """Decode what is final; an order that was enqueued again since its event will send another one."""
    return [record for value in values if value and (record := OrderRecord.decode(value)).is_final]


def keys_of(names: Iterable[str]) -> list[str]:
    """Name the records of orders given as UCC:ORDER_NUMBER."""
    return [named_key(name) for name in names]
