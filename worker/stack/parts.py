"""The parts of the local stack: Redis, the stand-in for the broker, worker nodes and Flower as child processes."""

import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from redis.exceptions import RedisError

from neo_cancel.connection import connect, shown_url
from worker.ops.commands import embedded_command, flower_command, sandbox_command, worker_command
from worker.ops.embedded import IN_USE, free_port
from worker.ops.interruption import Interruption
from worker.ops.nodes import leases, wait_for_nodes
from worker.ops.private import close_to_others
from worker.ops.process import Child, ChildError, child_environment
from worker.sandbox.control import SandboxControl

__all__ = ["Stack", "UnavailableError"]

START_SECONDS: Final = 120.0
_HOST: Final = "127.0.0.1"
_FLOWER_USER: Final = "neo-cancel"
_STOP_SECONDS: Final = 20.0


class UnavailableError(Exception):
    """The server or a port that the stack needs is in use by another process, or the server does not answer."""


class Stage(IntEnum):
    """What needs what: a later stage is stopped before an earlier one."""

    REDIS = 0
    BROKER = 1
    WORK = 2


class Stack:
    """The parts that run on this machine: started, watched, and stopped in the right order, whatever happens.

    `start_...` waits until the part is ready; `launch_...` does not, so that slow parts start side by side: `wait`
    waits for them. `env` goes on top of every child's environment. `root` holds data and logs. Everything raises
    ChildError when a part fails, and InterruptedRunError when it is time to stop.
    """

    def __init__(self, *, root: Path, env: Mapping[str, str], interruption: Interruption) -> None:
        self.root, self._env, self._interruption = root, dict(env), interruption
        self._stages: dict[Stage, list[Child]] = {stage: [] for stage in Stage}
        self._waits: list[Callable[[], None]] = []
        self.redis_url = self.flower_url = self.flower_password = ""
        self.nodes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything, each part before those it needs. A second call does nothing."""
        for stage in reversed(Stage):
            children, self._stages[stage] = self._stages[stage], []
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.stop(timeout_seconds=_STOP_SECONDS)

    def check(self) -> None:
        """Raise ChildError when a part has ended by itself, InterruptedRunError when it is time to stop."""
        self._interruption.check()
        for children in self._stages.values():
            for child in children:
                child.check()

    def wait(self) -> None:
        """Wait until everything that was launched is ready."""
        while self._waits:
            self._waits.pop(0)()

    # ------------------------------------------------------------------ the parts

    def use_redis(self, url: str) -> None:
        """Use a server that is there already. Raises UnavailableError when it does not answer."""
        try:
            with connect(url) as client:
                client.ping()  # pyright: ignore[reportUnknownMemberType]
        except (RedisError, OSError) as error:
            raise UnavailableError(f"Redis at {shown_url(url)} does not answer: {type(error).__name__}") from None
        self.redis_url = url

    def start_redis(self, *, port: int = 0) -> None:
        """Start the embedded server. Raises UnavailableError when its data or port is in use."""
        data_dir, url_file = str(self.root / "redis"), self.root / "redis-url"
        command = embedded_command(
            data_dir=data_dir, url_file=str(url_file.resolve()), port=port, python=sys.executable
        )
        child = self._launch(Stage.REDIS, "redis", command)
        try:
            # The line, not the file: a file may be left from a run that was killed.
            self._wait(child, lambda: "embedded server: " in child.log_tail())
        except ChildError:
            if child.popen.returncode == IN_USE:
                raise UnavailableError(child.log_tail().splitlines()[-1].removeprefix("neo-cancel: ")) from None
            raise
        self.redis_url = url_file.read_text()

    def start_sandbox(self, *, port: int = 0) -> SandboxControl:
        """Start the stand-in for the broker and answer its control client."""
        child = self._launch(Stage.BROKER, "sandbox", sandbox_command(port=port, python=sys.executable))
        ready = "sandbox listening on "
        self._wait(child, lambda: ready in child.log_tail())
        line = next(line for line in child.log_tail().splitlines() if line.startswith(ready))
        return SandboxControl(line.removeprefix(ready))

    def launch_nodes(
        self, *, lanes: Sequence[str], processes: int, accounts_file: Path, threads: int | None = None
    ) -> None:
        """Launch worker nodes for each lane; `nodes` names them. The accounts may be written later.

        `threads` is how many messages each works on at once, None means NEO_CANCEL_THREADS.
        """
        before = leases(self.redis_url)
        env = {"NEO_CANCEL_REDIS_URL": self.redis_url, "NEO_CANCEL_ACCOUNTS_FILE": str(accounts_file.resolve())}
        started: dict[str, Child] = {}
        for lane in lanes:
            for number in range(1, processes + 1):
                name = f"{lane}-{number}" if processes > 1 else lane
                command = worker_command(
                    [lane], threads=threads, node=f"{name}@%h", respawn=True, python=sys.executable
                )
                started[f"{name}@{socket.gethostname()}"] = self._launch(Stage.WORK, name, command, env)
        self.nodes += started
        self._waits.append(
            lambda: wait_for_nodes(
                started,
                redis_url=self.redis_url,
                before=before,
                check=self._interruption.check,
                timeout_seconds=START_SECONDS,
            )
        )

    def launch_flower(self, *, port: int = 0) -> None:
        """Launch Flower behind a password: the one of FLOWER_BASIC_AUTH if that is set, else a fresh one."""
        given = os.environ.get("FLOWER_BASIC_AUTH")
        self.flower_password = "" if given else secrets.token_urlsafe(12)
        env = {
            "FLOWER_BASIC_AUTH": given or f"{_FLOWER_USER}:{self.flower_password}",
            "NEO_CANCEL_REDIS_URL": self.redis_url,
        }
        port = port or free_port()
        self.flower_url = f"http://{_HOST}:{port}"
        child = self._launch(Stage.WORK, "flower", flower_command(port=port, python=sys.executable), env)
        self._waits.append(lambda: self._wait(child, lambda: _answers(f"{self.flower_url}/healthcheck")))

    def _launch(self, stage: Stage, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        self._interruption.check()
        log_path = self.root / "log" / f"{name}.log"
        close_to_others(log_path.parent)
        child = Child(name, command, env=child_environment(**{**self._env, **(env or {})}), log_path=log_path)
        self._stages[stage].append(child)
        return child

    def _wait(self, child: Child, is_ready: Callable[[], bool]) -> None:
        child.wait_until(is_ready, check=self._interruption.check, timeout_seconds=START_SECONDS)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False
