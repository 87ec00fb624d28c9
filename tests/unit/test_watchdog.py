"""A watchdog beside a worker: which looks end it, how, and that another one follows."""

import os
import signal
import time

import pytest

from worker.ops.respawn import keep_alive
from worker.ops.watchdog import Watchdog
from worker.ops.wellness import Health

WELL, UNWELL, UNKNOWN = Health


class Log:
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        self.errors = []

    def debug(self, event, **facts):
        raise AssertionError(event)

    info = debug

    def error(self, event, **facts):
        self.errors.append((event, facts.get("signal") or facts.get("exit_code")))


class Node:
    """A node whose looks find what is scripted, and whose worker waits for its end. A file counts: forks share no memory."""

    def __init__(self, folder, *looks, deaf=False, lives=2) -> None:
        self._looks, self._deaf, self._most = looks, deaf, lives
        self._files = {name: folder / name for name in ("lives", "looks")}
        self.pid_file = folder / "pid"
        self.log = Log()

    def run(self) -> int:
        return keep_alive(self._work, self.log, Watchdog(self._look, self.log, unhealthy_seconds=0.6))

    def count(self, name) -> int:
        with self._files[name].open("a+") as file:
            file.seek(0)
            return len(file.read())

    def _step(self, name) -> int:
        with self._files[name].open("a") as file:
            file.write("x")
        return self.count(name)

    def _work(self) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if self._deaf else lambda *_: os._exit(0))
        if self._step("lives") == self._most:
            return 0
        while True:
            time.sleep(0.01)

    def _look(self):
        while not self.count("lives"):  # a worker that does not hear its signals yet
            time.sleep(0.001)
        at = self._step("looks")
        self.pid_file.write_text(str(os.getpid()))
        if at > len(self._looks):
            os.kill(os.getppid(), signal.SIGTERM)  # the script is over: the node is asked to end
            time.sleep(60)
        found = self._looks[at - 1]
        if isinstance(found, Exception):
            raise found
        return found


def test_a_worker_that_is_not_well_three_times_in_a_row_is_followed_by_another(tmp_path):
    """It was asked to end, and ended with 0: no one asked the node."""
    node = Node(tmp_path, UNWELL, UNWELL, UNWELL)
    assert (0, 2, 3) == (node.run(), node.count("lives"), node.count("looks"))
    assert [("worker is not well: it is ended", "SIGTERM"), ("worker died: another one starts", 0)] == node.log.errors


def test_a_worker_that_does_not_end_when_asked_is_killed(tmp_path):
    """One more bad look later."""
    node = Node(tmp_path, UNWELL, UNWELL, UNWELL, UNWELL, deaf=True)
    assert (0, 2, 4) == (node.run(), node.count("lives"), node.count("looks"))
    assert ["SIGTERM", "SIGKILL", 137] == [what for _, what in node.log.errors]


@pytest.mark.parametrize("other", [WELL, UNKNOWN, OSError("a look that failed")], ids=["well", "unknown", "raised"])
def test_only_bad_looks_in_a_row_count(tmp_path, other, capfd):
    """A node that cannot be asked is not to blame: Redis may be away, and its worker keeps what no other one knows."""
    node = Node(tmp_path, UNWELL, UNWELL, other, UNWELL, UNWELL, other, other, other)
    assert (0, 1, []) == (node.run(), node.count("lives"), node.log.errors)


def test_no_look_is_left_behind(tmp_path):
    """Neither a process nor a zombie."""
    node = Node(tmp_path)
    node.run()
    with pytest.raises(ProcessLookupError):
        os.kill(int(node.pid_file.read_text()), 0)


def test_a_look_that_hangs_is_ended_and_is_no_verdict(tmp_path):
    """By a clock of the test's: after half a minute."""
    now = [0.0]
    watchdog = Watchdog(lambda: UNWELL, Log(), unhealthy_seconds=3, clock=lambda: now[0])
    watchdog.begin()
    forked = []

    def fork(_):
        forked.append(os.fork())
        if not forked[-1]:
            time.sleep(60)
            os._exit(0)
        return forked[-1]

    assert 1.0 == watchdog.tend(1, fork)
    now[0] = 1.0
    assert 30.0 == watchdog.tend(1, fork)
    now[0] = 31.0
    assert 1.0 == watchdog.tend(1, fork)
    assert (1, False) == (len(forked), watchdog.has_acted)
    with pytest.raises(ChildProcessError):
        os.waitpid(forked[0], os.WNOHANG)
