"""taskiq: Redis streams, which acknowledge, and results; bare, a list and none."""

from typing import Any

from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from tests.benchmarks.rivals import call
from tests.benchmarks.rivals.sending import AsyncSending, Sending


def _broker() -> Any:
    if call.IS_BARE:
        return ListQueueBroker(call.REDIS_URL)
    results: Any = RedisAsyncResultBackend(call.REDIS_URL, result_ex_time=call.RESULT_SECONDS)
    return RedisStreamBroker(call.REDIS_URL).with_result_backend(results)


broker = _broker()


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def _open(state: TaskiqState) -> None:
    state.client = call.session()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def _close(state: TaskiqState) -> None:
    await state.client.close()


@broker.task
async def cancel(ucc: str, number: str) -> str:
    """Cancel one order."""
    return await call.cancel(broker.state.client, ucc, number)


def sending() -> Sending:
    """Make the producer."""
    return AsyncSending(broker.startup, cancel.kiq)
