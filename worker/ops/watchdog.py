"""End a worker that lives and is not well, so that its parent starts another one."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from worker.observe.log import Log
from worker.ops.wellness import Health

__all__ = ["Fork", "Watchdog"]

Fork = Callable[[Callable[[], int]], int]
"""Run a function in a child process, which ends with what it answers; answers the child's id at once."""

_LOOKS: Final = 3
_LONGEST_LOOK_SECONDS: Final = 30.0
# No exit code that anything else ends with: an exception in a look is no verdict on the worker.
_UNWELL_CODE: Final = 117


class Watchdog:
    """Looks at a worker three times in `unhealthy_seconds`, from processes of its own: a look may hang, the parent may not.

    After three bad looks in a row the worker is asked to end, which gives its orders back; after one more it is killed. A
    look that cannot ask is none: where Redis is away, the worker keeps final statuses that no other one knows.
    """

    def __init__(
        self,
        look: Callable[[], Health],
        log: Log,
        *,
        unhealthy_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._log, self._clock = look, log, clock
        self._every = unhealthy_seconds / _LOOKS
        self._looking = self._bad = 0
        self._next_at = 0.0
        self.has_acted = False

    def begin(self) -> None:
        """Forget the worker before: another one begins."""
        self._bad, self.has_acted = 0, False
        self._next_at = self._clock() + self._every

    def end(self) -> None:
        """End a look under way: the worker has ended."""
        if self._looking:
            with suppress(ProcessLookupError):
                os.kill(self._looking, signal.SIGKILL)
            os.waitpid(self._looking, 0)
            self._looking = 0

    def tend(self, worker: int, fork: Fork) -> float:
        """Do what is due for the worker with this process id; answer the seconds until something may be due again."""
        if self._looking:
            self._collect(worker)
        elif self._clock() >= self._next_at:
            self._looking = fork(self._verdict)
            self._next_at = self._clock() + _LONGEST_LOOK_SECONDS
        return max(self._next_at - self._clock(), 0.0)

    def _verdict(self) -> int:
        return _UNWELL_CODE if self._look() is Health.UNWELL else 0

    def _collect(self, worker: int) -> None:
        ended, status = os.waitpid(self._looking, os.WNOHANG)
        if not ended and self._clock() < self._next_at:
            return
        if not ended:
            self.end()
        self._looking = 0
        self._next_at = self._clock() + self._every
        is_bad = bool(ended) and os.waitstatus_to_exitcode(status) == _UNWELL_CODE
        self._bad = self._bad + 1 if is_bad else 0
        if self._bad >= _LOOKS:
            self._act(worker)

    def _act(self, worker: int) -> None:
        number = signal.SIGKILL if self.has_acted else signal.SIGTERM
        self._log.error(
            "worker is not well: it is ended",
            signal=number.name,
            to_do="see the log lines before: 'worker is not well' says why",
        )
        self.has_acted = True
        with suppress(ProcessLookupError):
            os.kill(worker, number)
