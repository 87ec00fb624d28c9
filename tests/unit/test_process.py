"""A child process: its log, its end, and the error when it does not become ready."""

import signal
import sys

import pytest

from worker.ops.process import TAIL_LINES, Child, ChildError, child_environment, wait_until

SLEEPS = "import time; print('ready', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
COUNTS = f"import signal; signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True)); {SLEEPS}"


@pytest.fixture
def start(tmp_path):
    started = []

    def start(code: str) -> Child:
        # -I -S: the interpreter alone, in a few milliseconds.
        command = [sys.executable, "-I", "-S", "-c", code]
        started.append(Child("child", command, env={}, log_path=tmp_path / "log" / "child.log"))
        return started[-1]

    yield start
    for child in started:
        child.popen.kill()
        child.popen.wait()


def has_spoken(child):
    return lambda: "ready" in child.log_tail()


def test_a_child_is_ready_when_its_condition_holds(start):
    """Its output goes to its log, errors too."""
    child = start(SLEEPS)
    child.wait_until(has_spoken(child), timeout_seconds=30)
    child.check()
    assert child.is_running


def test_a_child_that_ends_is_not_waited_for(start):
    """The error has the exit code and the last log lines."""
    child = start("print('no port'); raise SystemExit(3)")
    with pytest.raises(
        ChildError, match=r"child ended by itself, exit code 3; its last words in .*child\.log:\nno port"
    ):
        child.wait_until(lambda: False, timeout_seconds=30)


def test_a_child_with_an_empty_log_has_no_last_words(start):
    """An empty log is named as such."""
    child = start("")
    child.popen.wait()
    with pytest.raises(ChildError, match=r"\(nothing\)"):
        child.check()


def test_a_child_that_is_not_ready_in_time_is_named(start):
    """With how long was waited."""
    child = start(SLEEPS)
    with pytest.raises(ChildError, match="child was not ready within 0 s"):
        child.wait_until(lambda: False, timeout_seconds=0)


def test_what_the_caller_checks_ends_the_wait(start):
    """Ctrl-C during a start, for one."""
    child = start(SLEEPS)

    def check():
        raise KeyError("asked to stop")

    with pytest.raises(KeyError):
        child.wait_until(lambda: True, timeout_seconds=30, check=check)


def test_a_child_that_stops_answers_its_exit_code_again_and_again(start):
    """A second call does nothing more."""
    child = start(SLEEPS)
    assert [-signal.SIGTERM, -signal.SIGTERM] == [child.stop(), child.stop()]
    assert not child.is_running


def test_a_child_that_does_not_stop_is_killed(start):
    """Once its time is over."""
    child = start(DEAF)
    child.wait_until(has_spoken(child), timeout_seconds=30)
    assert -signal.SIGKILL == child.stop(timeout_seconds=0.05)


def test_a_child_is_asked_to_stop_only_once(start):
    """A worker takes a second signal as an order to drop everything."""
    child = start(COUNTS)
    child.wait_until(has_spoken(child), timeout_seconds=30)
    child.ask_to_stop()
    wait_until(lambda: "asked" in child.log_tail(), "the signal", timeout_seconds=30)
    child.ask_to_stop()
    assert -signal.SIGKILL == child.stop(timeout_seconds=0.1)
    assert ["ready", "asked"] == child.log_tail().splitlines()


def test_the_tail_holds_the_last_lines_of_this_child(start):
    """What an earlier one wrote into the same log is not its own."""
    start("print('an earlier one')").popen.wait()
    child = start("for n in range(100): print(n)")
    child.popen.wait()
    assert [str(n) for n in range(100 - TAIL_LINES, 100)] == child.log_tail().splitlines()
    silent = start("")
    silent.popen.wait()
    assert "" == silent.log_tail()


def test_a_child_leads_a_group_of_its_own(start):
    """Ctrl-C in a terminal reaches its parent only."""
    child = start("import os; print('ready' if os.getpgid(0) == os.getpid() else 'of its parent')")
    child.popen.wait()
    assert "ready" == child.log_tail()


def test_a_wait_that_is_too_long_names_what_it_waited_for():
    """The condition is asked once at least."""
    with pytest.raises(TimeoutError, match="waited 0 s for the moon"):
        wait_until(lambda: False, "the moon", timeout_seconds=0)
    wait_until(lambda: True, "nothing", timeout_seconds=0)


def test_a_childs_environment_opens_no_flower(monkeypatch):
    """This process's variables, the given ones on top, and Flower's own left out."""
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("NEO_CANCEL_LEASE", "9")
    environment = child_environment(NEO_CANCEL_LEASE="1")
    expected = {"LC_ALL": "C", "NEO_CANCEL_LEASE": "1", "PYTHONUNBUFFERED": "1"}
    assert expected == {name: environment[name] for name in expected}
    assert not [name for name in environment if name.startswith("FLOWER_")]
