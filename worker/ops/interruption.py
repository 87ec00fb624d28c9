"""SIGTERM and Ctrl-C as a flag that is read where stopping is safe, so that no child is ever left behind."""

import signal
import time
from types import FrameType, TracebackType
from typing import Any, Final, Self

__all__ = ["InterruptedRunError", "Interruption"]

_POLL_SECONDS: Final = 0.1
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class InterruptedRunError(Exception):
    """This process was asked to stop."""


class Interruption:
    """Notes the two signals for as long as the block lasts. Only in the main thread."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise InterruptedRunError once a signal came."""
        if self.requested:
            raise InterruptedRunError

    def sleep(self, seconds: float) -> None:
        """Sleep, but not through a signal."""
        ends_at = time.monotonic() + seconds
        while not self.requested and (left := ends_at - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_SECONDS))

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
