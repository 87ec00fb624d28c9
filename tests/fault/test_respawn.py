"""A node that keeps a worker alive: whoever dies is followed by another, and whoever is asked to stop is not."""

import os
import signal
import sys
import time

import pytest

from tests.commands import is_alive
from tests.fault.rig import names_of
from worker.ops.process import PROJECT, Child, child_environment, wait_until

DIED = "worker died: another one starts"


def pid_of(stage, worker: str) -> int:
    [pid] = [entry["pid"] for entry in stage.workers.logged("lease taken") if entry["worker"] == worker]
    return pid


def ready(stage, times: int = 1) -> bool:
    return stage.workers.log_path.read_bytes().count(b" ready.") >= times


def test_another_worker_goes_on_when_one_is_killed(stage):
    """The same node, another process, and every order ends."""
    stage.slow_the_broker()
    node, worker = stage.start_worker(respawn=True)
    orders = stage.make(200)
    stage.producer.enqueue_many(orders)
    stage.until(lambda: len(stage.held(worker)) >= 20, "a worker in the middle of the bulk")
    os.kill(pid_of(stage, worker), signal.SIGKILL)
    stage.until(lambda: bool(stage.leases() - {worker}), "another worker")
    assert node.is_running
    stage.assert_true(names_of(orders))
    [death] = stage.workers.logged(DIED)
    assert 137 == death["exit_code"]
    assert 0 == node.stop()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_is_passed_on_and_no_other_worker_starts(stage, first):
    """What is in hand is given back, as without a parent."""
    stage.slow_the_broker(0.5)
    node, worker = stage.start_worker(respawn=True)
    orders = stage.make(100)
    stage.producer.enqueue_many(orders)
    stage.until(lambda: len(stage.held(worker)) >= 50 and ready(stage), "a worker in the middle of the bulk")
    os.kill(node.popen.pid, first)
    assert 0 == node.popen.wait(30)
    assert ([], set(), []) == (stage.held(worker), stage.leases(), stage.workers.logged(DIED))
    assert not is_alive(pid_of(stage, worker))


def test_a_second_signal_ends_at_once(stage):
    """Whoever asks twice means it, through a parent, too."""
    stage.sandbox.add_fault("stall", on="cancel", ucc=stage.ucc, seconds=5)
    node, worker = stage.start_worker(respawn=True)
    stage.producer.enqueue_many(stage.make(50))
    stage.until(lambda: stage.calls() > 0 and ready(stage), "calls in flight")
    os.kill(node.popen.pid, signal.SIGTERM)
    stage.until(lambda: b"Warm shutdown" in stage.workers.log_path.read_bytes(), "the first signal to be heard")
    assert node.is_running
    os.kill(node.popen.pid, signal.SIGTERM)
    assert 128 + signal.SIGTERM == node.popen.wait(30)
    assert not is_alive(pid_of(stage, worker))


def test_a_worker_does_not_outlive_its_parent(stage):
    """Nobody could stop it any more, and a node of the same name may start: it gives everything back and ends."""
    stage.slow_the_broker()
    node, worker = stage.start_worker(respawn=True)
    orders = stage.make(100)
    stage.producer.enqueue_many(orders)
    stage.until(lambda: len(stage.held(worker)) >= 20 and ready(stage), "a worker in the middle of the bulk")
    pid = pid_of(stage, worker)
    stage.workers.kill(node)
    stage.until(lambda: not is_alive(pid) or stage.leases() == set(), "the worker to end", 30)
    assert (0, []) == (stage.counter("recovered"), stage.held(worker))
    stage.start_worker()
    stage.assert_true(names_of(orders))


SHORT_LIVED = """
import sys
from config.log import configure_logging
from worker.ops.respawn import keep_alive

sys.exit(keep_alive(lambda: {work}, configure_logging("INFO")))
"""


def node_of(tmp_path, work: str) -> Child:
    command = [sys.executable, "-c", SHORT_LIVED.format(work=work)]
    environment = child_environment(PYTHONPATH=f"{PROJECT}:{PROJECT / 'producers'}")
    return Child("short-lived", command, env=environment, log_path=tmp_path / "node.log")


def test_who_dies_young_again_and_again_is_followed_ever_later(tmp_path):
    """A worker that cannot live must not take the machine from those that can."""
    node = node_of(tmp_path, "sys.exit(3)")
    wait_until(lambda: 4 <= node.log_path.read_text().count(DIED), "four deaths", timeout_seconds=30)
    asked_at = time.monotonic()
    assert 3 == node.stop()
    assert time.monotonic() - asked_at < 10  # no signal is slept through
    text = node.log_path.read_text()
    for pause in ("0.1", "0.2", "0.4", "0.8"):
        assert f'"pause_seconds":{pause}' in text


@pytest.mark.parametrize(
    ("work", "code", "said"),
    [("0", 0, ""), ("sys.exit(0)", 0, ""), ("1 / 0", 1, "ZeroDivisionError")],
    ids=["it returned", "it exited", "it raised"],
)
def test_what_the_work_ends_with_is_what_the_node_ends_with(tmp_path, work, code, said):
    """Ended with 0 it was asked to; anything else is a death, which is told."""
    node = node_of(tmp_path, work)
    if code:
        wait_until(lambda: DIED in node.log_path.read_text(), "a death", timeout_seconds=30)
        node.ask_to_stop()
    assert code == node.popen.wait(30)
    assert said in node.log_path.read_text()
