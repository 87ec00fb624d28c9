"""A neighbour: another Celery app on the same Redis database. It commands no node of ours, and sees none."""

import socket

import pytest
from celery import Celery

from config.settings import Settings
from tests.fault.rig import names_of
from worker.consuming.celery_app import celery_app
from worker.health import main
from worker.ops.ping import Pinger


@pytest.fixture
def neighbour(stage):
    with Celery("neighbour", broker=stage.server.url, backend=stage.server.url, set_as_current=False) as app:
        yield app


@pytest.fixture
def ours(stage):
    """An app with our own options, as Flower's is."""
    with celery_app("ours", Settings(redis_url=stage.server.url)) as app:
        yield app


@pytest.fixture
def node(stage):
    child, _ = stage.start_worker()
    with Pinger.from_settings(Settings(redis_url=stage.server.url)) as pinger:
        stage.until(lambda: pinger.answers("w1@%h"), "an answer")
        yield child


def health(stage, monkeypatch, capsys) -> tuple[int, str]:
    monkeypatch.setenv("NEO_CANCEL_REDIS_URL", stage.server.url)
    code = main(["w1@%h"])
    return code, capsys.readouterr().out


def test_a_neighbour_commands_no_node(stage, node, neighbour, monkeypatch, capsys):
    """What it says to all workers reaches its own: ours goes on consuming, and works on the next order."""
    for queue in ("risk", "routine"):
        neighbour.control.cancel_consumer(queue)
    neighbour.control.shutdown()
    assert (0, "w1@%h answers\n") == health(stage, monkeypatch, capsys)
    [order] = orders = stage.make(1)
    stage.producer.enqueue(order)
    stage.assert_true(names_of(orders))
    assert node.is_running


def test_a_neighbour_is_answered_by_no_node_and_shares_no_name_with_it(stage, node, neighbour):
    """Not even a key of kombu's bookkeeping."""
    before = set(stage.server.client.scan_iter("*kombu*"))
    assert [] == neighbour.control.ping(timeout=0.5)
    theirs = set(stage.server.client.scan_iter("*kombu*")) - before
    assert before
    assert [] == [key for key in before if not key.startswith(b"nc:")]
    assert [] == [key for key in theirs if key.startswith(b"nc:")]


def test_a_node_that_consumes_a_lane_no_more_is_not_well(stage, node, ours, monkeypatch, capsys):
    """It was told to consume it. Once it does so again, it is well."""
    ours.control.cancel_consumer("risk")
    assert (1, "w1@%h does not consume risk\n") == health(stage, monkeypatch, capsys)
    ours.control.add_consumer("risk")
    assert (0, "w1@%h answers\n") == health(stage, monkeypatch, capsys)


def test_a_node_that_stays_unwell_is_followed_by_one_that_consumes(make_stage):
    """Without a restart of the node: its parent puts another worker in the place of this one, which gives its orders back."""
    stage = make_stage(NEO_CANCEL_UNHEALTHY="1")
    settings = Settings(redis_url=stage.server.url)
    parent, worker = stage.start_worker(respawn=True)
    with Pinger.from_settings(settings) as pinger, celery_app("ours", settings) as ours:
        stage.until(lambda: [] == pinger.idle_lanes("w1@%h"), "a node that is well")
        ours.control.cancel_consumer("risk")
        stage.until(lambda: bool(stage.leases() - {worker}), "another worker", 60)
        stage.until(lambda: [] == pinger.idle_lanes("w1@%h"), "a node that is well again")
    orders = stage.make(20)
    stage.producer.enqueue_many(orders)
    stage.assert_true(names_of(orders))
    assert parent.is_running
    reasons = {entry["why"] for entry in stage.workers.logged("worker is not well")}
    assert f"w1@{socket.gethostname()} does not consume risk" in reasons
