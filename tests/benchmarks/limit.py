"""The limit: a bare aiohttp loop that only sends the cancels, as many at once as a worker."""

import asyncio
from collections.abc import Iterator

import aiohttp
import uvloop

from tests.benchmarks.rivals import call
from tests.benchmarks.rivals.sending import Orders, Plain, Sending

__all__ = ["sending"]


class _Loop(Plain):
    def __init__(self) -> None:
        # The loop our worker runs on: a slower one would make a lower limit.
        self._loop = uvloop.new_event_loop()
        self._client = self._loop.run_until_complete(self._open())

    async def _open(self) -> aiohttp.ClientSession:
        return call.session()

    def bulk(self, orders: Orders) -> None:
        """Send them all; returns when the last answer came."""
        self._loop.run_until_complete(self._bulk(orders))

    def singles(self, orders: Orders, pause_seconds: float) -> list[float]:
        """Is not measured: there is no queue."""
        raise NotImplementedError

    async def _bulk(self, orders: Orders) -> None:
        left = iter(orders)
        await asyncio.gather(*(self._send(left) for _ in range(call.AT_ONCE)))

    async def _send(self, left: Iterator[tuple[str, str]]) -> None:
        for ucc, number in left:
            async with self._client.post(call.url(ucc), data=call.body(number), headers=call.HEADERS) as response:
                await response.read()


def sending() -> Sending:
    """Make the loop, which is the whole system here."""
    return _Loop()
