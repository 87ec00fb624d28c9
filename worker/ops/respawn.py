"""Keep a worker process alive: whoever dies is followed at once by another, which has nothing left to import.

What a dead worker held waits for its lease to run out and for somebody to take over. A process that starts from nothing needs a
second of a processor for its imports; forked from a parent that has them, a tenth of that.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from worker.observe.log import Log

__all__ = ["keep_alive"]

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_LONG_LIFE_SECONDS: Final = 5.0
_LEAST_PAUSE_SECONDS: Final = 0.1
_MOST_PAUSE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05
_LAST_SECONDS: Final = 15.0


def keep_alive(work: Callable[[], int], log: Log) -> int:
    """Run `work` in a child process, and in another one when that dies; answer the exit code of the last.

    A child that ends with 0 has been asked to, by a signal or through Celery's remote control, and is the last. Signals that
    stop are passed on, every one of them: the second one means something else than the first. One that dies young
    is followed after a pause that doubles up to 5 s. If this process is killed, the child takes that as a SIGTERM.
    Call it before there is any thread: only the calling one lives on in a child.
    """
    parent = _Parent(work, log)
    before = {number: signal.signal(number, parent.pass_on) for number in STOP_SIGNALS}
    try:
        return parent.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Parent:
    def __init__(self, work: Callable[[], int], log: Log) -> None:
        self._work, self._log = work, log
        self._child = 0
        self._is_stopping = False
        # Nothing is ever written: the reading end closes when the last writer, this process, is gone.
        self._alive = os.pipe()

    def pass_on(self, number: int, _: object) -> None:
        self._is_stopping = True
        if self._child:
            with suppress(ProcessLookupError):  # it has ended, and its end is about to be heard of
                os.kill(self._child, number)

    def run(self) -> int:
        pause = 0.0
        while True:
            began_at = time.monotonic()
            code = self._live()
            lived = time.monotonic() - began_at
            if self._is_stopping or code == 0:
                return code
            is_young = lived < _LONG_LIFE_SECONDS
            pause = min(max(pause * 2, _LEAST_PAUSE_SECONDS), _MOST_PAUSE_SECONDS) if is_young else 0.0
            self._log.error(
                "worker died: another one starts",
                exit_code=code,
                lived_seconds=round(lived, 1),
                pause_seconds=pause,
                to_do="see its last log lines" if code < 128 else "find out who killed it",  # noqa: PLR2004
            )
            self._sleep(pause)
            if self._is_stopping:
                return code

    def _live(self) -> int:
        # A signal that came between the fork and the first line of the child would be handled as the parent's there.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        self._child = os.fork()
        if not self._child:
            self._be_the_child()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _be_the_child(self) -> None:
        code = 1
        try:
            # Ctrl-C reaches the parent, which passes it on: twice would mean something else.
            os.setpgid(0, 0)
            os.close(self._alive[1])
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            threading.Thread(target=_end_with_the_parent, args=(self._alive[0],), daemon=True).start()
            code = self._work()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 (nothing of this process may go on as if it were the parent)
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _sleep(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and not self._is_stopping:
            time.sleep(_LOOK_SECONDS)


def _end_with_the_parent(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_SECONDS)
    os._exit(1)
