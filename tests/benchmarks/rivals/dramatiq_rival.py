"""dramatiq with async actors, its threads waiting for one event loop, and results; bare, without them."""

import aiohttp
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from tests.benchmarks.rivals import call
from tests.benchmarks.rivals.sending import Sending, SyncSending

broker = RedisBroker(url=call.REDIS_URL)
broker.add_middleware(AsyncIO())
if not call.IS_BARE:
    broker.add_middleware(Results(backend=RedisBackend(url=call.REDIS_URL)))
dramatiq.set_broker(broker)
_clients: list[aiohttp.ClientSession] = []


@dramatiq.actor(**({} if call.IS_BARE else {"store_results": True, "result_ttl": call.RESULT_SECONDS * 1000}))
async def cancel(ucc: str, number: str) -> str:
    """Cancel one order."""
    if not _clients:
        _clients.append(call.session())
    return await call.cancel(_clients[0], ucc, number)


def sending() -> Sending:
    """Make the producer."""
    return SyncSending(cancel.send)
