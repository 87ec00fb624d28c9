"""Cancel thousands of orders at a broker with all its habits, in a storm, and judge every final status by the truth."""

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from neo_cancel import CancelOrder, CancelProducer
from neo_cancel.bulk import BulkStatus
from neo_cancel.record import OrderRecord, Status
from neo_cancel.sync.handles import BulkHandle
from tests.chaos.judging import Judgement, judge
from tests.chaos.producing import make_orders
from tests.chaos.stage import Server, Workers, write_accounts
from tests.fault.storm import storm_over
from worker.ledger.keys import DEAD_LETTERS, WORKERS
from worker.sandbox.control import SandboxControl
from worker.sandbox.process import running_sandbox

__all__ = ["HabitOptions", "run_habits"]

HABITS = {
    "late": 0.3,
    "late_seconds": 2.5,
    "jump": 0.1,
    "jump_seconds": 1.5,
    "hidden": 0.05,
    "hidden_seconds": 4.0,
    "doubled": 0.1,
    "in_flight": 0.1,
    "in_flight_seconds": 3.0,
    "refuse_later": 0.05,
    "refuse_later_seconds": 0.5,
}
REFUSED_EVER = 0.01
# Between two looks at one order it may be filled, or be in the hands of the exchange.
LIFE = (
    {"fault": "fill_before", "on": "order", "probability": 0.005, "times_per_order": 1},
    {"fault": "fill_before", "on": "cancel", "probability": 0.03, "quantity": 4, "times_per_order": 1},
    {"fault": "cancel_pending", "on": "cancel", "probability": 0.05, "seconds": 1.0},
)
LOOK_SECONDS = 0.5
SETTLE_SECONDS = 330.0  # longer than the deadline of a risk order
PROOF_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class HabitOptions:
    """What to do; `env` goes to the workers. `deadline`: seconds for each order, 0 for what its lane has.

    For `seconds` a worker is killed every `kill_every` seconds on average, 0 for no kills. Then there is peace until all
    has ended.
    """

    seconds: float
    seed: int
    folder: Path
    orders: int = 3000
    accounts: int = 30
    workers: int = 3
    kill_every: float = 0.0
    deadline: float = 0.0
    storm: bool = True
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def run_habits(options: HabitOptions) -> dict[str, Any]:
    """Do it and answer seed and figures, and each order that is not as it should be."""
    habits = [f"--habit={name}={value}" for name, value in HABITS.items()]
    uccs = [f"CH{number:03d}" for number in range(options.accounts)]
    dice = random.Random(f"orders {options.seed}")
    with Server(options.folder) as server, running_sandbox("--seed", str(options.seed), *habits) as sandbox:
        accounts = options.folder / "accounts.json"
        write_accounts(sandbox, accounts, uccs)
        made = make_orders(sandbox, uccs, options.orders, dice)
        orders = [replace(order, deadline_seconds=options.deadline or None) for order in made]
        refused_ever = _trouble(sandbox, dice, storm=options.storm)
        with Workers(
            url=server.url, accounts_file=accounts, log_path=options.folder / "workers.log", env=options.env
        ) as workers:
            return _Run(options, server, sandbox, workers).play(orders, refused_ever)


def _trouble(sandbox: SandboxControl, dice: random.Random, *, storm: bool) -> frozenset[str]:
    """Choose the orders that meet a storm, and those that the exchange refuses for ever; name these by their numbers."""
    working = [order["order_number"] for order in sandbox.truth() if order["standing"] == "working"]
    dice.shuffle(working)
    refused = working[: round(REFUSED_EVER * len(working))]
    sandbox.set_all_habits({**HABITS, "order_number": number, "refuse_ever": 1.0} for number in refused)
    if storm:
        sandbox.add_faults(storm_over(working[len(refused) :]))
    sandbox.add_faults(LIFE)
    return frozenset(refused)


