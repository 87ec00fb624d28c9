"""Two services on one Redis database, each in a namespace of its own: neither sees the other's keys, queues or nodes."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from config.settings import Settings
from neo_cancel import CancelProducer, UnknownOrderError
from neo_cancel.keys import EVENTS, queue_key
from neo_cancel.messages import envelope
from neo_cancel.namespace import Namespace
from tests.fault.rig import names_of
from worker.consuming.celery_app import celery_app
from worker.ledger.keys import DEAD_LETTERS, WORKERS
from worker.ops.ping import Pinger

DESK = Namespace("desk")


@pytest.fixture
def desk(make_stage):
    """A stage whose workers are in the namespace `desk`, one of them started."""
    stage = make_stage(NEO_CANCEL_NAMESPACE="desk", NEO_CANCEL_ACCOUNT_ORDERS_AT_ONCE="100")
    stage.workers.start()
    stage.until(lambda: stage.server.client.zcount(DESK.named(WORKERS), "(0", "+inf") == 1, "a lease", 60)
    return stage


@pytest.fixture
def producer(desk) -> Iterator[CancelProducer]:
    with CancelProducer(desk.server.url, namespace="desk") as made:
        yield made


def keys(stage) -> set[str]:
    return {key.decode() for key in stage.server.client.scan_iter(count=1000)}


def test_a_service_in_a_namespace_writes_no_key_outside_of_it(desk, producer):
    """A bulk with a backlog, a risk cancel, a dead letter, an order that stays watched, and a worker that is killed."""
    orders = desk.make(700)
    desk.server.client.lpush(DESK.named(queue_key("risk")), "no JSON")
    desk.slow_the_broker(0.05)
    bulk = producer.enqueue_many(orders)
    urgent = replace(desk.make(1)[0], lane="risk")
    producer.enqueue(urgent)
    desk.until(lambda: bulk.status().counts.get("cancelled", 0) > 20, "work under way")
    desk.workers.kill(desk.workers.running[0])
    desk.workers.start()
    bulk.wait(60)
    producer.order(urgent.ucc, urgent.order_number).wait(60)
    assert {"cancelled": 700} == dict(bulk.status().counts)
    assert [] == [key for key in keys(desk) if not key.startswith("desk:")]
    assert desk.server.client.xlen(DESK.named(EVENTS)) > 0
    assert 1 == desk.server.client.llen(DESK.named(DEAD_LETTERS))


def test_two_services_on_one_database_do_not_see_each_other(desk, producer):
    """The same order in both: each has a record of its own. A node answers its own service only."""
    default = CancelProducer(desk.server.url)
    [order] = desk.make(1)
    with default:
        producer.enqueue(order).wait(60)
        with pytest.raises(UnknownOrderError):
            default.look_up(order.ucc, order.order_number)
        default.enqueue(order)
        assert "queued" == default.look_up(order.ucc, order.order_number).status
        assert 1 == desk.server.client.llen("routine")
    for namespace, answers in (("desk", True), ("nc", False)):
        settings = Settings(redis_url=desk.server.url, namespace=namespace)
        with Pinger.from_settings(settings) as pinger:
            assert answers == pinger.answers("w1@%h", timeout_seconds=5 if answers else 0.5)


def test_a_node_hears_no_command_of_a_service_in_another_namespace(desk, producer):
    """Not even the same command of the same software."""
    with celery_app("default", Settings(redis_url=desk.server.url)) as app:
        app.control.shutdown()
    orders = desk.make(3)
    for order in orders:
        producer.enqueue(order)
    for order in orders:
        assert "cancelled" == producer.order(order.ucc, order.order_number).wait(60).status
    assert desk.workers.running[0].is_running


def test_a_message_sent_by_hand_to_the_namespace_s_queue_is_worked_on(desk, producer):
    """The list has the namespace in front of the lane's name."""
    [order] = desk.make(1)
    message = hand_written(order.ucc, order.order_number)
    desk.server.client.lpush("desk:risk", message)
    [name] = names_of([order])
    desk.until(lambda: desk.server.client.exists(f"desk:order:{name}") == 1, "a record")
    assert "cancelled" == producer.order(order.ucc, order.order_number).wait(60).status


def hand_written(ucc, number) -> str:
    text = f'{{"ucc": "{ucc}", "order_number": "{number}", "lane": "risk"}}'
    before, after = envelope(lane="risk", orders={ucc: [text]})
    return f"{before}{int(time.time() * 1000)}{after}"
