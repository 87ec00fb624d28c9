"""Worker nodes as child processes: started, and waited for until they have a lease and consume."""

import secrets
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, cast

from config.settings import Settings
from neo_cancel.connection import connect
from neo_cancel.ledger import WORKERS
from worker.ops.commands import worker_command
from worker.ops.ping import Pinger
from worker.ops.process import STOP_SECONDS, Child, child_environment

__all__ = ["leases", "running_worker", "wait_for_nodes"]

_PING_SECONDS: Final = 0.5


@contextmanager
def running_worker(
    *,
    redis_url: str,
    accounts_file: Path,
    log_path: Path,
    lanes: Sequence[str] = ("risk", "routine"),
    node: str | None = None,
    env: Mapping[str, str] | None = None,
    threads: int | None = None,
    start_timeout_seconds: float = 60.0,
    stop_timeout_seconds: float = STOP_SECONDS,
) -> Generator["subprocess.Popen[bytes]"]:
    """Run a worker node for as long as the block lasts; it is ready when the block begins.

    Ready means that it has a lease in the ledger and that Celery consumes and answers. `node` is its Celery name, None
    makes a name of its own. `env` is put on top of the environment, for example {"NEO_CANCEL_LEASE": "1"}. Raises
    ChildError with the node's last log lines. It is stopped by its id: asked first, killed after
    `stop_timeout_seconds`.
    """
    settings = {"NEO_CANCEL_REDIS_URL": redis_url, "NEO_CANCEL_ACCOUNTS_FILE": str(accounts_file.resolve())}
    name = node or f"{'-'.join(lanes)}-{secrets.token_hex(4)}@%h"
    before = leases(redis_url)
    child = Child(
        name,
        worker_command(lanes, threads=threads, node=name, python=sys.executable),
        env=child_environment(**settings, **(env or {})),
        log_path=log_path,
    )
    try:
        wait_for_nodes({name: child}, redis_url=redis_url, before=before, timeout_seconds=start_timeout_seconds)
        yield child.popen
    finally:
        child.stop(timeout_seconds=stop_timeout_seconds)


def wait_for_nodes(
    nodes: Mapping[str, Child],
    *,
    redis_url: str,
    before: frozenset[bytes],
    timeout_seconds: float,
    check: Callable[[], None] | None = None,
) -> None:
    """Wait until nodes that were started under these names have leases that were not there `before`, and consume."""

    def wait(child: Child, is_ready: Callable[[], bool]) -> None:
        child.wait_until(is_ready, check=check, timeout_seconds=timeout_seconds)

    for count, child in enumerate(nodes.values(), start=1):
        wait(child, partial(_has_leases, redis_url, before, count))
    settings = Settings(redis_url=redis_url)  # pyright: ignore[reportCallIssue]
    with Pinger.from_settings(settings) as pinger:
        for node, child in nodes.items():
            wait(child, partial(pinger.answers, node, timeout_seconds=_PING_SECONDS))


def leases(redis_url: str) -> frozenset[bytes]:
    """Read which workers have a lease, by id; a worker that signed off is not among them."""
    with connect(redis_url) as client:
        found = cast("list[bytes]", client.zrangebyscore(WORKERS, "(0", "+inf"))
    return frozenset(found)


def _has_leases(redis_url: str, before: frozenset[bytes], count: int) -> bool:
    return len(leases(redis_url) - before) >= count
