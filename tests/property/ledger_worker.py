"""One worker process, as far as the ledger knows it, for the state machine."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import redis.asyncio

from neo_cancel.record import Status
from tests.property.ledger_names import A_LIFETIME, LANES, UCCS, WATCHED, WORKERS_LIVE
from worker.dispatch.intake import read_chunk
from worker.ledger.assembly import LedgerCallbacks, LedgerOptions, LedgerRoom
from worker.ledger.client import LedgerClient
from worker.ledger.keys import backlog_key
from worker.ledger.server import Server
from worker.ledger.sweep import Sweep
from worker.observe.events import publisher
from worker.orders.job import Job

__all__ = ["Worker"]

QUIET = publisher()


class Worker:
    """Its part of the ledger, and the jobs its tasks still work on, whatever the ledger thinks of that."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self.tasks: list[Job] = []
        self.written: dict[Job, asyncio.Future[bool]] = {}
        self.lost: list[str] = []
        self.now = 0.0
        self.client = LedgerClient(client, Server(), QUIET)
        self.room = LedgerRoom(
            self.client,
            LedgerOptions(lease=A_LIFETIME, gather=0, time_to_live=WORKERS_LIVE, watch_interval=A_LIFETIME, pickup=0),
            LedgerCallbacks(
                is_watched=lambda ucc, status: status in WATCHED,
                on_asked=self.on_asked,
                on_written=lambda job, is_ours: self.written.pop(job).set_result(is_ours),
                on_lost=self.on_lost,
            ),
            QUIET,
        )
        self.sweep = Sweep(
            self.client,
            self.room.claims._requeuer,
            SimpleNamespace(seconds=2.5, may_reap=True),
            clock=lambda: self.now,
            publish=QUIET,
        )

    @property
    def id(self) -> str:
        return self.room.lease.worker

    def on_asked(self, job: Job, is_risk: bool, until: float) -> None:
        if until > job.deadline_at and not job.is_watched:
            job.extend(until)
        if is_risk:
            job.escalate()

    def on_lost(self) -> None:
        self.tasks.clear()
        self.lost.append(self.id)

    async def take(self, message: bytes, *, at_most: int = 100) -> None:
        """Do what a message asks for: claim its orders, and look into the backlogs it names."""
        chunk = read_chunk(json.loads(json.loads(message)["body"])[0][0])
        if chunk.orders:
            most = dict.fromkeys(chunk.orders, at_most)
            self.tasks += (await self.room.claims.claim(chunk.lane, chunk.orders, most)).jobs
        await self.draw([chunk.lane], chunk.backlogs)

    async def draw(self, lanes: Any = LANES, uccs: Any = UCCS, *, at_most: int = 2) -> None:
        """Draw from all of these backlogs in one step."""
        backlogs = {backlog_key(lane, ucc): at_most for lane in lanes for ucc in uccs}
        if backlogs:
            for _, jobs in await self.room.claims.draw(backlogs):
                self.tasks += jobs

    async def finish(self, job: Job, status: Status) -> bool:
        job.status = status
        written = self.written[job] = asyncio.get_running_loop().create_future()
        self.room.writer.finish(job)
        return await written

    async def walk(self) -> int:
        """Walk over all records, let five seconds pass by its clock, and put back what has not moved."""
        await self.sweep.walk()
        self.now += 5.0
        return await self.sweep.put_back()
