"""What the recovery tests hurt: a Valkey and worker nodes of each test's own, one sandbox for all. And a node for the rest."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from neo_cancel import CancelOrder, CancelProducer
from neo_cancel.event_stream import ended_names
from neo_cancel.keys import EVENTS, named_key
from neo_cancel.record import OrderRecord
from tests.chaos.stage import Server, Workers, write_accounts
from tests.fault.rig import Rig
from tests.fault.truth import contradicts, status_for
from worker.ledger.keys import COUNTERS, DEAD_LETTERS, WORKERS, held_key
from worker.ops.process import Child, wait_until
from worker.sandbox.control import SandboxControl
from worker.sandbox.process import running_sandbox

HASTY = {
    "NEO_CANCEL_LEASE": "1",
    "NEO_CANCEL_ORDERS_PER_SECOND": "0",
    "NEO_CANCEL_READS_PER_SECOND": "50",
    "NEO_CANCEL_WATCH_INTERVAL": "0.5",
    "NEO_CANCEL_CALL_TIMEOUT": "3",
}
_accounts = itertools.count()
_uccs = (f"FT{number:03d}" for number in itertools.count())


class Stage:
    """One test's processes. `names` are UCC:ORDER_NUMBER."""

    def __init__(self, server: Server, sandbox: SandboxControl, folder: Path, **env: str) -> None:
        self.server, self.sandbox, self.folder, self._stack = server, sandbox, folder, ExitStack()
        self.ucc = next(_uccs)
        write_accounts(sandbox, folder / "accounts.json", [self.ucc])
        self.workers = self._stack.enter_context(
            Workers(
                url=server.url,
                accounts_file=folder / "accounts.json",
                log_path=folder / "workers.log",
                env={**HASTY, **env},
            )
        )
        self.producer = self._stack.enter_context(CancelProducer(server.url))

    def close(self) -> None:
        self._stack.close()

    def start_worker(self, **how: Any) -> tuple[Child, str]:
        """Start a node and wait until it has a lease; answer its id, too."""
        before = self.leases()
        child = self.workers.start(**how)
        self.until(lambda: bool(self.leases() - before), "a lease", 60)
        return child, (self.leases() - before).pop()

    def leases(self) -> set[str]:
        return {worker.decode() for worker in self.server.client.zrangebyscore(WORKERS, "(0", "+inf")}

    def make(self, count: int, **alike: Any) -> list[CancelOrder]:
        """Create open orders at the sandbox."""
        made: list[dict[str, Any]] = []
        for at in range(0, count, 2000):
            made += self.sandbox.generate_orders(self.ucc, min(2000, count - at), **alike)
        return [CancelOrder(ucc=self.ucc, order_number=order["order_number"], deadline_seconds=600) for order in made]

    def slow_the_broker(self, seconds: float = 0.3) -> None:
        """Let every cancel take so long."""
        self.sandbox.add_fault("delay", on="cancel", ucc=self.ucc, seconds=seconds)

    def record(self, name: str) -> OrderRecord:
        return OrderRecord.decode(self.server.client.get(named_key(name)))

    def records(self, names: Sequence[str]) -> list[OrderRecord]:
        return [OrderRecord.decode(value) for value in self.server.client.mget([named_key(name) for name in names])]

    def held(self, worker: str) -> list[str]:
        return sorted(name.decode() for name in self.server.client.smembers(held_key(worker)))

    def wait_final(self, names: Sequence[str], timeout_seconds: float = 60) -> list[OrderRecord]:
        self.until(lambda: all(record.is_final for record in self.records(names)), "final statuses", timeout_seconds)
        return self.records(names)

    def wait_some(self, names: Sequence[str]) -> None:
        """Wait until the first of these is final."""
        self.until(lambda: any(record.is_final for record in self.records(names)), "work under way")

    def wait_more(self) -> None:
        """Wait until something else became final."""
        ended = len(self.endings())
        self.until(lambda: len(self.endings()) > ended, "another result")

    def assert_true(self, names: Sequence[str]) -> None:
        """Wait for final statuses and compare each with the truth."""
        records = self.wait_final(names)
        truth = self.sandbox.lookup([record.order_number for record in records])
        expected = [status_for(truth.get(record.order_number)) for record in records]
        wrong = [(record, name) for record, name in zip(records, expected, strict=True) if record.status != name]
        assert [] == wrong[:3]
        assert not any(contradicts(record.status, truth.get(record.order_number)) for record in records)

    def endings(self) -> list[str]:
        """Name who became final, as often as an event said so."""
        return ended_names(self.server.client.xrange(EVENTS))

    def calls(self) -> int:
        return len(self.sandbox.requests(ucc=self.ucc, endpoint="cancel"))

    def dead_letters(self) -> list[str]:
        return [entry.decode() for entry in self.server.client.lrange(DEAD_LETTERS, 0, -1)]

    def counter(self, name: str) -> int:
        return int(self.server.client.hget(COUNTERS, name) or 0)

    def until(self, is_true: Callable[[], bool], what: str, seconds: float = 20) -> None:
        wait_until(is_true, what, timeout_seconds=seconds)


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[SandboxControl]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def make_stage(shared_sandbox: SandboxControl, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Set a stage up: `make_stage(appendfsync=..., NEO_CANCEL_...=...)`."""
    with ExitStack() as stack:

        def make(*, appendfsync: str = "everysec", **env: str) -> Stage:
            server = stack.enter_context(Server(tmp_path, appendfsync=appendfsync))
            stage = Stage(server, shared_sandbox, tmp_path, **env)
            stack.callback(stage.close)
            return stage

        yield make
        shared_sandbox.clear_faults()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()


@pytest.fixture(scope="session")
def desk(valkey_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One worker that nobody hurts, in a database of its own, for all tests that need just one."""
    with running_sandbox("--seed", "3") as sandbox:
        rig = Rig(sandbox, f"redis://127.0.0.1:{valkey_server.port}/1", tmp_path_factory.mktemp("desk"))
        with rig.worker(NEO_CANCEL_VERIFICATION_WINDOW="3"):
            yield rig


@pytest.fixture
def rig(desk: Rig) -> Iterator[Rig]:
    yield desk
    desk.sandbox.clear_faults()


@pytest.fixture
def producer(rig: Rig) -> Iterator[CancelProducer]:
    with CancelProducer(rig.redis_url) as made:
        yield made


@pytest.fixture
def ucc(rig: Rig) -> str:
    """An account that no other test uses."""
    name = f"AB{next(_accounts):03d}"
    rig.open_account(name)
    return name
