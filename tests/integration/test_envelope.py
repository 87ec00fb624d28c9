"""Our message and the one Celery itself would send differ in nothing a worker reads."""

import json

import pytest
import redis
from celery import Celery
from kombu import Connection, Producer

from neo_cancel import CancelOrder, CancelProducer
from neo_cancel.messages import TASK_NAME

ORDER = CancelOrder(ucc="AB123", order_number="251015000123456", reason="損切り")


@pytest.fixture
def messages(redis_url):
    """Send the same chunk both ways; hand out ours and Celery's."""
    with CancelProducer(redis_url=redis_url) as producer, redis.Redis.from_url(redis_url) as client:
        producer.enqueue(ORDER)
        ours = json.loads(client.lpop("routine"))
        (chunk,), _, _ = json.loads(ours["body"])
        app = Celery(set_as_current=False)
        task_id, shown = ours["headers"]["id"], ours["headers"]["argsrepr"]
        task = app.amqp.as_task_v2(task_id, TASK_NAME, [chunk], argsrepr=shown, ignore_result=False, reply_to=task_id)
        options = {"body_encoding": "utf-8", "priority_steps": [0]}
        with Connection(redis_url, transport_options=options) as connection, Producer(connection) as sender:
            sender.publish(
                task.body,
                headers=task.headers,
                serializer="json",
                routing_key="routine",
                delivery_mode=2,
                **task.properties,
            )
        theirs = json.loads(client.lpop("routine"))
        yield ours, theirs


def test_the_fields_are_the_same(messages):
    ours, theirs = messages
    assert theirs.keys() == ours.keys()
    assert theirs["properties"].keys() == ours["properties"].keys()
    assert theirs["headers"].keys() | {"enqueued_ms"} == ours["headers"].keys()


def test_the_values_are_the_same_but_for_the_identifiers(messages):
    ours, theirs = messages
    own = {"origin", "delivery_tag"}
    for part in ("headers", "properties"):
        different = {key for key in theirs[part] if theirs[part][key] != ours[part][key]}
        assert different <= own
    assert json.loads(theirs["body"]) == json.loads(ours["body"])
    for name in ("content-type", "content-encoding"):
        assert theirs[name] == ours[name]


def test_the_identifiers_agree_with_each_other(messages):
    ours, _ = messages
    properties, headers = ours["properties"], ours["headers"]
    assert headers["id"] == headers["root_id"] == properties["correlation_id"]
