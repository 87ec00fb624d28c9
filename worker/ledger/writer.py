"""Final statuses: many orders in one write, repeated until the ledger has them."""

import asyncio
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from worker.ledger.held import Held
from worker.ledger.notes import Notes
from worker.ledger.records import WRITE_AT_MOST, Records
from worker.observe.events import LedgerAway, Publish
from worker.orders.job import Job

__all__ = ["Writer"]

_LATER_SECONDS: Final = 0.2


class Writer:
    """One per process; all methods belong to its event loop.

    `gather_seconds` is the least time between two writes: what ends in between shares one. `on_written` is called once an
    order's final status is in the ledger, with False where a newer owner has the order; the order is not held any more then.
    """

    def __init__(
        self,
        records: Records,
        held: Held,
        notes: Notes,
        *,
        gather_seconds: float,
        on_written: Callable[[Job, bool], None],
        publish: Publish,
    ) -> None:
        self._records, self._held, self._notes = records, held, notes
        self._gather_seconds, self._on_written, self._publish = gather_seconds, on_written, publish
        self._ending: list[Job] = []
        self._writing: asyncio.Task[None] | None = None
        self._next_write_at = 0.0

    def finish(self, job: Job) -> None:
        """Write the order's final status soon, whatever it takes, and call `on_written`."""
        self._ending.append(job)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())

    async def flush(self) -> None:
        """Return when everything is written that has ended so far."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])

    def drop(self) -> None:
        """Write nothing more of what has ended: the lease is lost, and other workers own the orders. Each is called back."""
        ending, self._ending = self._ending, []
        for job in ending:
            self._on_written(job, False)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._ending:
            if (pause := self._next_write_at - loop.time()) > 0:
                await asyncio.sleep(pause)
            self._next_write_at = loop.time() + self._gather_seconds
            some, self._ending = self._ending[:WRITE_AT_MOST], self._ending[WRITE_AT_MOST:]
            if some and not await self._write(some):
                # The truth must not be lost: it is kept until the server takes it.
                self._ending = [*some, *self._ending]
                await asyncio.sleep(_LATER_SECONDS)

    async def _write(self, jobs: list[Job]) -> bool:
        try:
            answers = await self._records.write_final(jobs)
        except (RedisError, OSError) as error:
            self._publish(LedgerAway(type(error).__name__, doing="final statuses", orders=len(jobs)))
            return False
        for job, is_ours in zip(jobs, answers, strict=True):
            self._held.let_go(job)
            self._notes.forget(job)
            self._on_written(job, is_ours)
        return True
