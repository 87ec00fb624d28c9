"""A child process that answers a line of JSON with a line of JSON, or only announces itself with one."""

import json
import select
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.ops.process import PROJECT

__all__ = ["Peer", "PeerError", "running_peer"]

_STOP_SECONDS = 5.0


class PeerError(Exception):
    """A child process ended by itself or did not answer; the message holds its last log lines."""


class Peer:
    """One child process and its two pipes."""

    def __init__(self, module: str, *arguments: str, env: Mapping[str, str], log_path: Path) -> None:
        self._module, self._log_path = module, log_path
        with log_path.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=PROJECT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                process_group=0,
            )

    def ask(self, *, within_seconds: float = 120.0, **said: Any) -> dict[str, Any]:
        """Send a line and read the answer. Raises PeerError."""
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write(json.dumps(said).encode() + b"\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            raise self._error("has ended") from None
        return self.listen(within_seconds=within_seconds)

    def listen(self, *, within_seconds: float = 30.0) -> dict[str, Any]:
        """Read a line. Raises PeerError."""
        assert self.popen.stdout is not None
        if not select.select([self.popen.stdout], [], [], within_seconds)[0]:
            raise self._error(f"did not answer within {within_seconds:g} s")
        line = self.popen.stdout.readline()
        if not line:
            raise self._error("has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End it by its id."""
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                pipe.close()
        self.popen.terminate()
        try:
            self.popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def _error(self, what: str) -> PeerError:
        tail = self._log_path.read_text(errors="replace").splitlines()[-2:]
        return PeerError(f"{self._module} {what}: {' | '.join(tail) or 'it said nothing'}")


@contextmanager
def running_peer(module: str, *arguments: str, env: Mapping[str, str], log_path: Path) -> Generator[Peer]:
    """Run it for as long as the block lasts."""
    peer = Peer(module, *arguments, env=env, log_path=log_path)
    try:
        yield peer
    finally:
        peer.stop()
