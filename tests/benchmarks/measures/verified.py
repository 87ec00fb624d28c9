"""How soon an acknowledged cancel has its final, verified status, against a sandbox whose accounts have long books.

Everything is as in production but the machine: rates, read budget, time-outs and windows are the defaults of the settings.
"""

import os
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neo_cancel import CancelOrder, CancelProducer
from neo_cancel.record import OrderRecord, Status
from tests.benchmarks.arithmetic import busiest_second, percentile
from tests.benchmarks.usage import cpu_seconds, machine_seconds
from tests.chaos.stage import Server, Workers, write_accounts
from worker.ledger.keys import WORKERS
from worker.ops.process import wait_until
from worker.sandbox.control import SandboxControl
from worker.sandbox.process import running_sandbox

__all__ = ["Bulk", "Figures", "bulk", "reads", "single"]

Figures = dict[str, float]

_MOST_SECONDS = 300.0
_IDLE_SECONDS = 1.2
"""So long after its last order an account is idle: no read of the past second is in the way of the next one."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """`orders` of each account are cancelled; its book has `rows` other orders."""

    accounts: int
    orders: int
    rows: int
    workers: int = 1

    @property
    def uccs(self) -> list[str]:
        return [f"LT{at:03d}" for at in range(self.accounts)]


class _Scene:
    """Servers and workers of one measurement."""

    def __init__(self, sandbox: SandboxControl, workers: Workers, producer: CancelProducer) -> None:
        self.sandbox, self.workers, self.producer = sandbox, workers, producer

    def make(self, size: Bulk) -> list[CancelOrder]:
        """Create the orders to cancel, those of all accounts in turn."""
        made = [self.sandbox.generate_orders(ucc, size.orders) for ucc in size.uccs]
        return [
            CancelOrder(ucc=order["ucc"], order_number=order["order_number"], deadline_seconds=600)
            for turn in zip(*made, strict=True)
            for order in turn
        ]

    def pids(self) -> list[int]:
        return [child.popen.pid for child in self.workers.running]


@contextmanager
def _scene(size: Bulk) -> Generator[_Scene]:
    with tempfile.TemporaryDirectory(prefix="neo-cancel-latency-") as name, running_sandbox() as sandbox:
        folder = Path(name)
        write_accounts(sandbox, folder / "accounts.json", size.uccs)
        for ucc in size.uccs:
            sandbox.generate_orders(ucc, size.rows, state="complete") if size.rows else None
        env = {"NEO_CANCEL_LOG_LEVEL": "WARNING"}
        with (
            Server(folder) as server,
            Workers(
                url=server.url, accounts_file=folder / "accounts.json", log_path=folder / "workers.log", env=env
            ) as workers,
            CancelProducer(server.url).connect() as producer,
        ):
            for _ in range(size.workers):
                workers.start()
            wait_until(lambda: server.client.zcard(WORKERS) >= size.workers, "workers to start", timeout_seconds=60)
            time.sleep(1.0)  # their imports and first connections are not what is measured
            yield _Scene(sandbox, workers, producer)


def bulk(size: Bulk) -> Figures:
    """Cancel all at once, at the rate of the settings. Raises ValueError unless every order is cancelled and verified."""
    with _scene(size) as scene:
        orders = scene.make(size)
        cpu, busy, began = cpu_seconds(scene.pids()), machine_seconds(), time.monotonic()
        asked = scene.producer.enqueue_many(orders)
        asked.wait(_MOST_SECONDS)
        seconds = time.monotonic() - began
        figures = _latency(asked.records())
        if cpu is not None and busy is not None:
            figures["worker_cpu"] = ((cpu_seconds(scene.pids()) or 0.0) - cpu) / seconds
            figures["machine_busy"] = ((machine_seconds() or 0.0) - busy) / seconds / (os.cpu_count() or 1)
        return figures | {"seconds": seconds} | _calls(scene.sandbox, len(orders))


def single(size: Bulk, *, times: int) -> Figures:
    """Cancel one order of an idle account, so often."""
    with _scene(size) as scene:
        records: list[OrderRecord | None] = []
        for order in scene.make(Bulk(1, times, 0)):
            records.append(scene.producer.enqueue(order).wait(30))
            time.sleep(_IDLE_SECONDS)
        return _latency(records) | _calls(scene.sandbox, times)


def reads(size: Bulk) -> Figures:
    """Cancel a bulk of one account in many processes; the broker counts the calls."""
    with _scene(size) as scene:
        orders = scene.make(size)
        # In several bulks, so that all processes get messages of the account.
        handles = [scene.producer.enqueue_many(orders[at :: size.workers]) for at in range(size.workers)]
        for handle in handles:
            handle.wait(_MOST_SECONDS)
        return _latency([record for handle in handles for record in handle.records()]) | _calls(
            scene.sandbox, len(orders)
        )


def _latency(records: Sequence[OrderRecord | None]) -> Figures:
    times = [
        record.final_at - record.answered_at
        for record in records
        if record is not None
        and record.status is Status.CANCELLED
        and record.verified
        and record.final_at is not None
        and record.answered_at is not None
    ]
    if len(times) < len(records):
        raise ValueError(f"{len(records) - len(times)} of {len(records)} orders are not cancelled and verified")
    sent: dict[str, list[float]] = {}
    for record in records:
        if record is not None and record.first_sent_at is not None:
            sent.setdefault(record.ucc, []).append(record.first_sent_at)
    return {
        "p50": percentile(times, 50),
        "p99": percentile(times, 99),
        "most": max(times),
        "orders": len(times),
        # As sent; what the broker counts is delayed by a busy machine, each call by another time.
        "busiest_second_of_sends": max(map(busiest_second, sent.values())),
    }


def _calls(sandbox: SandboxControl, orders: int) -> Figures:
    calls = sandbox.requests()
    by_account: dict[str, list[float]] = {}
    for call in calls:
        if call["endpoint"] in ("orders", "order"):
            by_account.setdefault(call["ucc"], []).append(call["monotonic"])
    return {
        "busiest_second_of_reads": max(map(busiest_second, by_account.values()), default=0),
        "busiest_second_of_cancels": max(sandbox.stats()["busiest_second"].values(), default=0),
        "calls_per_order": len(calls) / orders,
        "reads_per_order": sum(map(len, by_account.values())) / orders,
    }
