"""One task for each kind of message: it waits for what has begun, or does the work."""

import pytest
from celery import Celery

from neo_cancel.errors import InvalidOrderError
from neo_cancel.messages import TASK_NAME
from worker.consuming.envelope import Message
from worker.consuming.kinds import KINDS, Kind
from worker.consuming.tasks import begin, register
from worker.dispatch.intake import Chunk

ONE_KIND = {TASK_NAME: KINDS[TASK_NAME]}
CHUNK = {"v": 1, "ucc": "AB123", "lane": "risk", "orders": []}


class Dispatcher:
    def work(self, chunk):
        return ("work on", chunk)


class Runtime:
    """A bridge without a loop: what was begun is answered with its work."""

    def __init__(self):
        self.dispatcher, self.begun = Dispatcher(), {}

    def expect(self, message_id, work):
        self.begun[message_id] = work()

    def answer(self, message_id, work):
        return {"answer": repr(self.begun.get(message_id) or work())}


def app_with(runtime, kinds=ONE_KIND):
    app = Celery("test", set_as_current=False)
    register(app, [runtime], kinds)
    return app


def test_a_task_waits_for_the_work_that_has_begun():
    runtime = Runtime()
    begin(runtime, Message("m1", KINDS["neo_cancel.cancel_orders"], Chunk("routine", {}, ("AB123",))))
    task = app_with(runtime).tasks["neo_cancel.cancel_orders"]
    expected = {"answer": repr(("work on", Chunk("routine", {}, ("AB123",))))}
    assert expected == task.apply(args=[CHUNK], task_id="m1").result


def test_a_task_does_the_work_that_has_not_begun():
    task = app_with(Runtime()).tasks["neo_cancel.cancel_orders"]
    assert {"answer": repr(("work on", Chunk("risk", {}, ("AB123",))))} == task.apply(args=[CHUNK]).result


def test_a_task_whose_argument_cannot_be_read_says_so():
    """The gate lets none through; this is for a task that is called in another way."""
    task = app_with(Runtime()).tasks["neo_cancel.cancel_orders"]
    with pytest.raises(InvalidOrderError, match="v=3: this worker reads versions 1 and 2"):
        task.apply(args=[{**CHUNK, "v": 3}]).get()


def test_the_app_has_one_task_for_each_kind_and_no_other():
    sweep = Kind("neo_cancel.sweep", str, lambda runtime, value: ("sweep", value))
    app = app_with(Runtime(), {**ONE_KIND, sweep.task: sweep})
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert {"neo_cancel.cancel_orders", "neo_cancel.sweep"} == ours
    assert {"answer": "('sweep', 'all')"} == app.tasks["neo_cancel.sweep"].apply(args=["all"]).result
