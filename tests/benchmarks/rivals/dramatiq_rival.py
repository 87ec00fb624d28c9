"""dramatiq with async actors: its threads wait for one event loop."""

import aiohttp
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

from tests.benchmarks.rivals import call
from tests.benchmarks.rivals.sending import Sending, SyncSending

broker = RedisBroker(url=call.REDIS_URL)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
_clients: list[aiohttp.ClientSession] = []


@dramatiq.actor
async def cancel(ucc: str, number: str) -> None:
    """Cancel one order."""
    if not _clients:
        _clients.append(call.session())
    await call.cancel(_clients[0], ucc, number)


def sending() -> Sending:
    """Make the producer."""
    return SyncSending(cancel.send)
