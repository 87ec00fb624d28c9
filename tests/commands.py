"""The project's own commands as a user runs them: in a child process, with none of this machine's settings."""

import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from worker.ops.process import PROJECT, Child

MINUTES = 60.0


def clean_environment(**settings: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NEO_CANCEL_", "FLOWER_"))}
    return {**inherited, "PYTHONUNBUFFERED": "1", **settings}


def run(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run `python -m MODULE` to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        env=clean_environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=2 * MINUTES,
        check=False,
    )


@contextmanager
def running(
    module: str, *arguments: str, log_path: Path, ready: str, env: Mapping[str, str] | None = None
) -> Generator[Child]:
    """Run `python -m MODULE` for as long as the block lasts; the block begins when the log holds `ready`."""
    command = [sys.executable, "-m", module, *arguments]
    child = Child(module, command, env=clean_environment(**(env or {})), log_path=log_path)
    try:
        child.wait_until(lambda: ready in log_path.read_text(), timeout_seconds=2 * MINUTES)
        yield child
    finally:
        child.stop(timeout_seconds=MINUTES)


def children_of(pid: int) -> list[int]:
    """Name the children of a process, on Linux and macOS."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, parent in pairs if parent == pid]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
