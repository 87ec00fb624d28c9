"""A parent that keeps a worker alive: which deaths are followed by another child, and after what pause."""

import os
import signal
import sys
import time

import pytest

from worker.ops.respawn import exit_code_of, keep_alive, next_pause


class Log:
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        self.deaths = []

    def debug(self, event, **facts):
        raise AssertionError(event)

    info = debug

    def error(self, event, **facts):
        self.deaths.append({"event": event, **facts})


class Scripted:
    """Work whose children end as scripted. A file counts them: a fork does not share the parent's memory."""

    def __init__(self, path, *codes) -> None:
        self._path, self._codes = path, codes

    def __call__(self) -> int:
        with self._path.open("a+") as file:
            file.write("x")
            file.flush()
            file.seek(0)
            code = self._codes[len(file.read()) - 1]
        return code() if callable(code) else code

    @property
    def lives(self) -> int:
        return len(self._path.read_text())


def killed() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_a_child_that_ends_with_zero_is_the_last(tmp_path):
    """It was asked to end."""
    work, log = Scripted(tmp_path / "lives", 0), Log()
    assert (0, 1, []) == (keep_alive(work, log), work.lives, log.deaths)


def test_a_child_that_dies_young_is_followed_after_a_pause_that_doubles(tmp_path):
    """Each death is logged with its exit code and what to do."""
    work, log = Scripted(tmp_path / "lives", 3, killed, 0), Log()
    assert (0, 3) == (keep_alive(work, log), work.lives)
    said = [(death["exit_code"], death["pause_seconds"], death["to_do"]) for death in log.deaths]
    assert [(3, 0.1, "see its last log lines"), (137, 0.2, "find out what killed it")] == said


def ends_by(number: int) -> int:
    """Let the parent hear a signal, and end with 7 when it is passed on."""
    signal.signal(number, lambda *_: os._exit(7))
    os.kill(os.getppid(), number)
    while True:
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_is_passed_on_and_the_child_is_the_last(tmp_path, number):
    """Its exit code is the node's."""
    before = signal.getsignal(number)
    work, log = Scripted(tmp_path / "lives", lambda: ends_by(number)), Log()
    assert (7, 1, []) == (keep_alive(work, log), work.lives, log.deaths)
    assert before == signal.getsignal(number)


def test_a_signal_during_a_pause_starts_no_other_child(tmp_path):
    """The exit code is that of the child that died."""

    class Stopping(Log):
        def error(self, event, **facts):
            super().error(event, **facts)
            os.kill(os.getpid(), signal.SIGTERM)

    work, log = Scripted(tmp_path / "lives", 3, 0), Stopping()
    assert (3, 1, 1) == (keep_alive(work, log), work.lives, len(log.deaths))


@pytest.mark.parametrize(
    ("before", "lived", "expected"),
    [(0.0, 0.1, 0.1), (0.1, 0.1, 0.2), (3.0, 4.9, 5.0), (5.0, 0.0, 5.0), (5.0, 5.0, 0.0), (0.0, 600.0, 0.0)],
)
def test_the_pause_doubles_up_to_five_seconds_and_is_none_after_a_long_life(before, lived, expected):
    """A worker that cannot live must not take the machine from those that can."""
    assert expected == next_pause(before, lived)


@pytest.mark.parametrize(
    ("work", "expected", "said"),
    [
        (lambda: 5, 5, ""),
        (lambda: sys.exit(4), 4, ""),
        (lambda: sys.exit("no Redis"), 1, ""),
        (lambda: 1 // 0, 1, "ZeroDivisionError"),
    ],
    ids=["it returned", "it exited", "it exited with a text", "it raised"],
)
def test_what_the_work_ends_with_is_the_exit_code(work, expected, said, capsys):
    """An exception is written to standard error; nothing goes on above it."""
    assert expected == exit_code_of(work)
    assert said in capsys.readouterr().err
