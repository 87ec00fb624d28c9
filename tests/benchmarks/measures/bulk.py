"""Bulk throughput: the limit, us, and each rival."""

import os
from collections.abc import Callable, Sequence

from tests.benchmarks.arithmetic import latencies, percentile
from tests.benchmarks.batch import Batch
from tests.benchmarks.ours import Ledger
from tests.benchmarks.peer import Peer
from tests.benchmarks.rivals.catalogue import IDLE, Rival
from tests.benchmarks.stage import BOTH_LANES, Stage
from tests.benchmarks.usage import cpu_seconds, machine_seconds

__all__ = ["enqueue", "enqueue_us", "limit", "ours", "ours_bulk", "rival"]

Figures = dict[str, float]
After = Callable[[Stage, Peer, Ledger], Figures]
PAUSE_SECONDS = 0.02
_MOST_SECONDS = 300.0


def limit(stage: Stage) -> Figures:
    """The bare loop: cancels per second."""
    return rival(stage, Rival("limit", "tests.benchmarks.limit"), orders=stage.size.orders)


def enqueue(stage: Stage) -> Figures:
    """What enqueue_many costs a strategy while nobody works."""
    return {"enqueue.us": enqueue_us(stage, stage.size.accounts, stage.size.orders)}


def enqueue_us(stage: Stage, accounts: int, orders: int) -> float:
    """Microseconds an order of one enqueue_many, while no worker works."""
    stage.empty()
    with stage.producer("tests.benchmarks.ours") as producer:
        producer.ask(verb="bulk", batch=stage.batch("A", 20, 200).to_json())
        told = producer.ask(verb="bulk", batch=stage.batch("A", accounts, orders).to_json())
    stage.empty()
    return float(told["ended"] - told["began"]) / orders * 1e6


def ours(stage: Stage, *, name: str, processes: int = 1, verify: bool = False, after: After | None = None) -> Figures:
    """One bulk through worker processes that take both lanes. `after` measures more with the same processes."""
    size = stage.size
    with stage.ours([BOTH_LANES] * processes, verify=verify) as (producer, pids, ledger):
        batch = stage.batch("A", size.accounts, size.orders)
        figures = ours_bulk(stage, producer, pids, ledger, batch, name=name)
        return figures | (after(stage, producer, ledger) if after else {})


def ours_bulk(
    stage: Stage,
    producer: Peer,
    pids: Sequence[int],
    ledger: Ledger,
    batch: Batch,
    *,
    name: str,
    sample: Callable[[], object] | None = None,
) -> Figures:
    """Send a batch and wait for its last final status. Raises ValueError unless every order ended as cancelled."""
    cpu, before, asked, busy = cpu_seconds(pids), stage.server(), ledger.asked, machine_seconds()
    told = producer.ask(verb="bulk", batch=batch.to_json())
    ended = ledger.wait_final(batch.names, within_seconds=_MOST_SECONDS, sample=sample)
    cpu_after, after, busy_after = cpu_seconds(pids), stage.server(), machine_seconds()
    own = ledger.asked - asked
    if (counts := ledger.statuses(batch.names)) != {"cancelled": batch.count}:
        raise ValueError(f"not every order ended as cancelled: {counts}")
    figures = {
        f"{name}.rate": batch.count / (ended - told["began"]),
        f"{name}.enqueue_us": (told["ended"] - told["began"]) / batch.count * 1e6,
        f"{name}.commands": (after.commands - before.commands - own) / batch.count,
        f"{name}.reads": (after.reads - before.reads - own) / batch.count,
        f"{name}.server_cpu_ms": (after.cpu_seconds - before.cpu_seconds) / batch.count * 1e3,
    }
    if cpu is not None and cpu_after is not None:
        figures[f"{name}.cpu_ms"] = (cpu_after - cpu) / batch.count * 1e3
    if busy is not None and busy_after is not None:
        figures[f"{name}.busy"] = (busy_after - busy) / (ended - told["began"]) / (os.cpu_count() or 1)
    return figures


def rival(stage: Stage, rival: Rival, *, orders: int | None = None) -> Figures:
    """One bulk, one job an order, from the first enqueue to the last call; before it, where it counts, idle latency.

    A rival's own bookkeeping after its last call is not waited for.
    """
    figures: Figures = {}
    with stage.rival(rival) as (producer, workers):
        if rival.name in IDLE:
            figures |= idle(stage, producer, rival.name, "routine")
        batch = stage.batch("A", stage.size.accounts, orders or stage.size.rival_orders)
        pids = workers or [producer.popen.pid]
        cpu, seen = cpu_seconds(pids), stage.broker.count()
        told = producer.ask(verb="bulk", batch=batch.to_json())
        stage.broker.wait_for(seen + batch.count, within_seconds=_MOST_SECONDS)
        cpu_after, arrivals = cpu_seconds(pids), stage.broker.arrivals()
        last = max(arrivals[number][0] for number in batch.numbers)
        # Without a queue the last answer is the end, and the producer saw it.
        ended = last if rival.worker else told["ended"]
        figures[f"{rival.name}.rate"] = batch.count / (ended - told["began"])
        if cpu is not None and cpu_after is not None:
            figures[f"{rival.name}.cpu_ms"] = (cpu_after - cpu) / batch.count * 1e3
    return figures


def idle(stage: Stage, producer: Peer, name: str, lane: str) -> Figures:
    """Single cancels with pauses: from the call of enqueue to the first byte at the broker."""
    batch = stage.batch("S", 10, stage.size.singles, lane)
    seen = stage.broker.count()
    asked = producer.ask(verb="singles", batch=batch.to_json(), pause_seconds=PAUSE_SECONDS)["asked"]
    stage.broker.wait_for(seen + batch.count, within_seconds=30)
    seconds = latencies(asked, stage.broker.arrivals())
    return {f"{name}.p50_ms": percentile(seconds, 50) * 1e3, f"{name}.p99_ms": percentile(seconds, 99) * 1e3}
