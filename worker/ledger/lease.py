"""The lease: this worker's right to hold orders, renewed by a heartbeat."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from neo_cancel.messages import new_id
from neo_cancel.order import Lane
from neo_cancel.scripts import ScriptCall
from worker.ledger.client import LedgerClient
from worker.ledger.held import Held
from worker.ledger.keys import WORKERS, taken_key
from worker.ledger.reconciliation import Reconciliation
from worker.ledger.steps import renew_call
from worker.ledger.uptime import uptime
from worker.observe.events import LeaseLost, LeaseTaken, Publish
from worker.orders.job import Job

__all__ = ["Lease", "Validity"]

_AT_ONCE: Final = 200


class Validity:
    """How long a lease certainly lasts, by this process's own `clock`. `seconds` is the lease's length."""

    def __init__(self, seconds: float, clock: Callable[[], float] = uptime) -> None:
        self.seconds, self.clock = seconds, clock
        self._until = self._steady_since = float("-inf")

    @property
    def is_taken(self) -> bool:
        """The ledger has the lease, valid or run out."""
        return self._until > float("-inf")

    @property
    def is_valid(self) -> bool:
        """The lease has certainly not run out."""
        return self.clock() < self._until

    @property
    def is_steady(self) -> bool:
        """The ledger has been there for a whole lease: it was renewed in time for so long."""
        return self.is_valid and self.clock() - self._steady_since >= self.seconds

    def renew(self, asked_at: float) -> None:
        """Count from `asked_at`, by the same clock: the server renewed the lease after that."""
        if self.is_taken and not self.is_valid:
            self._steady_since = asked_at
        self._until = asked_at + self.seconds

    def lose(self) -> None:
        """Have no lease any more."""
        self._until = float("-inf")


class Lease:
    """While it is valid, no other worker takes over the orders of this one.

    One per process; all methods belong to its event loop. A lost lease stays lost: this worker then holds nothing, calls
    `on_lost`, and goes on under a new id. `on_asked` is called with each held order for which more was
    asked: whether as risk, and until when, in seconds since the epoch (0: as before).
    """

    def __init__(
        self,
        ledger: LedgerClient,
        held: Held,
        reconciliation: Reconciliation,
        *,
        validity: Validity,
        on_lost: Callable[[], None],
        on_asked: Callable[[Job, bool, float], None],
        publish: Publish,
    ) -> None:
        self._ledger, self._held, self._reconciliation, self._validity = ledger, held, reconciliation, validity
        self._on_lost, self._on_asked, self._publish = on_lost, on_asked, publish
        self.worker = new_id()

    @property
    def seconds(self) -> float:
        """How long other workers wait before they take over from one that renews its lease no more."""
        return self._validity.seconds

    @property
    def is_valid(self) -> bool:
        """No other worker has taken over yet."""
        return self._validity.is_valid

    @property
    def may_reap(self) -> bool:
        """Leases that have run out may be reaped: the ledger was there long enough for every living worker to renew its own."""
        return self._validity.is_steady

    async def renew(self) -> None:
        """Take or renew the lease. Waits for a server that is away; an answer about a former id changes nothing."""
        asked_at, sent_at, worker = self._validity.clock(), uptime(), self.worker
        call = renew_call(worker, lease_ms=int(self.seconds * 1000), is_first=not self._validity.is_taken)
        server_ms, is_kept, count, *news = await self._ledger.call(call)
        self._ledger.learn_time(server_ms, asked_at=sent_at)
        if worker != self.worker:
            # Several tasks renewed at once, and another answer came first.
            return
        if not is_kept:
            self.lose()
            return
        if not self._validity.is_taken:
            self._publish(LeaseTaken(worker, os.getpid()))
        self._validity.renew(asked_at)
        for at, words in enumerate(news, start=1):
            self._tell(*words.decode().split(" "))
            if at % _AT_ONCE == 0:
                await asyncio.sleep(0)  # a bulk that is repeated is news of thousands of orders
        await self._reconciliation.compare(worker, count)

    def escalate(self, name: str) -> None:
        """Say that an order was asked for again as risk. For one that is not held this does nothing."""
        if (job := self._held.get(name)) is not None:
            self._on_asked(job, True, 0.0)

    def _tell(self, name: str, lane: str = Lane.RISK, until_ms: str = "0") -> None:
        if (job := self._held.get(name)) is not None:
            self._on_asked(job, lane == Lane.RISK, int(until_ms) / 1000)

    async def take(self, step: Callable[[str], ScriptCall]) -> Any:
        """Run a script that takes orders, made for the worker's id; again under a new id where the lease is lost meanwhile."""
        while True:
            while not self.is_valid:
                await self.renew()
            worker = self.worker
            answer = await self._ledger.call(step(worker))
            if worker != self.worker:
                continue
            if answer is not None:
                return answer
            self.lose()

    def lose(self) -> None:
        """Hold nothing any more: other workers may have taken over."""
        self._publish(LeaseLost(self.worker, len(self._held)))
        self.worker = new_id()
        self._validity.lose()
        self._held.clear()
        self._on_lost()

    async def sign_off(self) -> None:
        """End the lease: no other worker need wait until it runs out. Raises RedisError where the server is away.

        A worker that ends like this was killed by no order.
        """
        await self._ledger.run("DEL", taken_key(self.worker))
        await self._ledger.run("ZADD", WORKERS, 0, self.worker)
