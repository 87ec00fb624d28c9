"""A worker node for as long as a block lasts."""

import secrets
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from worker.ops.commands import worker_command
from worker.ops.nodes import leases, wait_for_nodes
from worker.ops.process import STOP_SECONDS, Child, child_environment


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
