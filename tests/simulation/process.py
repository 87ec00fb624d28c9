"""One simulated worker process: its lease, what it claims, the worker it runs, and the ways it can come to grief."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.simulation.accounts import Request
from tests.simulation.broker import Broker
from tests.simulation.history import History
from tests.simulation.ledger import LEASE_SECONDS, Ledger
from tests.simulation.loop import World
from tests.simulation.network import Network
from tests.simulation.rate import SharedRate
from tests.simulation.records import Claim, Ending
from tests.simulation.server import Server
from tests.simulation.truth import EPOCH
from tests.simulation.wire import Answer

__all__ = ["Process", "Surroundings", "Witnesses", "Worker"]

_GATHER_SECONDS: Final = 0.01
_WATCHED_AT_ONCE: Final = 100
_STOP_SECONDS: Final = 8.0


class Worker(Protocol):
    """What is judged: it takes claims and says how they ended through `Process.ended`. See tests/simulation/worker.py."""

    def take(self, claim: Claim) -> None: ...

    def watch(self, claim: Claim, *, may_send: bool) -> None: ...

    def escalate(self, ucc: str, number: str) -> None: ...

    def abandon(self) -> None: ...

    async def stop(self, at: float) -> None: ...

    def release(self, claim: Claim) -> Ending: ...


class Witnesses(Protocol):
    """Who must know what a process holds and what it says."""

    def claimed(self, process: str, claim: Claim) -> None: ...

    def let_go(self, process: str, claim: Claim) -> None: ...

    def ended(self, process: str, ending: Ending) -> None: ...

    def wrong(self, process: str, number: str, what: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all processes of a run share."""

    world: World
    server: Server
    ledger: Ledger
    network: Network
    broker: Broker
    rate: SharedRate
    judge: Witnesses
    history: History
    make_worker: "Callable[[Process], Worker]"


