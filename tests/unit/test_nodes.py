"""Nodes that were started: ready means a lease of its own for each, and an answer from each."""

import sys

import pytest

from worker.ops.nodes import wait_for_nodes
from worker.ops.process import Child, ChildError

URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def start(tmp_path):
    started = []

    def start(name: str, code: str = "import time; time.sleep(60)") -> Child:
        command = [sys.executable, "-I", "-S", "-c", code]
        started.append(Child(name, command, env={}, log_path=tmp_path / f"{name}.log"))
        return started[-1]

    yield start
    for child in started:
        child.popen.kill()
        child.popen.wait()


class Node:
    """What the ledger and Celery show of nodes that start: another lease, or another answer, with every look."""

    def __init__(self, *, leases=(), answers=()) -> None:
        self._leases, self._answers = list(leases), list(answers)
        self.asked = []

    def read_leases(self, url):
        assert URL == url
        return frozenset(self._leases.pop(0) if len(self._leases) > 1 else self._leases[0])

    def open(self, settings):
        assert URL == settings.redis_url
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.asked.append("closed")

    def answers(self, node, *, timeout_seconds):
        self.asked.append(node)
        return self._answers.pop(0)


def wait(nodes, seen: Node, **options):
    arguments = {"redis_url": URL, "before": frozenset([b"old"]), "timeout_seconds": 30, **options}
    wait_for_nodes(nodes, **arguments, read_leases=seen.read_leases, open_pinger=seen.open)


def test_nodes_are_ready_when_each_has_a_lease_and_answers(start):
    """Leases that were there before are other workers'; no node is asked before all have theirs."""
    seen = Node(leases=[{b"old"}, {b"old", b"w1"}, {b"w1"}, {b"w1", b"w2"}], answers=[False, True, True])
    wait({"risk@h": start("risk"), "routine@h": start("routine")}, seen)
    assert ["risk@h", "risk@h", "routine@h", "closed"] == seen.asked
    assert [{b"w1", b"w2"}] == seen._leases


def test_a_node_that_ends_is_not_waited_for(start):
    """Its last words say why."""
    with pytest.raises(ChildError, match=r"risk ended by itself, exit code 1; its last words in .*\nno accounts"):
        wait({"risk@h": start("risk", "raise SystemExit('no accounts')")}, Node(leases=[{b"old"}]))


def test_a_node_that_gets_no_lease_is_named(start):
    """Celery is not even asked."""
    seen = Node(leases=[{b"old"}])
    with pytest.raises(ChildError, match="risk was not ready within 0 s"):
        wait({"risk@h": start("risk")}, seen, timeout_seconds=0)
    assert [] == seen.asked


def test_what_the_caller_checks_ends_the_wait(start):
    """Ctrl-C, for one."""

    def check():
        raise KeyError("asked to stop")

    with pytest.raises(KeyError):
        wait({"risk@h": start("risk")}, Node(leases=[{b"w1"}]), check=check)
