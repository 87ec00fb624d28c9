"""Waiting for orders to become final: which orders are left, and what to read next. No I/O in here."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from neo_cancel.bulk import BulkStatus
from neo_cancel.errors import WaitTimeoutError
from neo_cancel.event_stream import ended_names
from neo_cancel.record import WORKING, OrderRecord

__all__ = ["Pending", "bulk_timeout", "order_timeout"]

_SWEEP_SECONDS: Final = 2.0
_SWEPT_PER_SECOND: Final = 5000
_STILL_SECONDS: Final = 10.0
_WORKING_WORDS: Final = frozenset(status.encode() for status in WORKING)


class Pending:
    """The orders whose final status a caller waits for, and what to read next.

    `timeout_seconds` runs from now; None means no end. `clock` answers seconds that never go back. `is_away`: Redis did not
    answer the last time.

    Events name the orders that became final. A sweep reads all orders that are left, every two seconds up to 10,000
    orders: an event that was trimmed from the stream or lost with a server delays the caller, and hangs nothing.
    """

    def __init__(
        self, names: Iterable[str], timeout_seconds: float | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.names = dict.fromkeys(names)
        self.cursor: str | bytes = "$"
        self._clock = clock
        self._ends = None if timeout_seconds is None else clock() + timeout_seconds
        self._next_sweep = 0.0
        self._still_at = clock() + _STILL_SECONDS
        self.is_away = False

    @property
    def remaining_seconds(self) -> float:
        """Time left; infinite without a time-out."""
        return float("inf") if self._ends is None else self._ends - self._clock()

    @property
    def is_over(self) -> bool:
        """No order is left, or the time is up."""
        return not self.names or self.remaining_seconds <= 0

    @property
    def block_milliseconds(self) -> int:
        """How long one blocking read may last: below the socket's time-out, at least 1 because 0 means for ever."""
        return max(1, int(1000 * min(0.5, self.remaining_seconds)))

    @property
    def pause_seconds(self) -> float:
        """How long to leave a server alone that did not answer: random, and never beyond the time left."""
        return min(random.uniform(0.05, 0.5), max(0.0, self.remaining_seconds))

    def is_still(self) -> bool:
        """Tell whether no order has become final for 10 s: once, until the next one does."""
        if not self.names or self._clock() < self._still_at:
            return False
        self._still_at = float("inf")
        return True

    def stillness(self, workers: int) -> str:
        """Say how long nothing has happened, and how many workers are alive."""
        alive = "no worker is alive" if not workers else f"workers alive: {workers}"
        return (
            f"no order has become final for {_STILL_SECONDS:.0f} s, {len(self.names)} left; {alive}; the wait goes on"
        )

    def to_read(self, reply: Any = None) -> list[str]:
        """Name the orders to read now, given the reply of a blocking read of the events."""
        ended = self.advance(reply)
        if self._clock() < self._next_sweep:
            return [name for name in ended if name in self.names]
        self._next_sweep = self._clock() + max(_SWEEP_SECONDS, len(self.names) / _SWEPT_PER_SECOND)
        return list(self.names)

    def advance(self, reply: Any) -> list[str]:
        """Move on in the stream and name the orders that became final, each once."""
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
        """Take in the records that were read and answer those that are final now. A record that is gone ends its wait, too."""
        final: list[OrderRecord] = []
        for name, value in zip(names, values, strict=True):
            # Only what is final is worth decoding: a sweep reads many that are not. A newer version's status is an end, too.
            if value is not None and value.partition(b" ")[0] in _WORKING_WORDS:
                continue
            self.names.pop(name, None)
            self._still_at = self._clock() + _STILL_SECONDS
            if value is not None:
                final.append(OrderRecord.decode(value))
        return final


def order_timeout(current: OrderRecord, timeout_seconds: float | None) -> WaitTimeoutError:
    """Make the error for an order that was not final in time."""
    return WaitTimeoutError(f"order {current.key} is still {current.status} after {timeout_seconds} s")


def bulk_timeout(status: BulkStatus, timeout_seconds: float | None) -> WaitTimeoutError:
    """Make the error for a bulk with orders that were not final in time."""
    return WaitTimeoutError(f"{status.pending} of {status.asked} orders are not final after {timeout_seconds} s")
