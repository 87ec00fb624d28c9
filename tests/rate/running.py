"""One run: a Redis, a stand-in broker, worker processes, and a bulk of each account, for some seconds."""

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import trustme

from neo_cancel import CancelOrder, CancelProducer
from tests.benchmarks.peer import running_peer
from tests.chaos.stage import Server, Workers
from tests.rate.cells import Account, Run
from tests.rate.judging import Figures, Send, judge
from worker.ledger.keys import WORKERS
from worker.ops.process import child_environment, wait_until

__all__ = ["measure"]

_SPARE: Final = 1.5
"""More orders are asked for than the rate lets through: an account is never idle."""
_DEADLINE_SECONDS: Final = 600.0


@dataclass(slots=True)
class _Scene:
    """What runs during one run. `changed_at` is when the accounts file was written anew, None before."""

    run: Run
    accounts: Sequence[Account]
    ports: dict[int, int]
    file: Path
    workers: Workers
    producer: CancelProducer
    numbers: "count[int]" = field(default_factory=count)
    changed_at: float | None = None

    def write(self, share: float = 1.0) -> None:
        """Write the accounts file in one step, with this share of every rate."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({account.ucc: self._entry(account, share) for account in self.accounts}))
        fresh.rename(self.file)

    def _entry(self, account: Account, share: float) -> dict[str, Any]:
        scheme = "https" if account.delay_ms else "http"
        url = f"{scheme}://127.0.0.1:{self.ports[account.delay_ms]}/{account.ucc}"
        return {"base_url": url, "sid": "sid", "auth": "auth", "orders_per_second": account.rate * share}

    def start(self) -> None:
        """Start the workers and wait until all have a lease."""
        for _ in range(self.run.processes):
            self.workers.start()

    def ask(self, lane: str, orders_of: Callable[[Account], int]) -> None:
        """Enqueue orders of every account, in as many bulks as there are processes, so that each gets some of all."""
        asked = [self._order(account, lane) for account in self.accounts for _ in range(orders_of(account))]
        for first in range(self.run.processes):
            self.producer.enqueue_many(asked[first :: self.run.processes])

    def _order(self, account: Account, lane: str) -> CancelOrder:
        number = f"2511{next(self.numbers):011d}"
        return CancelOrder(ucc=account.ucc, order_number=number, lane=lane, deadline_seconds=_DEADLINE_SECONDS)

    def make_trouble(self) -> None:
        """Do what happens in the middle of the run; the broker's own troubles happen all the time."""
        if self.run.trouble == "kill":
            self.workers.kill(self.workers.running[0])
            self.workers.start()
        if self.run.trouble == "changed":
            self.write(share=0.5)
            self.changed_at = time.monotonic()


def measure(run: Run, accounts: Sequence[Account], seconds: float, folder: Path) -> dict[Account, Figures]:
    """Let every account send as fast as it may for so many seconds, a burst of risk orders among the routine ones.

    Raises ChildError, TimeoutError or PeerError where something did not start.
    """
    with ExitStack() as stack:
        certificate, environment = _trust(folder)
        delays = sorted({account.delay_ms for account in accounts})
        broker = stack.enter_context(_broker(run, delays, certificate, folder))
        ports = dict(zip(delays, broker.listen(), strict=True))
        server = stack.enter_context(Server(folder))
        workers = Workers(
            url=server.url, accounts_file=folder / "accounts.json", log_path=folder / "workers.log", env=environment
        )
        stack.enter_context(workers)
        producer = stack.enter_context(CancelProducer(server.url))
        scene = _Scene(run, accounts, ports, folder / "accounts.json", workers, producer)
        scene.write()
        scene.start()
        wait_until(lambda: server.client.zcard(WORKERS) >= run.processes, "workers to start", timeout_seconds=60)
        _play(scene, seconds)
        return _judged(broker.ask(), scene)


def _broker(run: Run, delays: Iterable[int], certificate: Path, folder: Path) -> Any:
    arguments = ("--certificate", str(certificate), "--trouble", run.trouble, *map(str, delays))
    return running_peer("tests.rate.broker", *arguments, env=child_environment(), log_path=folder / "broker.log")


def _trust(folder: Path) -> tuple[Path, dict[str, str]]:
    """Make a certificate, and a worker's environment in which its authority is the only public one.

    Workers trust the authorities that the package certifi lists. A package of that name stands in front of it.
    """
    authority = trustme.CA()
    certificate = folder / "broker.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    package = folder / "trust" / "certifi"
    package.mkdir(parents=True)
    authority.cert_pem.write_to_path(package / "authority.pem")
    (package / "__init__.py").write_text(f"def where() -> str:\n    return {str(package / 'authority.pem')!r}\n")
    return certificate, {
        "PYTHONPATH": str(package.parent),
        "NEO_CANCEL_VERIFY": "false",  # the stand-in has no order book
        "NEO_CANCEL_LOG_LEVEL": "WARNING",
    }


def _play(scene: _Scene, seconds: float) -> None:
    began = time.monotonic()
    scene.ask("routine", lambda account: math.ceil(account.rate * seconds * _SPARE))
    _wait_for(began + seconds / 3)
    scene.ask("risk", lambda account: math.ceil(account.rate))
    _wait_for(began + seconds / 2)
    scene.make_trouble()
    _wait_for(began + seconds)


def _wait_for(at: float) -> None:
    time.sleep(max(0.0, at - time.monotonic()))


def _judged(journal: Any, scene: _Scene) -> dict[Account, Figures]:
    sends: dict[str, list[Send]] = {account.ucc: [] for account in scene.accounts}
    for ucc, *about in journal:
        sends[ucc].append(Send(*about))
    return {
        account: judge(sends[account.ucc], account.rate, changed_at=scene.changed_at, new_rate=account.rate / 2)
        for account in scene.accounts
    }
