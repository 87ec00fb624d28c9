"""One event loop in a thread of its own, in which all work on orders is done, and the way to it from other threads."""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import uvloop
from redis.exceptions import RedisError

from config.settings import Settings
from worker.dispatch.dispatcher import Dispatcher
from worker.ledger.periodic import every
from worker.observe.events import NotGivenBack, Publish
from worker.wiring import Parts, wire

__all__ = ["Runtime", "Work"]

_START_SECONDS: Final = 30.0
_SWITCH_SECONDS: Final = 0.0003
_EXPECTED_SECONDS: Final = 30.0
_HEAD_START_SECONDS: Final = 0.005
_TEAR_DOWN_SECONDS: Final = 1.5

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, dict[str, Any]]]
"""The work on one message, begun by the call, in the event loop; its answer is the result of the message's task."""


class Runtime:
    """Everything that works on orders in this process. Its methods may be called from any thread, once `start` has returned.

    `wire` makes the collaborators, in the event loop.
    """

    def __init__(self, settings: Settings, publish: Publish, *, wire: Callable[..., Parts] = wire) -> None:
        self._settings, self._publish, self._wire = settings, publish, wire
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orders", daemon=True)
        self._under_way = threading.Event()
        self._expected: dict[str, Future[dict[str, Any]]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._stops_at = float("inf")

    # ------------------------------------------------------------------ from other threads

    def start(self) -> None:
        """Start the loop and wire the collaborators. Nothing is connected yet: what needs a server waits for it."""
        _tune_the_interpreter()
        self._thread.start()
        self._submit(self._set_up()).result(_START_SECONDS)

    @property
    def dispatcher(self) -> Dispatcher:
        """What works on chunks of orders; it belongs to the event loop."""
        return self._parts.dispatcher

    def serve(self, lanes: Iterable[str], *, threads: int) -> None:
        """Serve the queues of these lanes with so many threads; until then no orphaned backlog is adopted."""
        self.dispatcher.serve(lanes, threads=threads)

    def expect(self, message_id: str, work: Work) -> None:
        """Begin with a message that `answer` will be called for.

        Where nothing else is being done, returns when its first cancel is on its way, or after a few milliseconds: what Celery
        does next needs the interpreter for longer than that.
        """
        is_idle = self._parts.is_idle
        self._under_way.clear()
        self._expected[message_id] = self._submit(self._work_ahead(message_id, work))
        if is_idle:
            self._under_way.wait(_HEAD_START_SECONDS)

    def answer(self, message_id: str, work: Work) -> dict[str, Any]:
        """Wait for the work that was begun for a message, else do it; answer its summary."""
        begun = self._expected.pop(message_id, None)
        return (begun or self._submit(work())).result()

    def drain(self) -> None:
        """Take no more, let calls in flight end, and give everything else back. Returns at once."""
        self._submit(self._drain())

    def close(self) -> None:
        """End the loop; what is still held is given back first. A second call does nothing."""
        if not self._thread.is_alive():
            return
        left = min(self._stops_at - self._loop.time(), self._settings.shutdown)
        try:
            self._submit(self._tear_down()).result(max(left, 0) + _TEAR_DOWN_SECONDS)
        except TimeoutError:
            self._publish(NotGivenBack("TimeoutError"))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _submit(self, work: "Coroutine[Any, Any, T]") -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    # ------------------------------------------------------------------ in the loop

    async def _set_up(self) -> None:
        self._parts = self._wire(self._settings, self._publish, begun=self._under_way.set)
        for name, seconds, work in self._parts.duties(self._settings):
            self._background.append(asyncio.create_task(every(seconds, work, self._publish, doing=name)))

    async def _work_ahead(self, message_id: str, work: Work) -> dict[str, Any]:
        try:
            return await work()
        finally:
            # Celery may have let go of the message before its task began; then it comes again.
            self._loop.call_later(_EXPECTED_SECONDS, self._expected.pop, message_id, None)

    async def _drain(self) -> None:
        self._stops_at = min(self._stops_at, self._loop.time() + self._settings.shutdown)
        await self.dispatcher.drain(self._stops_at)

    async def _tear_down(self) -> None:
        try:
            await self._drain()
        except (RedisError, OSError) as error:
            self._publish(NotGivenBack(type(error).__name__))
        for task in self._background:
            task.cancel()
        await self._parts.close()


def _tune_the_interpreter() -> None:
    # Thousands of orders are alive at once and none of them is garbage: looking through them all the time costs a
    # sixth of a worker's CPU time.
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    # Celery's thread asks for the interpreter many times a message, and by default waits 5 ms each time while the loop's
    # is busy: other accounts' messages would wait for a bulk that is under way.
    sys.setswitchinterval(_SWITCH_SECONDS)
