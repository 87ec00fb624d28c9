"""Child processes: started with a log of their own, waited for until ready, stopped by their id."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["PROJECT", "STOP_SECONDS", "Child", "ChildError", "child_environment", "wait_until"]

PROJECT: Final = Path(__file__).parents[2]
"""The folder from which every command line works."""

STOP_SECONDS: Final = 15.0
"""How long a child may take to stop before it is killed."""

TAIL_LINES: Final = 15
_TAIL_BYTES: Final = 16_384
_POLL_SECONDS: Final = 0.05


class ChildError(Exception):
    """A child process ended by itself or was not ready in time; the message holds its last log lines."""


class Child:
    """One child process. It leads a process group of its own: Ctrl-C reaches the process that started it, which then stops it."""

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
            raise ChildError(f"{self.name} ended by itself, exit code {self.popen.returncode}; {self._last_words()}")

    def wait_until(
        self, is_ready: Callable[[], bool], *, timeout_seconds: float, check: Callable[[], None] | None = None
    ) -> None:
        """Wait until it is ready. Raises ChildError when it ends or takes longer, and what `check` raises."""

        def is_settled() -> bool:
            self.check()
            if check is not None:
                check()
            return is_ready()

        try:
            wait_until(is_settled, f"{self.name} to be ready", timeout_seconds=timeout_seconds)
        except TimeoutError:
            raise ChildError(f"{self.name} was not ready within {timeout_seconds:g} s; {self._last_words()}") from None

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once: a worker takes a second one as an order to drop everything."""
        if self.is_running and not self._is_asked:
            self._is_asked = True
            self.popen.terminate()

    def stop(self, *, timeout_seconds: float = STOP_SECONDS) -> int:
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

    def _last_words(self) -> str:
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
        # Celery warns when it runs as root, as in CI; with JSON as the only content there is no danger.
        "PYTHONWARNINGS": "ignore:::celery.platforms,ignore:::celery.apps.worker",
    }
    return {**inherited, **quiet, **settings}
