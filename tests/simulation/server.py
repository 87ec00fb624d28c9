"""The ledger's server on the network: what a process asks of it takes time, and more while it is away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tests.simulation.dice import Dice
from tests.simulation.loop import World

__all__ = ["Server"]

T = TypeVar("T")


class Server:
    """One server on the network: it answers each question within a millisecond, but for when it is away."""

    def __init__(self, world: World, dice: Dice, away: Sequence[tuple[float, float]]) -> None:
        self._world, self._dice, self._away = world, dice, away

    def ask(self, step: Callable[[], T]) -> Awaitable[T]:
        """Have the server carry out a step, and wait for what it answers. A server that is away answers when it is back."""
        loop: Any = asyncio.get_running_loop()
        answer: asyncio.Future[T] = asyncio.Future(loop=loop)

        def give(result: T) -> None:
            if not answer.done():
                answer.set_result(result)

        def arrive() -> None:
            self._world.call_later(self._latency(), loop.call_soon, give, step())

        at = self._world.now + self._latency()
        for start, end in self._away:
            at = end if start <= at < end else at
        self._world.call_at(at, arrive)
        return answer

    def _latency(self) -> float:
        return self._dice.between(0.005, 0.04) if self._dice.chance(0.01) else self._dice.between(0.0001, 0.0006)
