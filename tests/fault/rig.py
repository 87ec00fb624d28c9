"""A worker, a ledger and a sandbox broker together, and what the tests of the final status ask of them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neo_cancel import CancelOrder, CancelProducer
from tests.nodes import running_worker
from worker.sandbox.control import SandboxControl

__all__ = ["SHORT", "Rig", "asked", "names_of"]

SHORT: Mapping[str, str] = {
    "NEO_CANCEL_ORDERS_PER_SECOND": "0",
    "NEO_CANCEL_READS_PER_SECOND": "30",
    "NEO_CANCEL_CONNECT_TIMEOUT": "0.5",
    "NEO_CANCEL_READ_TIMEOUT": "0.8",
    "NEO_CANCEL_CALL_TIMEOUT": "1.2",
    "NEO_CANCEL_BOOK_TIMEOUT": "1.5",
    "NEO_CANCEL_VERIFICATION_WINDOW": "8",
    "NEO_CANCEL_BACKOFF": "0.05",
    "NEO_CANCEL_BACKOFF_MOST": "0.5",
    "NEO_CANCEL_WATCH_INTERVAL": "0.5",
}
"""Settings of a worker that gives up soon: seconds of patience instead of minutes."""


PATIENT = 60.0
"""How long a test waits for what takes a second, in seconds: the machine may be busy."""


def names_of(orders: Iterable[CancelOrder]) -> list[str]:
    """Name orders as the ledger does."""
    return [f"{order.ucc}:{order.order_number}" for order in orders]


def asked(ucc: str, number: str, *, deadline: float = 30.0, **about: Any) -> CancelOrder:
    """Wish for a cancel, with a deadline that a test can wait for."""
    return CancelOrder(ucc=ucc, order_number=number, deadline_seconds=deadline, **about)


class Rig:
    """What a test holds: the sandbox's control, a producer, and the accounts file the worker reads."""

    def __init__(self, sandbox: SandboxControl, redis_url: str, folder: Path) -> None:
        self.sandbox, self.redis_url = sandbox, redis_url
        self.accounts_file = folder / "accounts.json"
        self.log_path = folder / "worker.log"
        self.accounts: dict[str, dict[str, Any]] = {}
        self.write()

    def open_account(self, ucc: str, **overrides: Any) -> None:
        """Create an account at the sandbox and put its session into the accounts file; `overrides` as in Account."""
        session = self.sandbox.create_account(ucc)
        self.put(ucc, {"base_url": session.base_url, "sid": session.sid, "auth": session.auth} | overrides)

    def make(self, ucc: str, **about: Any) -> str:
        """Create one order; answer its number."""
        return str(self.sandbox.create_orders([{"ucc": ucc, **about}])[0]["order_number"])

    def put(self, ucc: str, account: Mapping[str, Any]) -> None:
        """Write an account into the file, the way whoever logs in does."""
        self.accounts[ucc] = dict(account)
        self.write()

    def write(self) -> None:
        """Replace the file in one step."""
        fresh = self.accounts_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(self.accounts))
        fresh.rename(self.accounts_file)

    @contextmanager
    def worker(self, **env: str) -> Iterator[CancelProducer]:
        """Run a worker node with short time-outs for as long as the block lasts; `env` goes on top."""
        with (
            running_worker(
                redis_url=self.redis_url,
                accounts_file=self.accounts_file,
                log_path=self.log_path,
                env={**SHORT, **env},
            ),
            CancelProducer(self.redis_url) as producer,
        ):
            yield producer

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Read the worker's log lines of one kind."""
        lines = self.log_path.read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry.get("event") == event]
