"""Work that is done again and again in the background."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from worker.observe.events import InternalError, LedgerAway, Publish

__all__ = ["every"]


async def every(seconds: float, work: Callable[[], Awaitable[object]], publish: Publish, *, doing: str) -> None:
    """Do `work`, pause for so many seconds, and so on until cancelled. An error is published, and the next time comes.

    `doing` names the work in the event.
    """
    while True:
        try:
            await work()
        except (RedisError, OSError) as error:
            publish(LedgerAway(type(error).__name__, doing=doing))
        except Exception as error:  # noqa: BLE001 (a worker without heartbeat or recovery is no worker)
            publish(InternalError(repr(error), doing=doing))
        await asyncio.sleep(seconds)
