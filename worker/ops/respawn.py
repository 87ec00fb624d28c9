"""Keep a worker process alive: a parent starts another at once when one dies, or is not well for long.

The orders of a dead worker wait until its lease has run out and another worker takes over. A process that starts from nothing
needs a second of a processor for its imports; one that is forked from a parent with these imports needs a tenth of that.
"""

import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final

from worker.observe.log import Log
from worker.ops.watchdog import Watchdog

__all__ = ["exit_code_of", "keep_alive", "next_pause"]

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_LONG_LIFE_SECONDS: Final = 5.0
_LEAST_PAUSE_SECONDS: Final = 0.1
_MOST_PAUSE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05
_LAST_SECONDS: Final = 15.0
_SIGNALLED: Final = 128


def keep_alive(work: Callable[[], int], log: Log, watchdog: Watchdog | None = None) -> int:
    """Run `work` in a child process, and in another one when that dies; answer the exit code of the last.

    A child that ends with 0 was asked to end, by a signal or through Celery's remote control, and is the last. The parent
    passes on every signal that stops: a second one means something else than the first. After a child that died within 5 s
    the parent pauses before it starts the next; the pause doubles up to 5 s. If the parent is killed, the child takes that
    as a SIGTERM. A child that `watchdog` ends is followed by another, whatever it ended with; None watches nothing. Call it
    before there is any thread: only the calling one lives on in a child.
    """
    parent = _Parent(work, log, watchdog)
    before = {number: signal.signal(number, parent.pass_on) for number in STOP_SIGNALS}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, parent.wake)
    before_fd = signal.set_wakeup_fd(parent.wake_fd, warn_on_full_buffer=False)
    try:
        return parent.run()
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Parent:
    def __init__(self, work: Callable[[], int], log: Log, watchdog: Watchdog | None) -> None:
        self._work, self._log, self._watchdog = work, log, watchdog
        self._child = 0
        self._is_stopping = False
        # Nothing is ever written: the reading end closes when the last writer, this process, is gone.
        self._alive = os.pipe()
        # A signal writes here: one that comes just before a blocking call would not end that call.
        self._woken, self.wake_fd = os.pipe()
        os.set_blocking(self.wake_fd, False)

    def wake(self, number: int, _: object) -> None:
        """Do nothing: the signal has written to `wake_fd` already."""

    def pass_on(self, number: int, _: object) -> None:
        self._is_stopping = True
        if self._child:
            with suppress(ProcessLookupError):  # it has ended, and waitpid is about to return
                os.kill(self._child, number)

    def run(self) -> int:
        pause = 0.0
        while True:
            began_at = time.monotonic()
            code = self._live()
            lived = time.monotonic() - began_at
            was_ended = self._watchdog is not None and self._watchdog.has_acted
            if self._is_stopping or (code == 0 and not was_ended):
                return code
            pause = next_pause(pause, lived)
            self._log.error(
                "worker died: another one starts",
                exit_code=code,
                lived_seconds=round(lived, 1),
                pause_seconds=pause,
                to_do="see its last log lines" if code < _SIGNALLED else "find out what killed it",
            )
            self._sleep(pause)
            if self._is_stopping:
                return code

    def _live(self) -> int:
        with _signals_held():
            self._child = self._fork(self._work)
        if self._watchdog:
            self._watchdog.begin()
        status = self._wait()
        self._child = 0
        if self._watchdog:
            self._watchdog.end()
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _wait(self) -> int:
        """Wait until the child has ended, and answer its status; a signal that comes meanwhile is handled at once."""
        while True:
            ended, status = os.waitpid(self._child, os.WNOHANG)
            if ended:
                return status
            # A worker that was asked to end answers no question, and is not to blame for it.
            watchdog = None if self._is_stopping else self._watchdog
            pause = watchdog.tend(self._child, self._look) if watchdog else None
            if select.select([self._woken], [], [], pause)[0]:
                os.read(self._woken, 4096)

    def _look(self, look: Callable[[], int]) -> int:
        with _signals_held():
            return self._fork(look)

    def _fork(self, work: Callable[[], int]) -> int:
        """Run `work` in a child and answer its id. Signals are held: the child lets them through once it is itself."""
        child = os.fork()
        if not child:
            self._be_the_child(work)
        return child

    def _be_the_child(self, work: Callable[[], int]) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Ctrl-C reaches the parent, which passes it on: twice would mean something else.
            os.setpgid(0, 0)
            os.close(self._alive[1])
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            threading.Thread(target=_end_with_the_parent, args=(self._alive[0],), daemon=True).start()
            code = exit_code_of(work)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _sleep(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and not self._is_stopping:
            time.sleep(_LOOK_SECONDS)


@contextmanager
def _signals_held() -> Generator[None]:
    """Hold back the signals that stop: between a fork and its child's first line they would be handled as the parent's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def next_pause(before: float, lived_seconds: float) -> float:
    """Answer how many seconds to pause after a death: none after a long life, else twice the pause before."""
    if lived_seconds >= _LONG_LIFE_SECONDS:
        return 0.0
    return min(max(before * 2, _LEAST_PAUSE_SECONDS), _MOST_PAUSE_SECONDS)


def exit_code_of(work: Callable[[], int]) -> int:
    """Run `work` and answer the exit code of a process that does nothing else; an exception is written to stderr."""
    try:
        return work()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 (the child must end here: above it stands the code of the parent)
        traceback.print_exc()
        return 1


def _end_with_the_parent(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_SECONDS)
    os._exit(1)
