"""Ours, as a strategy uses it, and its ledger, as somebody reads it who wants to disturb as little as possible."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import redis

from neo_cancel import CancelOrder, CancelProducer
from neo_cancel.bulk import keys_of, slices
from neo_cancel.event_stream import ended_names
from neo_cancel.keys import EVENTS
from neo_cancel.record import FINAL
from tests.benchmarks.batch import Batch
from tests.benchmarks.rivals.call import REDIS_URL
from tests.benchmarks.rivals.sending import Sending, one_by_one

__all__ = ["Ledger", "sending"]

DEADLINE_SECONDS: Final = 3600.0
"""Longer than any line lasts: an order that expires in the queue would be none that was cancelled."""
_LOOK_SECONDS: Final = 0.02
_SAMPLE_SECONDS: Final = 0.25
_SWEEP_SECONDS: Final = 0.2


class _Ours:
    def __init__(self) -> None:
        self._producer = CancelProducer(REDIS_URL).connect()

    def make(self, batch: Batch) -> list[CancelOrder]:
        """See Sending."""
        return [
            CancelOrder(ucc=ucc, order_number=number, lane=batch.lane, deadline_seconds=DEADLINE_SECONDS)
            for ucc, number in batch.orders
        ]

    def bulk(self, orders: Sequence[CancelOrder]) -> None:
        """See Sending."""
        self._producer.enqueue_many(orders)

    def singles(self, orders: Sequence[CancelOrder], pause_seconds: float) -> list[float]:
        """See Sending."""
        return one_by_one(self._producer.enqueue, orders, pause_seconds)


def sending() -> Sending:
    """Make the producer."""
    return _Ours()


class Ledger:
    """Follows the events from where it was made. `asked` counts the commands that it cost the server."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        last: Any = client.xrevrange(EVENTS, count=1)
        self._cursor = last[0][0] if last else "0-0"
        self._ended: set[str] = set()
        self.asked = 1

    def wait_final(
        self, names: Collection[str], *, within_seconds: float, sample: Callable[[], object] | None = None
    ) -> float:
        """Wait until every order is final; answer when that was seen. Raises TimeoutError.

        `sample` is called a few times a second meanwhile.
        """
        left = set(names) - self._ended
        give_up_at = time.monotonic() + within_seconds
        next_sample_at = 0.0
        progress_at = time.monotonic()
        while left:
            now = time.monotonic()
            ended = self._advance()
            if not left.isdisjoint(ended):
                left.difference_update(ended)
                progress_at = now
            elif now - progress_at > _SWEEP_SECONDS:
                self._sweep(left)
                left -= self._ended
                progress_at = now
            if left:
                time.sleep(_LOOK_SECONDS)  # what is read in one go costs both sides less
            if now > give_up_at:
                raise TimeoutError(
                    f"{len(left)} of {len(names)} orders were not final within {within_seconds:g} s; "
                    f"in the ledger they are {self.statuses(sorted(left))}, {min(left)} for one"
                )
            if sample is not None and now >= next_sample_at:
                next_sample_at = now + _SAMPLE_SECONDS
                sample()
        return time.monotonic()

    def _advance(self) -> list[str]:
        self.asked += 1
        reply: Any = self._redis.xread({EVENTS: self._cursor}, count=1000)
        streams = dict(reply or ())
        entries = [entry for stream in streams.values() for entry in (stream[0] if isinstance(reply, dict) else stream)]
        if not entries:
            return []
        self._cursor = entries[-1][0]
        names = ended_names(entries)
        self._ended.update(names)
        return names

    def _sweep(self, left: set[str]) -> None:
        """Read all that is left, as the library's own waiting does now and then: an event may have got lost."""
        names = sorted(left)
        final: set[str] = set()
        for some in slices(names):
            self.asked += 1
            values: Any = self._redis.mget(keys_of(some))
            words = [value.partition(b" ")[0].decode() if value else "" for value in values]
            final |= {name for name, word in zip(some, words, strict=True) if word in FINAL}
        # Those whose event came while all that was read are as good as any.
        final -= set(self._advance())
        if final:
            print(f"{len(final)} orders became final without an event, {min(final)} for one", file=sys.stderr)
        self._ended |= final

    def statuses(self, names: Sequence[str]) -> dict[str, int]:
        """Count the orders' statuses as they stand in the ledger."""
        counts: Counter[str] = Counter()
        for some in slices(names):
            values: Any = self._redis.mget(keys_of(some))
            counts.update("missing" if value is None else value.partition(b" ")[0].decode() for value in values)
        return dict(counts)
