"""How a rival's producer is driven: in bulk, and singly with pauses."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from tests.benchmarks.batch import Batch

__all__ = ["AsyncSending", "Orders", "Plain", "Sending", "SyncSending", "one_by_one"]

Orders = Sequence[tuple[str, str]]
_AT_ONCE = 50


class Sending(Protocol):
    """What a producer process asks of whoever enqueues."""

    def make(self, batch: Batch) -> Sequence[Any]:
        """Make the orders as the library wants them; this is not timed."""
        ...

    def bulk(self, orders: Any) -> None:
        """Enqueue them all, as fast as it goes."""
        ...

    def singles(self, orders: Any, pause_seconds: float) -> list[float]:
        """Enqueue them one by one with pauses; answer when each call began, by the monotonic clock."""
        ...


class Plain:
    """For libraries that know nothing of orders: account and number are all there is."""

    def make(self, batch: Batch) -> Orders:
        """See Sending."""
        return batch.orders


def one_by_one(send: Callable[[Any], object], orders: Sequence[Any], pause_seconds: float) -> list[float]:
    """Send with pauses; answer when each call began."""
    began = []
    for order, pause in zip(orders, _pauses(len(orders), pause_seconds), strict=True):
        time.sleep(pause)
        began.append(time.monotonic())
        send(order)
    return began


def _pauses(count: int, seconds: float) -> list[float]:
    """Uneven pauses of that mean: even ones may beat with somebody's timer. The same ones in every process."""
    dice = random.Random(7)
    return [dice.uniform(0.5, 1.5) * seconds for _ in range(count)]


class SyncSending(Plain):
    """For a library whose enqueue blocks."""

    def __init__(self, send: Callable[[str, str], object]) -> None:
        self._send = send

    def bulk(self, orders: Orders) -> None:
        """See Sending."""
        for ucc, number in orders:
            self._send(ucc, number)

    def singles(self, orders: Orders, pause_seconds: float) -> list[float]:
        """See Sending."""
        return one_by_one(lambda order: self._send(*order), orders, pause_seconds)


class AsyncSending(Plain):
    """For a library whose enqueue is awaited; a bulk keeps some of them in flight."""

    def __init__(self, connect: Callable[[], Awaitable[object]], send: Callable[[str, str], Awaitable[object]]) -> None:
        self._send = send
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(connect())

    def bulk(self, orders: Orders) -> None:
        """See Sending."""
        self._loop.run_until_complete(self._bulk(orders))

    def singles(self, orders: Orders, pause_seconds: float) -> list[float]:
        """See Sending."""
        return self._loop.run_until_complete(self._singles(orders, pause_seconds))

    async def _bulk(self, orders: Orders) -> None:
        for at in range(0, len(orders), _AT_ONCE):
            await asyncio.gather(*(self._send(*order) for order in orders[at : at + _AT_ONCE]))

    async def _singles(self, orders: Orders, pause_seconds: float) -> list[float]:
        began = []
        for (ucc, number), pause in zip(orders, _pauses(len(orders), pause_seconds), strict=True):
            await asyncio.sleep(pause)
            began.append(time.monotonic())
            await self._send(ucc, number)
        return began
