"""The bridge between Celery's threads and the event loop."""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from config.settings import Settings
from tests.unit.dispatching import untuned
from worker.observe.events import InternalError, NotGivenBack
from worker.runtime import Runtime


class Dispatcher:
    """Remembers what it is asked for, and in which thread."""

    def __init__(self):
        self.served, self.drained_until, self.threads = None, [], set()
        self.error, self.hangs = None, False

    def serve(self, lanes, *, threads):
        self.served = list(lanes), threads

    async def drain(self, at):
        self.threads.add(threading.current_thread().name)
        self.drained_until.append(at)
        if self.error:
            raise self.error
        if self.hangs:
            await asyncio.sleep(60)


class Parts:
    """The collaborators, as far as the bridge speaks to them."""

    def __init__(self, begun):
        self.dispatcher, self.begun = Dispatcher(), begun
        self.is_idle, self.is_closed = True, False
        self.beats = threading.Semaphore(0)

    def duties(self, settings):
        return [("heartbeat", 0.001, self.beat)]

    async def beat(self):
        self.beats.release()
        raise ZeroDivisionError

    async def close(self):
        self.is_closed = True


class Desk:
    """A runtime that has started, and the parts it was given."""

    def __init__(self, **settings):
        self.events, self.settings = [], Settings(redis_url="redis://127.0.0.1:1/0", **settings)
        self.runtime = Runtime(self.settings, self.events.append, wire=self._wire)
        self.runtime.start()

    def _wire(self, settings, publish, *, begun):
        self.wired_with = settings, publish
        self.parts = Parts(begun)
        return self.parts

    def work(self, answer, gate=None):
        """Work that ends when it is let through the gate."""

        async def work():
            self.parts.begun()
            if gate is not None:
                await asyncio.to_thread(gate.wait)
            return {"answer": answer, "thread": threading.current_thread().name}

        return work


@pytest.fixture(autouse=True)
def _interpreter():
    with untuned():
        yield


@pytest.fixture
def desk():
    made = Desk(shutdown=0.2)
    yield made
    made.runtime.close()


def never():
    raise AssertionError("it has begun already")


def test_the_collaborators_get_the_settings_and_the_publisher(desk):
    settings, publish = desk.wired_with
    publish("event")
    assert settings is desk.settings
    assert "event" in desk.events


def test_work_is_done_in_the_loop_s_thread_and_answered_in_the_caller_s(desk):
    assert {"answer": 1, "thread": "orders"} == desk.runtime.answer("m1", desk.work(1))


def test_what_was_expected_is_waited_for_and_not_done_again(desk):
    desk.runtime.expect("m1", desk.work(1))
    assert 1 == desk.runtime.answer("m1", never)["answer"]


def test_an_answer_is_given_once(desk):
    """A message that comes twice is worked on twice; the ledger sees that the second finds nothing to do."""
    desk.runtime.expect("m1", desk.work(1))
    desk.runtime.answer("m1", never)
    assert 2 == desk.runtime.answer("m1", desk.work(2))["answer"]


@pytest.mark.parametrize("is_expected", [True, False])
def test_an_error_of_the_work_reaches_the_task(desk, is_expected):
    async def fail():
        raise ZeroDivisionError

    if is_expected:
        desk.runtime.expect("m1", fail)
    with pytest.raises(ZeroDivisionError):
        desk.runtime.answer("m1", fail)


def test_messages_are_worked_on_at_the_same_time(desk):
    """As many as there are threads that wait."""
    gate = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(desk.runtime.answer, "m1", desk.work(1, gate))
        assert 2 == desk.runtime.answer("m2", desk.work(2))["answer"]
        assert not first.done()
        gate.set()
        assert 1 == first.result()["answer"]


class UnderWay(threading.Event):
    """Whether the first steps of an earlier message were still noted when the wait began."""

    def __init__(self):
        super().__init__()
        self.was_set = []

    def wait(self, timeout=None):
        self.was_set.append(self.is_set())
        return super().wait(timeout)


@pytest.mark.parametrize(("is_idle", "waits"), [(True, [False]), (False, [])])
def test_only_an_idle_worker_waits_for_the_first_steps_of_a_message(desk, is_idle, waits):
    """Celery's next step needs the interpreter, and the first cancel should have it; a busy worker has others to send."""
    desk.parts.is_idle, desk.runtime._under_way = is_idle, UnderWay()
    desk.runtime._under_way.set()
    desk.runtime.expect("m1", desk.work(1))
    assert waits == desk.runtime._under_way.was_set
    assert 1 == desk.runtime.answer("m1", never)["answer"]


def test_the_first_steps_end_the_wait(desk):
    desk.runtime.answer("m1", desk.work(1))
    assert desk.runtime._under_way.is_set()


def test_an_expected_message_that_celery_never_asks_for_is_forgotten(desk):
    """Celery may have let go of it with its connection; it comes again."""
    later = []
    desk.runtime._loop = Recorded(desk.runtime._loop, later)
    desk.runtime.expect("m1", desk.work(1))
    desk.runtime._expected["m1"].result()
    [(forget, *arguments)] = later
    forget(*arguments)
    assert {} == desk.runtime._expected


class Recorded:
    """A loop that calls nothing later."""

    def __init__(self, loop, later):
        self._loop, self._later = loop, later

    def call_later(self, seconds, *call):
        self._later.append(call)

    def __getattr__(self, name):
        return getattr(self._loop, name)


def test_the_interpreter_changes_threads_often_enough_for_a_message(desk):
    """Celery's thread would wait five milliseconds each time that it asks, while the loop is busy."""
    assert 0.0003 == pytest.approx(sys.getswitchinterval())


def test_lanes_and_threads_reach_the_dispatcher(desk):
    desk.runtime.serve(["risk"], threads=3)
    assert (["risk"], 3) == desk.parts.dispatcher.served


def test_duties_are_done_again_and_again_whatever_goes_wrong(desk):
    assert all(desk.parts.beats.acquire(timeout=20) for _ in range(3))
    assert InternalError("ZeroDivisionError()", doing="heartbeat") in desk.events


def test_closing_drains_in_the_loop_and_closes_every_part(desk):
    desk.runtime.close()
    assert ({"orders"}, True) == (desk.parts.dispatcher.threads, desk.parts.is_closed)
    assert not desk.runtime._thread.is_alive()


def test_a_second_drain_gives_the_calls_in_flight_no_more_time(desk):
    desk.runtime.drain()
    desk.runtime.close()
    first, second = desk.parts.dispatcher.drained_until
    assert first == second < float("inf")


def test_orders_that_cannot_be_given_back_are_told_and_the_rest_is_closed(desk):
    desk.parts.dispatcher.error = RedisConnectionError("away")
    desk.runtime.close()
    assert NotGivenBack("ConnectionError") in desk.events
    assert desk.parts.is_closed


def test_a_drain_that_does_not_end_is_told_and_left():
    desk = Desk(shutdown=0.01)
    desk.parts.dispatcher.hangs = True
    desk.runtime.close()
    assert NotGivenBack("TimeoutError") in desk.events
