"""saq."""

from typing import Any

from saq import Queue

from tests.benchmarks.rivals import call
from tests.benchmarks.rivals.sending import AsyncSending, Sending

queue = Queue.from_url(call.REDIS_URL)


async def cancel(context: dict[str, Any], *, ucc: str, number: str) -> str:
    """Cancel one order."""
    return await call.cancel(context["client"], ucc, number)


async def _open(context: dict[str, Any]) -> None:
    context["client"] = call.session()


async def _close(context: dict[str, Any]) -> None:
    await context["client"].close()


settings = {
    "queue": queue,
    "functions": [cancel],
    "concurrency": call.AT_ONCE,
    "startup": _open,
    "shutdown": _close,
}


def sending() -> Sending:
    """Make the producer."""
    return AsyncSending(queue.connect, lambda ucc, number: queue.enqueue("cancel", ucc=ucc, number=number))
