"""100,000 orders queued: what an order costs then, and how a worker's memory grows."""

from collections.abc import Sequence
from typing import Any

from tests.benchmarks.measures.bulk import Figures, ours_bulk
from tests.benchmarks.stage import BOTH_LANES, Stage
from tests.benchmarks.usage import resident_bytes

__all__ = ["many"]


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
            if memory.before:
                figures[f"{name}.order_kb"] = memory.growth / 1024
    return figures
