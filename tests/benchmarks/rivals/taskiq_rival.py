"""taskiq with Redis streams, which acknowledge, or with a list, which does not."""

import os
from typing import Any

from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import ListQueueBroker, RedisStreamBroker

from tests.benchmarks.rivals import call
from tests.benchmarks.rivals.sending import AsyncSending, Sending

_kind: Any = ListQueueBroker if os.environ.get("BENCH_TASKIQ") == "list" else RedisStreamBroker
broker = _kind(call.REDIS_URL)


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
