"""One run of a plan: a world with broker, ledger, processes and judge, from the first order to the last end."""

import gc
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.simulation.broker import Broker
from tests.simulation.dice import Dice
from tests.simulation.history import History
from tests.simulation.judge import RATE, Judge
from tests.simulation.ledger import Ledger
from tests.simulation.loop import World
from tests.simulation.network import Network
from tests.simulation.plan import Mishap, Plan
from tests.simulation.process import Process, Surroundings, Worker
from tests.simulation.rate import SharedRate
from tests.simulation.server import Server
from tests.simulation.truth import Order
from tests.simulation.witness import Violation

__all__ = ["Product", "Report", "run"]

_REBORN_SECONDS: Final = 0.5
_WATCH_REFUSED: Final = 0.3
_UNLIMITED: Final = 0.15


@dataclass(frozen=True, slots=True)
class Product:
    """What is under test, and the rules that live outside of it; see tests/simulation/worker.py."""

    make_worker: Callable[[Process], Worker]
    document_of: Callable[[Order], dict[str, Any]]
    is_watched: Callable[..., bool]
    reads_per_second: float


@dataclass(slots=True)
class Report:
    """What a run gave. `delays` are seconds by what they measure."""

    plan: Plan
    violations: list[Violation]
    figures: Counter[str]
    delays: dict[str, list[float]]
    history: History
    seconds: float

    @property
    def kinds(self) -> Counter[str]:
        """Count the violations by kind."""
        return Counter(violation.kind for violation in self.violations)


def run(plan: Plan, product: Product) -> Report:
    """Run a plan to its end. The same plan gives the same history, to the byte."""
    random.seed(plan.seed)  # the worker's jitter
    was_enabled = gc.isenabled()
    gc.disable()  # finalizers must not run at times that depend on memory
    try:
        return _Episode(plan, product).run()
    finally:
        if was_enabled:
            gc.enable()


class _Episode:
    """The parts of one run. It owns them all, hence its many attributes."""

    def __init__(self, plan: Plan, product: Product) -> None:
        self._plan, self._product = plan, product
        world = self._world = World()
        start, dice = world.now, Dice(plan.seed, 4)
        self._start = start
        self._history = History(start)
        self._broker = Broker(world, plan, self._history)
        rates = {ucc: 0.0 if dice.chance(_UNLIMITED) else RATE for ucc in self._broker.accounts}
        refused = {ucc: dice.chance(_WATCH_REFUSED) for ucc in self._broker.accounts}
        away = [(start + one.at, start + one.at + one.seconds) for one in plan.mishaps if one.kind == "ledger"]
        server = Server(world, Dice(plan.seed, 5), away)
        self._ledger = Ledger(
            world, plan, self._history, lambda ucc, status: product.is_watched(status, watch_refused=refused[ucc])
        )
        self._judge = Judge(
            world,
            plan,
            self._broker,
            self._history,
            rates=rates,
            reads_per_second=product.reads_per_second,
            is_entitled=self._is_entitled,
        )
        self._around = Surroundings(
            world=world,
            server=server,
            ledger=self._ledger,
            network=Network(world, self._broker, self._judge),
            broker=self._broker,
            rate=SharedRate(world, server, rates),
            judge=self._judge,
            history=self._history,
            make_worker=product.make_worker,
        )
        self._processes: dict[str, Process] = {}
        self._lives: Counter[int] = Counter()

    def run(self) -> Report:
        plan, world = self._plan, self._world
        for number in range(plan.processes):
            self._bear(number)
        for mishap in plan.mishaps:
            if mishap.kind != "ledger":
                world.call_at(self._start + mishap.at, self._befall, mishap)
        self._enqueue()
        world.run(self._start + plan.ends_at, self._is_over)
        self._judge.close(self._ledger)
        for error in world.errors:
            self._judge.wrong("", "", error)
        ended_at = world.now
        world.close()
        found = self._judge.findings
        return Report(plan, found.violations, found.figures, found.delays, self._history, ended_at - self._start)

    def _enqueue(self) -> None:
        groups: dict[tuple[float, str], list[Order]] = defaultdict(list)
        for order in self._broker.orders:
            groups[order.accepted_at, order.ucc].append(order)
        for (at, _), orders in groups.items():
            # A worker is there by then, and the broker knows the order.
            self._world.call_at(at + 0.01, self._ledger.enqueue, orders, self._product.document_of)
        for order in self._broker.orders:
            if order.plan.urged is not None:
                self._world.call_at(order.accepted_at + 0.02 + order.plan.urged, self._ledger.urge, order)

    def _is_over(self) -> bool:
        ledger = self._ledger
        if ledger.open or len(ledger.records) < len(self._plan.orders):
            return False
        return all(record.watch_at is None and record.owner is None for record in ledger.records.values())

    def _is_entitled(self, process: str) -> bool:
        return self._processes[process].is_entitled()

    def _bear(self, number: int) -> None:
        self._lives[number] += 1
        name = f"P{number}.{self._lives[number]}"
        self._processes[name] = Process(name, self._around)

    def _befall(self, mishap: Mishap) -> None:
        process = self._processes.get(f"P{mishap.process}.{self._lives[mishap.process]}")
        if process is None:
            return  # a smaller plan has fewer processes
        match mishap.kind:
            case "death":
                process.kill()
                self._world.call_later(_REBORN_SECONDS + mishap.seconds, self._bear, mishap.process)
            case "stop":
                process.stop()
                self._world.call_later(_REBORN_SECONDS, self._bear, mishap.process)
            case _:
                process.pause(mishap.seconds)