class _Run:
    """One run."""

    def __init__(self, options: HabitOptions, server: Server, sandbox: SandboxControl, workers: Workers) -> None:
        self._options, self._server, self._sandbox, self._workers = options, server, sandbox, workers
        self._dice = random.Random(f"kills {options.seed}")
        self._kills = 0

    def play(self, orders: Sequence[CancelOrder], refused_ever: frozenset[str]) -> dict[str, Any]:
        for _ in range(self._options.workers):
            self._workers.start()
        while self._leases() < self._options.workers:
            time.sleep(LOOK_SECONDS)
        started = time.monotonic()
        with CancelProducer(self._server.url) as producer:
            bulk = producer.enqueue_many(orders)
            status = self._follow(bulk, started + SETTLE_SECONDS)
            seconds = time.monotonic() - started
            first_unknown = status.counts.get(Status.UNKNOWN, 0)
            endpoints: Mapping[str, int] = self._sandbox.stats()["endpoints"]
            self._wait_for_proof(bulk)
            records = {record.key: record for record in bulk.records() if record is not None}
        truth = {f"{order['ucc']}:{order['order_number']}": order for order in self._sandbox.truth()}
        judged = {
            order: judge(records.get(order), truth.get(order), is_refused_ever=order.partition(":")[2] in refused_ever)
            for order in (f"{order.ucc}:{order.order_number}" for order in orders)
        }
        return {
            "seed": self._options.seed,
            "scenario": "habits",
            "figures": {
                **_counts(judged, records, endpoints),
                "unknown_at_first": first_unknown,
                "refused_ever": len(refused_ever),
                "kills": self._kills,
                "dead_letters": int(self._server.client.llen(DEAD_LETTERS)),
                "seconds": round(seconds, 1),
            },
            "wrong": [
                {"order": name, "judgement": judgement, "record": _shown(records.get(name)), "truth": truth.get(name)}
                for name, judgement in judged.items()
                if judgement is not Judgement.TRUE
            ],
        }

    def _leases(self) -> int:
        return int(self._server.client.zcount(WORKERS, time.time() * 1000, "+inf"))

    def _follow(self, bulk: BulkHandle, ends_at: float) -> BulkStatus:
        every, peace_at = self._options.kill_every, time.monotonic() + self._options.seconds
        kill_at = time.monotonic() + every if every else peace_at
        while (status := bulk.status()).pending and time.monotonic() < ends_at:
            if kill_at < time.monotonic() < peace_at:
                self._kill()
                kill_at = time.monotonic() + every * (0.5 + self._dice.random())
            time.sleep(LOOK_SECONDS)
        return status

    def _kill(self) -> None:
        if self._leases() < 2:
            return  # some worker must be left to notice
        self._workers.kill(self._dice.choice(self._workers.running))
        self._workers.start()
        self._kills += 1

    def _wait_for_proof(self, bulk: BulkHandle) -> None:
        ends_at = time.monotonic() + PROOF_SECONDS
        while bulk.status().counts.get(Status.UNKNOWN) and time.monotonic() < ends_at:
            time.sleep(LOOK_SECONDS)


def _counts(
    judged: Mapping[str, Judgement], records: Mapping[str, OrderRecord], endpoints: Mapping[str, int]
) -> dict[str, Any]:
    counts = Counter(judged.values())
    cancels = sum(endpoints.get(name, 0) for name in ("regular", "bracket", "cover"))
    reads = sum(endpoints.get(name, 0) for name in ("orders", "order"))
    return {
        "of": len(judged),
        **{str(judgement): counts[judgement] for judgement in Judgement},
        "statuses": dict(Counter(str(record.status) for record in records.values())),
        "verified": sum(record.verified for record in records.values()),
        "cancels_per_order": round(cancels / len(judged), 3),
        "reads_per_order": round(reads / len(judged), 3),
    }


def _shown(record: OrderRecord | None) -> dict[str, Any] | None:
    return record.to_json() if record else None
