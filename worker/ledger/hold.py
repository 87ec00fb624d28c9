"""What this worker holds in the ledger: its lease, its claims, and a writer that gathers many records into one step."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from redis.exceptions import RedisError

from neo_cancel.enqueue import enqueue_call
from neo_cancel.messages import CancelOrder, Lane, new_id
from neo_cancel.record import Status
from neo_cancel.scripts import ScriptCall
from worker.ledger.client import LedgerClient
from worker.ledger.keys import BACKLOGS, TAKEN_SECONDS, WORKERS, backlog_key, held_key, order_key, taken_key
from worker.ledger.requeuer import Requeuer
from worker.ledger.steps import (
    Entry,
    claim_call,
    draw_call,
    orphans_call,
    record_call,
    renew_call,
    watch_call,
)
from worker.observe.events import LeaseLost, LeaseTaken, LedgerAway, Publish
from worker.orders.job import Job

__all__ = ["Hold"]

WRITE_AT_MOST: Final = 200
_DAY_SECONDS: Final = 86_400
_IST_SECONDS: Final = 19_800
_EVENING_SECONDS: Final = 8 * 3600


class Hold:
    """The worker's hands. One per process; all methods belong to its event loop.

    `lease_seconds` is how long the others wait before they take over from a worker that says nothing. `gather_seconds` is the
    least time between two writes: what ends in between shares one. `is_watched` says of an account and a final status whether
    such an order is looked at again, `watch_seconds` later, until its trading day is over.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        requeuer: Requeuer,
        *,
        lease_seconds: float,
        gather_seconds: float,
        ttl_seconds: int,
        watch_seconds: float,
        is_watched: Callable[[str, Status], bool],
        on_lost: Callable[[], None],
        publish: Publish,
    ) -> None:
        self._ledger, self._requeuer, self._publish = ledger, requeuer, publish
        self._lease_seconds, self._gather_seconds = lease_seconds, gather_seconds
        self._ttl_seconds, self._on_lost = ttl_seconds, on_lost
        self._watch_seconds, self._is_watched = watch_seconds, is_watched
        self.worker = new_id()
        self.jobs: dict[str, Job] = {}
        self._valid_until = 0.0
        self._is_registered = self._has_taken = False
        self._noted: dict[Job, None] = {}
        self._noted_before: dict[Job, None] = {}
        self._ending: list[tuple[Job, Callable[[Job, bool], None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._next_write_at = 0.0
        self._mismatches = 0
        self._forgotten: frozenset[str] = frozenset()
        self._steady_since = float("-inf")

    @property
    def is_valid(self) -> bool:
        """The lease is certainly still ours."""
        return time.monotonic() < self._valid_until

    @property
    def may_reap(self) -> bool:
        """The ledger has been there for a whole lease: a worker whose lease ran out meanwhile had its chance to renew it."""
        return self.is_valid and time.monotonic() - self._steady_since >= self._lease_seconds

    # ------------------------------------------------------------------ the lease

    async def renew(self) -> list[str]:
        """Renew the lease and learn which orders became urgent. Calls `on_lost` when somebody may have taken over."""
        before, worker = time.monotonic(), self.worker
        server_ms, kept, held, *urgent = await self._ledger.call(
            renew_call(worker, lease_ms=int(self._lease_seconds * 1000), is_first=not self._is_registered)
        )
        self._ledger.learn_time(server_ms)
        if worker != self.worker:
            # Every claim that finds the lease run out asks: the first answer was heard, and we go by another name since.
            return []
        if not kept:
            self._lose()
            return []
        if self._is_registered and not self.is_valid:
            self._steady_since = before
        if not self._is_registered:
            self._publish(LeaseTaken(self.worker, os.getpid()))
        self._is_registered = True
        self._valid_until = before + self._lease_seconds
        await self._put_back_forgotten(held)
        return [name.decode() for name in urgent]

    def _lose(self) -> None:
        self._publish(LeaseLost(self.worker, len(self.jobs)))
        self.worker = new_id()
        self._is_registered = False
        self._valid_until = 0.0
        self.jobs.clear()
        self._noted.clear()
        self._noted_before.clear()
        ending, self._ending = self._ending, []
        for job, written in ending:
            written(job, False)
        self._on_lost()

    async def _put_back_forgotten(self, held: int) -> None:
        """Give back what the ledger thinks we hold and we do not: an answer was lost on its way to us.

        Claims and writes under way differ for a moment, so only what is missing at two looks counts.
        """
        self._mismatches = self._mismatches + 1 if held != len(self.jobs) else 0
        if self._mismatches < 2:  # noqa: PLR2004
            self._forgotten = frozenset()
            return
        names: Any = await self._ledger.run("SMEMBERS", held_key(self.worker))
        missing = frozenset(name.decode() for name in names if name.decode() not in self.jobs)
        await self._requeuer.requeue(self.worker, sorted(missing & self._forgotten), why="died")
        self._forgotten = missing - self._forgotten

    async def sign_off(self) -> None:
        """End the lease: nobody need wait for it to run out."""
        await self._ledger.run("ZADD", WORKERS, 0, self.worker)

    # ------------------------------------------------------------------ claims

    async def claim(self, lane: str, orders: Sequence[CancelOrder], *, at_most: int) -> list[Job]:
        """Take the orders of one account that nobody holds. An order that the ledger does not know is written first.

        What was sent by hand comes without a record: writing it calls a worker again, so nothing is claimed for it here.
        Those beyond `at_most` go into the account's backlog, but for what may have been sent: a look at it takes no turn, and
        nobody can know sooner. With `NOTHING` all of them go there.
        """
        ucc = orders[0].ucc
        names = [f"{ucc}:{order.order_number}" for order in orders]
        answers = await self._take_part(lambda worker: claim_call(worker, lane, ucc, names, at_most=at_most))
        missing = [order for order, answer in zip(orders, answers, strict=True) if answer == b"missing"]
        if missing:
            # The queue somebody chose by hand is a word, too: an order need not say its lane again.
            ours = [replace(order, lane=lane) for order in missing]
            await self._ledger.call(enqueue_call(ours, batch=None, ttl_seconds=self._ttl_seconds))
        jobs = [Job.decode(answer) for answer in answers if answer not in (b"", b"missing")]
        # A message that came twice finds its orders in our own hands, unless the first claim's answer never reached us or a
        # producer asked again while we watched.
        fresh = [self._take(job) for job in jobs if job.name not in self.jobs or self.jobs[job.name].fence < job.fence]
        for job in fresh if lane == Lane.RISK else ():
            job.lane = job.document["lane"] = Lane.RISK.value
        return fresh

    async def draw(self, backlog: str, at_most: int) -> tuple[int, list[Job]]:
        """Take orders from a backlog: how many are left there, and what was taken."""
        worry_ms = int(self._lease_seconds * 1000)
        left, *values = await self._take_part(
            lambda worker: draw_call(worker, backlog, at_most=at_most, worry_ms=worry_ms)
        )
        jobs = [self._take(Job.decode(value)) for value in values]
        for job in jobs if backlog.startswith(backlog_key(Lane.RISK, "")) else ():
            job.lane = job.document["lane"] = Lane.RISK.value
        return left, jobs

    async def orphaned_backlog(self, lanes: Iterable[str]) -> str | None:
        """Take over a backlog of one of these lanes that nobody works on any more."""
        found = await self._ledger.call(orphans_call(lanes, worry_ms=int(self._lease_seconds * 1000)))
        return found.decode() if found else None

    async def claim_watched(self, at_most: int) -> list[Job]:
        """Take orders from the watch list that are due."""
        taken = await self._take_part(lambda worker: watch_call(worker, at_most=at_most))
        jobs = [self._take(Job.decode(value)) for value in taken]
        for job in jobs:
            job.is_watched = True
        return jobs

    def _take(self, job: Job) -> Job:
        if job.enqueued_ms < self._ledger.restarted_ms:
            # The server lost what it knew last, perhaps that we had sent already.
            job.doubt()
        self.jobs[job.name] = job
        self._has_taken = True
        return job

    async def _take_part(self, step: Callable[[str], ScriptCall]) -> Any:
        """Run a script that takes orders, and again under a new name where the lease was lost before its answer came."""
        while True:
            while not self.is_valid:
                await self.renew()
            worker = self.worker
            answer = await self._ledger.call(step(worker))
            if answer is not None and worker == self.worker:
                return answer
            if worker == self.worker:
                self._lose()

    async def clear_suspects(self) -> None:
        """Say that what was taken so far did not kill this worker: fewer are suspected when something else does."""
        if self._has_taken:
            self._has_taken = False
            await self._ledger.run("DEL", taken_key(self.worker))

    async def suspect(self, job: Job) -> None:
        """Say that if this worker dies now, this order is to blame. Returns when it is written, whatever it takes."""
        taken = taken_key(self.worker)
        commands = (("DEL", taken), ("RPUSH", taken, job.name), ("EXPIRE", taken, TAKEN_SECONDS))
        await self._ledger.retry_until_available(partial(self._ledger.run_all, commands))

    async def leave_backlogs(self, backlogs: Iterable[str]) -> None:
        """Say that nobody works on these backlogs: another worker need not wait until it worries."""
        if scores := [word for backlog in backlogs for word in (0, backlog)]:
            await self._ledger.run("ZADD", BACKLOGS, "XX", *scores)

    # ------------------------------------------------------------------ records

    def note(self, job: Job, status: Status, waiting_for: str | None = None) -> None:
        """Remember where an order stands; the next but one `write_notes` writes where it stands then."""
        if job.is_watched:  # it has ended, and keeps saying how
            return
        job.status = status
        job.update(waiting_for=waiting_for)
        if job not in self._noted_before:
            self._noted[job] = None

    async def write_notes(self) -> None:
        """Write where orders stand that had something to note before the last call, for whoever asks."""
        # What began to wait a moment ago will mostly be final a moment later: writing that would be a third of all writes.
        noted, self._noted_before, self._noted = list(self._noted_before), self._noted, {}
        for at in range(0, len(noted), WRITE_AT_MOST):
            # Asked anew for each write: one that ended meanwhile is written by `finish`, which also tells who waits.
            held = [job for job in noted[at : at + WRITE_AT_MOST] if self.jobs.get(job.name) is job]
            if jobs := [job for job in held if not job.is_final]:
                await self._write(jobs, owner=self.worker, looks=None)

    def finish(self, job: Job, written: Callable[[Job, bool], None]) -> None:
        """Write a final status soon, whatever it takes; then call `written`, with False where somebody newer owns the order."""
        self._ending.append((job, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_endings())

    async def _write_endings(self) -> None:
        loop = asyncio.get_running_loop()
        while self._ending:
            if (pause := self._next_write_at - loop.time()) > 0:
                await asyncio.sleep(pause)
            self._next_write_at = loop.time() + self._gather_seconds
            some, self._ending = self._ending[:WRITE_AT_MOST], self._ending[WRITE_AT_MOST:]
            if not some:
                return
            try:
                answers = await self._write([job for job, _ in some], owner=None, looks=self._watch_at)
            except (RedisError, OSError) as error:
                # The truth must not be lost: keep it until the server is back.
                self._publish(LedgerAway(type(error).__name__, doing="final statuses", orders=len(some)))
                self._ending = [*some, *self._ending]
                await asyncio.sleep(0.2)
                continue
            for (job, written), answer in zip(some, answers, strict=True):
                self._let_go(job)
                written(job, bool(answer))

    def _let_go(self, job: Job) -> None:
        if self.jobs.get(job.name) is job:
            del self.jobs[job.name]
        self._noted.pop(job, None)
        self._noted_before.pop(job, None)

    def _watch_at(self, job: Job) -> int | str:
        if not self._is_watched(job.ucc, job.status) or self.day_is_over(job):
            return ""
        return int((self._ledger.now() + self._watch_seconds) * 1000)

    def day_is_over(self, job: Job) -> bool:
        """Nobody need look at the order any more."""
        return self._ledger.now() > trading_day_end(job.enqueued_ms / 1000)

    async def _write(
        self, jobs: Sequence[Job], *, owner: str | None, looks: Callable[[Job], int | str] | None
    ) -> list[int]:
        entries = [
            Entry(order_key(job.ucc, job.order_number), job.fence, job.encode(owner), looks(job) if looks else "")
            for job in jobs
        ]
        call = record_call(self.worker, entries, ttl_seconds=self._ttl_seconds)
        answers: list[int] = await self._ledger.call(call)
        return answers

    # ------------------------------------------------------------------ giving back

    async def release(self, jobs: Sequence[Job]) -> None:
        """Let orders go unfinished, with what is known of them, so that another worker goes on at once.

        Final statuses that are being written are written first: their orders are not let go a second time.
        """
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])
        worker, jobs = self.worker, [job for job in jobs if self.jobs.get(job.name) is job]
        for job in jobs:
            job.status = Status.WAITING
            job.document["waiting_for"] = "worker"
        for at in range(0, len(jobs), WRITE_AT_MOST):
            await self._write(jobs[at : at + WRITE_AT_MOST], owner=worker, looks=None)
        await self._requeuer.requeue(worker, [job.name for job in jobs], why="released")
        for job in jobs:
            self._let_go(job)


def trading_day_end(accepted_at: float) -> float:
    """When nobody need look at an order any more: midnight in India after the session it belongs to.

    A cancel asked for after 16:00 IST is mostly for an after-market order, which works on the next day.
    """
    local = accepted_at + _IST_SECONDS + _EVENING_SECONDS
    return (local // _DAY_SECONDS + 1) * _DAY_SECONDS - _IST_SECONDS
