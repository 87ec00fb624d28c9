"""Child processes: started with a log of their own, waited for until ready, stopped by their id."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, cast

from config.settings import Settings
from neo_cancel.connection import connect
from worker.health import Pinger
from worker.ledger.keys import WORKERS
from worker.ops.commands import worker_command

__all__ = [
    "PROJECT",
    "Child",
    "ChildError",
    "child_environment",
    "leases",
    "running_worker",
    "wait_for_nodes",
    "wait_until",
]

PROJECT: Final = Path(__file__).parents[2]
"""The folder from which every command line works."""

TAIL_LINES: Final = 15
_TAIL_BYTES: Final = 16_384
_POLL_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 15.0
_PING_SECONDS: Final = 0.5


class ChildError(Exception):
    """A child process ended by itself or was not ready in time; the message holds its last log lines."""


class Child:
    """One child process. It leads a process group of its own: Ctrl-C reaches whoever started it, who then stops it."""

    def __init__(self, name: str, command: Sequence[str], *, env: Mapping[str, str], log_path: Path) -> None:
        self.name, self.log_path = name, log_path
        self._is_asked = False
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self._log_starts_at = log.tell()
            self.popen = subprocess.Popen(  # noqa: S603 - our own command lines, no shell
                command,
                cwd=PROJECT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def is_running(self) -> bool:
        """It has not ended."""
        return self.popen.poll() is None

    def check(self) -> None:
        """Raise ChildError when it has ended."""
        if not self.is_running:
            raise ChildError(f"{self.name} ended by itself, exit code {self.popen.returncode}; {self._told()}")

    def wait_until(
        self, is_ready: Callable[[], bool], *, timeout_seconds: float, check: Callable[[], None] | None = None
    ) -> None:
        """Wait until it is ready. Raises ChildError when it ends or takes longer, and whatever `check` raises."""

        def is_settled() -> bool:
            self.check()
            if check is not None:
                check()
            return is_ready()

        try:
            wait_until(is_settled, f"{self.name} to be ready", timeout_seconds=timeout_seconds)
        except TimeoutError:
            raise ChildError(f"{self.name} was not ready within {timeout_seconds:g} s; {self._told()}") from None

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once: a worker takes a second one as an order to drop everything."""
        if self.is_running and not self._is_asked:
            self._is_asked = True
            self.popen.terminate()

    def stop(self, *, timeout_seconds: float = _STOP_SECONDS) -> int:
        """Ask it to stop, kill it when it does not; answer its exit code. A second call does nothing more."""
        self.ask_to_stop()
        try:
            return self.popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()

    def log_tail(self) -> str:
        """Read the last lines that this child wrote."""
        with self.log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_starts_at, size - _TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-TAIL_LINES:])

    def _told(self) -> str:
        return f"its last words in {self.log_path}:\n{self.log_tail() or '(nothing)'}"


def wait_until(is_true: Callable[[], bool], what: str, *, timeout_seconds: float) -> None:
    """Wait for a condition. Raises TimeoutError naming `what`."""
    give_up_at = time.monotonic() + timeout_seconds
    while not is_true():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"waited {timeout_seconds:g} s for {what}")
        time.sleep(_POLL_SECONDS)


def child_environment(**settings: str) -> dict[str, str]:
    """Make a child's environment: this process's, these on top, and nothing that opens Flower or adds noise."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")}
    quiet = {
        "PYTHONUNBUFFERED": "1",
        # Celery warns whoever runs it as root, as CI does; with JSON as the only content there is no danger.
        "PYTHONWARNINGS": "ignore:::celery.platforms,ignore:::celery.apps.worker",
    }
    return {**inherited, **quiet, **settings}


@contextmanager
def running_worker(
    *,
    redis_url: str,
    accounts_file: Path,
    log_path: Path,
    lanes: Sequence[str] = ("risk", "routine"),
    node: str | None = None,
    env: Mapping[str, str] | None = None,
    threads: int = 64,
    start_timeout_seconds: float = 60.0,
    stop_timeout_seconds: float = _STOP_SECONDS,
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
    with Pinger(Settings(redis_url=redis_url)) as pinger:  # pyright: ignore[reportCallIssue]
        for node, child in nodes.items():
            wait(child, partial(pinger.answers, node, timeout_seconds=_PING_SECONDS))


def leases(redis_url: str) -> frozenset[bytes]:
    """Read which workers have a lease, by id; who signed off is not among them."""
    with connect(redis_url) as client:
        found = cast("list[bytes]", client.zrangebyscore(WORKERS, "(0", "+inf"))
    return frozenset(found)


def _has_leases(redis_url: str, before: frozenset[bytes], count: int) -> bool:
    return len(leases(redis_url) - before) >= count
