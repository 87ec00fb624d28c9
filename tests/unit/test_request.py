"""The last event of a task tells Flower whether an order of its message may still work."""

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.events.state import Task
from celery.utils.imports import symbol_by_name
from celery.utils.saferepr import saferepr
from celery.worker.request import create_request_cls

from neo_cancel.messages import TASK_NAME
from tests.unit.dispatching import chunk
from tests.unit.test_answer import claimed
from worker.consuming.tasks import register
from worker.dispatch.answer import answer


class Events:
    """Stands in for Celery's dispatcher of events: what Flower makes of those of one task."""

    enabled = True

    def __init__(self):
        self.sent, self.task = [], Task("m1")

    def send(self, type, **fields):  # noqa: A002 - Celery's name
        self.sent.append(type)
        self.task.event(type.removeprefix("task-"), 1.0, 1.0, fields)


@pytest.fixture
def end():
    """End a task as Celery's pool does; answer the events of it, and how often its message was acknowledged."""

    def end(result):
        app = Celery("test", set_as_current=False)
        app.conf.task_acks_late = True
        register(app, [])
        task, events, acknowledged = app.tasks[TASK_NAME], Events(), []
        pool = SimpleNamespace(apply_async=None)
        made = create_request_cls(symbol_by_name(task.Request), task, pool, "h", events, app=app)
        message = SimpleNamespace(
            headers={"id": "m1", "task": TASK_NAME},
            properties={},
            delivery_info={},
            payload=None,
            body=b"",
            content_type="application/json",
            content_encoding="utf-8",
        )
        request = made(
            message, app=app, task=task, eventer=events, body=([], {}, {}), decoded=True,
            on_ack=lambda *_: acknowledged.append(True),
        )  # fmt: skip
        request.send_event("task-started")
        request.on_success((0, saferepr(result), 0.1))
        return events, len(acknowledged)

    return end


@pytest.mark.parametrize("status", ["blocked", "unknown", "refused", "expired"])
def test_a_task_with_an_order_that_may_still_work_is_no_plain_success(end, status):
    """Its state is the status; its message is acknowledged, as after a success."""
    events, acknowledged = end(answer(chunk(2), [claimed("cancelled", status)]))
    assert (["task-started", f"task-{status}"], 1) == (events.sent, acknowledged)
    assert (status.upper(), 0.1, True) == (events.task.state, events.task.runtime, status in events.task.result)


@pytest.mark.parametrize(
    "result", [answer(chunk(1), [claimed("filled")]), {"outcome": "else"}, "{'outcome': 'blocked", None]
)
def test_every_other_task_that_ended_without_an_error_is_a_success(end, result):
    """Also where the answer begins in another way."""
    events, acknowledged = end(result)
    assert (["task-started", "task-succeeded"], "SUCCESS", 1) == (events.sent, events.task.state, acknowledged)


def test_what_came_before_does_not_take_the_state_back(end):
    """Events may overtake each other on their way to Flower."""
    events, _ = end(answer(chunk(1), [claimed("blocked")]))
    events.task.event("received", 0.5, 0.5, {"args": "(AB123 1 order risk)"})
    assert ("BLOCKED", "(AB123 1 order risk)") == (events.task.state, events.task.args)
