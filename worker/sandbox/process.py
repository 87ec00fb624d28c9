"""A sandbox in a child process."""

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from worker.sandbox.control import SandboxControl, SandboxError

_PROJECT = Path(__file__).parents[2]
_READY = b"sandbox listening on "
_STOP_SECONDS = 10.0


@contextmanager
def running_sandbox(
    *arguments: str, host: str = "127.0.0.1", port: int = 0, start_timeout_seconds: float = 20.0
) -> Generator[SandboxControl]:
    """Run a sandbox for as long as the block lasts and give its control client.

    `arguments` are further options of `python -m worker.sandbox`; port 0 means any free one. Raises SandboxError
    with the child's last output when it is not ready in time. The child ends with the block, whatever happens in it.
    """
    options = ["--host", host, "--port", str(port), *arguments]
    with tempfile.TemporaryFile() as errors, _child(options, errors) as child:
        address = _ready_address(child, errors, start_timeout_seconds)
        with SandboxControl(address) as control:
            yield control


@contextmanager
def _child(options: Sequence[str], errors: IO[bytes]) -> Generator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "worker.sandbox", *options]
    with subprocess.Popen(  # noqa: S603 - our own module, no shell
        command, cwd=_PROJECT, stdout=subprocess.PIPE, stderr=errors, bufsize=0
    ) as child:
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def _ready_address(child: subprocess.Popen[bytes], errors: IO[bytes], timeout_seconds: float) -> str:
    line = _first_line(child.stdout, time.monotonic() + timeout_seconds)
    if line.startswith(_READY) and line.endswith(b"\n"):
        return line.removeprefix(_READY).decode().strip()
    errors.seek(0)
    text = errors.read().decode(errors="replace").strip() or "nothing on stderr"
    raise SandboxError(f"the sandbox was not ready within {timeout_seconds:g} s: {text}")


def _first_line(stream: IO[bytes] | None, deadline: float) -> bytes:
    line = b""
    if stream is None:
        return line
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n") and selector.select(max(0.0, deadline - time.monotonic())):
            piece = os.read(stream.fileno(), 4096)
            if not piece:
                break
            line += piece
    return line
