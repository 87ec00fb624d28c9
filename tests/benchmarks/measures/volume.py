"""100,000 orders queued: what an order costs then, and how a worker's memory grows while they wait in its hands."""

import time
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.measures.bulk import Figures, ours_bulk
from tests.benchmarks.peer import Peer
from tests.benchmarks.stage import BOTH_LANES, Stage
from tests.benchmarks.usage import resident_bytes

__all__ = ["many"]

_MOST_SECONDS = 60.0
_SETTLED_SECONDS = 3.0
_LOOK_SECONDS = 0.2


class _Memory:
    """The most memory and the most orders in hand that samples saw."""

    def __init__(self, stage: Stage, pids: Sequence[int]) -> None:
        self._redis, self._pids = stage.redis, pids
        self.before = self.most = resident_bytes(pids) or 0
        self.in_flight = 0
        self._hands: list[Any] = list(stage.redis.zrange("nc:workers", 0, -1))  # type: ignore[arg-type]

    def sample(self) -> None:
        """Look once."""
        self.most = max(self.most, resident_bytes(self._pids) or 0)
        held: Any = [self._redis.scard(f"nc:held:{worker.decode()}") for worker in self._hands]
        self.in_flight = max(self.in_flight, sum(held))

    @property
    def growth(self) -> float:
        """Bytes for each order in flight, from the worker warm and idle to the most that was seen."""
        return (self.most - self.before) / self.in_flight


def many(stage: Stage) -> Figures:
    """One worker process, first the usual bulk, then the big one."""
    size = stage.size
    figures: Figures = {}
    with stage.ours([BOTH_LANES], verify=False) as (producer, pids, ledger):
        for name, orders in (("usual", size.orders), ("many", size.many)):
            memory = _Memory(stage, pids)
            batch = stage.batch("A", size.accounts, orders)
            figures |= ours_bulk(stage, producer, pids, ledger, batch, name=name, sample=memory.sample)
            figures |= {f"{name}.grown_mb": (memory.most - memory.before) / 1e6, f"{name}.in_flight": memory.in_flight}
        return figures | _held(stage, producer, pids)


def _held(stage: Stage, producer: Peer, pids: Sequence[int]) -> Figures:
    """At the broker's rate they wait for minutes: as many as there is room for, in the worker's hands."""
    memory = _Memory(stage, pids)
    producer.ask(verb="bulk", batch=stage.batch("L", stage.size.accounts, stage.size.many).to_json())
    ends_at = time.monotonic() + _MOST_SECONDS
    grew_at, most = time.monotonic(), 0
    # Until no more are taken in.
    while time.monotonic() < ends_at and time.monotonic() - grew_at < _SETTLED_SECONDS:
        memory.sample()
        if memory.in_flight > most * 1.01:
            grew_at, most = time.monotonic(), memory.in_flight
        time.sleep(_LOOK_SECONDS)
    figures = {"held.grown_mb": (memory.most - memory.before) / 1e6, "held.in_flight": float(memory.in_flight)}
    return figures | ({"held.order_kb": memory.growth / 1024} if memory.before else {})