class Process:
    """A process and its memory; all of it is gone when it dies. It goes by another name after it lost its lease.

    It stands for the whole of a worker process but the orders (lease, claims, writer, watch), hence its many attributes.
    """

    def __init__(self, name: str, around: Surroundings) -> None:
        self.name, self.rate, self._around = name, around.rate, around
        self._world, self._ledger, self.loop = around.world, around.ledger, around.world.process()
        self._lives = 0
        self.worker_id = name
        self._valid_until = 0.0
        self._is_registered = self._is_stopping = self._is_writing = False
        self._held: dict[str, Claim] = {}
        self._ending: list[Ending] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self.loop.call_soon(self._start)

    # ------------------------------------------------------------------ what the worker asks for

    def clock(self) -> float:
        """Seconds since the epoch, by the ledger."""
        return EPOCH + self._world.now

    def is_entitled(self) -> bool:
        """The lease is certainly still ours."""
        return self._world.now < self._valid_until

    def token(self, ucc: str) -> str | None:
        """Read the accounts file: the session that the login job wrote last, None without one."""
        return self._around.broker.accounts[ucc].token(self._world.now)

    def cancel(self, ucc: str, request: Request) -> "asyncio.Future[Answer]":
        return self._around.network.cancel(self.loop, self.name, ucc, request)

    def read(self, ucc: str, token: str, number: str | None) -> "asyncio.Future[Any]":
        return self._around.network.read(self.loop, self.name, ucc, token, number)

    def ended(self, ending: Ending) -> None:
        """Write a final status soon; see Hold.finish."""
        if self.loop.is_dead:
            return
        number = ending.claim.order.number
        if self._ledger.records[number].fence == ending.claim.fence:
            self._around.judge.ended(self.name, ending)
        else:  # another process has taken the order over, and the ledger will not take this word
            self._around.judge.let_go(self.name, ending.claim)
        self._around.history.add(
            self._world.now, self.name, number, "ends", ending.status, f"verified={ending.verified}", ending.code
        )
        self._ending.append(ending)
        if not self._is_writing:
            self._is_writing = True
            self._spawn(self._write())

    def wrong(self, number: str, what: str) -> None:
        """Hear of a mistake of the worker's own."""
        if not self.loop.is_dead:
            self._around.judge.wrong(self.name, number, what)

    # ------------------------------------------------------------------ what happens to it

    def deliver(self, ucc: str, numbers: Sequence[str]) -> None:
        """Get a message: it waits while the process stands still, and is lost when it is dead."""
        self.loop.call_soon(self._claim, numbers)

    def kill(self) -> None:
        self._around.history.add(self._world.now, self.name, "", "dies")
        self.loop.kill()

    def pause(self, seconds: float) -> None:
        if not self.loop.is_dead:
            self._around.history.add(self._world.now, self.name, "", "stands still", seconds)
            self.loop.pause()
            self._world.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if not self.loop.is_dead:
            self._around.history.add(self._world.now, self.name, "", "goes on")
            self.loop.resume()

    def stop(self) -> None:
        """Ask it to end as SIGTERM does: what it holds is given back."""
        self.loop.call_soon(self._spawn_stop)

    # ------------------------------------------------------------------ inside

    def _spawn(self, work: Any) -> None:
        self._tasks.append(self.loop.create_task(work))

    def _start(self) -> None:
        self._worker = self._around.make_worker(self)
        self._spawn(self._heartbeat())
        self._spawn(self._watch())

    async def _heartbeat(self) -> None:
        while True:
            await self._renew()
            await asyncio.sleep(LEASE_SECONDS / 3)

    async def _renew(self) -> None:
        before, worker, is_first = self._world.now, self.worker_id, not self._is_registered
        urgent = await self._around.server.ask(lambda: self._ledger.renew(worker, self, is_first=is_first))
        if urgent is None:
            self._lose()
            return
        self._is_registered, self._valid_until = True, before + LEASE_SECONDS
        for order in urgent:
            self._worker.escalate(order.ucc, order.number)

    def _lose(self) -> None:
        self._around.history.add(self._world.now, self.name, "", "lost lease", self.worker_id)
        self._lives += 1
        self.worker_id = f"{self.name}+{self._lives}"
        self._is_registered, self._valid_until = False, 0.0
        for claim in self._held.values():
            self._around.judge.let_go(self.name, claim)
        self._held.clear()
        self._ending.clear()
        self._worker.abandon()

    def _claim(self, numbers: Sequence[str]) -> None:
        if not self._is_stopping:
            self._spawn(self._claim_all(numbers))

    async def _claim_all(self, numbers: Sequence[str]) -> None:
        worker = self.worker_id
        claims = await self._around.server.ask(lambda: self._ledger.claim(worker, numbers))
        self._begin(worker, claims)

    def _begin(self, worker: str, claims: list[Claim] | None) -> None:
        if worker != self.worker_id or self._is_stopping:
            return  # what was claimed under another name is not ours any more
        if claims is None:
            if self._is_registered:
                self._lose()
            return
        for claim in claims:
            self._held[claim.order.number] = claim
            self._around.judge.claimed(self.name, claim)
            if claim.is_watched:
                self._worker.watch(claim, may_send=not claim.is_day_over)
            else:
                self._worker.take(claim)

    async def _watch(self) -> None:
        while not self._is_stopping:
            if self._is_registered:
                worker = self.worker_id
                claims = await self._around.server.ask(lambda: self._ledger.claim_watched(worker, _WATCHED_AT_ONCE))
                self._begin(worker, claims)
            await asyncio.sleep(1.0)

    async def _write(self) -> None:
        while self._ending:
            await asyncio.sleep(_GATHER_SECONDS)
            some, self._ending, worker = self._ending, [], self.worker_id
            if some:
                await self._around.server.ask(lambda: self._ledger.finish(worker, some))
                for ending in some:
                    self._forget(ending.claim)
        self._is_writing = False

    def _forget(self, claim: Claim) -> None:
        if self._held.get(claim.order.number) is claim:
            del self._held[claim.order.number]

    def _spawn_stop(self) -> None:
        self._spawn(self._stop())

    async def _stop(self) -> None:
        self._is_stopping = True
        self._around.history.add(self._world.now, self.name, "", "stops")
        await self._worker.stop(self._world.now + _STOP_SECONDS)
        while self._is_writing:
            await asyncio.sleep(_GATHER_SECONDS)
        worker, held = self.worker_id, list(self._held.values())
        endings = [self._worker.release(claim) for claim in held]
        for claim in held:
            self._around.judge.let_go(self.name, claim)
        await self._around.server.ask(lambda: self._ledger.release(worker, endings))
        await self._around.server.ask(lambda: self._ledger.sign_off(worker))
        self.loop.kill()
