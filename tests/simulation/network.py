"""Between processes and broker: calls arrive, are lost, late or answered by somebody else's reply."""

import asyncio
from itertools import count
from typing import Final, Protocol

from tests.simulation import wire
from tests.simulation.accounts import Request
from tests.simulation.book import Page
from tests.simulation.broker import Broker
from tests.simulation.dice import Dice
from tests.simulation.loop import ProcessLoop, World
from tests.simulation.meters import Read
from tests.simulation.wire import Answer, Meaning

__all__ = ["Network", "Observer"]

CANCEL_SECONDS: Final = 6.0
READ_SECONDS: Final = 8.0


class Observer(Protocol):
    """Who sees what a process sends and is given."""

    def sent(self, process: str, ucc: str, call: int, request: Request) -> None: ...

    def replied(self, process: str, ucc: str, call: int, number: str, answer: Answer) -> None: ...

    def read(self, process: str, ucc: str, number: str | None) -> Read: ...

    def page(self, process: str, ucc: str, page: Page, read: Read) -> None: ...


class Network:
    """Calls of all processes. A reply is handed to a process when that process runs: a standing one gets it later."""

    def __init__(self, world: World, broker: Broker, observer: Observer) -> None:
        self._world, self._broker, self._observer = world, broker, observer
        self._calls = count(1)

    def cancel(self, loop: ProcessLoop, process: str, ucc: str, request: Request) -> "asyncio.Future[Answer]":
        """Send a cancel. Silence is answered when the connection breaks or time is up."""
        call, account, habits = next(self._calls), self._broker.accounts[ucc], self._broker.habits
        number = request.number
        dice = account.by_number[number].dice
        self._observer.sent(process, ucc, call, request)
        reply: asyncio.Future[Answer] = asyncio.Future(loop=loop)

        def give(answer: Answer) -> None:
            if not reply.done():
                self._observer.replied(process, ucc, call, number, answer)
                reply.set_result(answer)

        def arrive() -> None:
            answer = self._broker.cancel(ucc, request, call)
            before, account.last = account.last, answer
            if before is not None and before.number != number and dice.chance(habits.surplus):
                answer = _read_by(number, before)
            if dice.chance(habits.lost_after):
                after(_silence_after(dice), wire.silence(number))
                return
            seconds = dice.between(0.5, 8.0) if dice.chance(habits.slow_reply) else dice.between(0.002, 0.02)
            after(seconds, answer) if seconds < CANCEL_SECONDS else after(CANCEL_SECONDS, wire.silence(number))

        def after(seconds: float, answer: Answer) -> None:
            self._world.call_later(seconds, loop.call_soon, give, answer)

        if dice.chance(habits.not_sent) or (account.trouble("cancel", self._world.now) and dice.chance(0.4)):
            after(dice.between(0.001, 2.0), wire.not_sent(number))
        elif dice.chance(habits.lost_before):
            after(_silence_after(dice), wire.silence(number))
        else:
            self._world.call_later(dice.between(0.001, 0.004), arrive)
        return reply

    def read(self, loop: ProcessLoop, process: str, ucc: str, token: str, number: str | None) -> "asyncio.Future[Page]":
        """Read the book, or one order. Silence as for a cancel."""
        habits = self._broker.habits
        dice = self._broker.dice_for_read(ucc, number)
        read = self._observer.read(process, ucc, number)
        reply: asyncio.Future[Page] = asyncio.Future(loop=loop)

        def give(page: Page) -> None:
            if not reply.done():
                self._observer.page(process, ucc, page, read)
                reply.set_result(page)

        def arrive() -> None:
            page = self._broker.read(ucc, token, number, dice)
            seconds = dice.between(0.3, 9.0) if dice.chance(habits.read_slow) else dice.between(0.003, 0.03)
            if not page.answer.status:
                seconds = READ_SECONDS if dice.chance(0.3) else dice.between(0.003, 0.1)
            if seconds >= READ_SECONDS:
                page, seconds = Page(wire.silence("")), READ_SECONDS
            self._world.call_later(seconds, loop.call_soon, give, page)

        self._world.call_later(dice.between(0.001, 0.004), arrive)
        return reply


def _silence_after(dice: Dice) -> float:
    return CANCEL_SECONDS if dice.chance(0.3) else dice.between(0.003, 0.1)


def _read_by(number: str, answer: Answer) -> Answer:
    """Say what another order's reply means to the caller: an "Ok" with a number of the same length is a stranger's."""
    if answer.meaning is Meaning.OK and b'"' + answer.number.encode() + b'"' in answer.body:
        return Answer(Meaning.STRANGER, answer.number, answer.status, answer.headers, answer.body)
    return answer
