"""Claims: orders that this worker takes from the ledger, and those that it gives back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from neo_cancel.enqueue import enqueue_call
from neo_cancel.namespace import Key
from neo_cancel.order import CancelOrder, Lane
from neo_cancel.parcels import Parcel
from neo_cancel.record import Status
from neo_cancel.scripts import HANDS_SECONDS
from worker.ledger.client import LedgerClient
from worker.ledger.held import Held
from worker.ledger.keys import BACKLOGS, backlog_key, place_of_backlog, taken_key
from worker.ledger.lease import Lease
from worker.ledger.records import WRITE_AT_MOST, Records
from worker.ledger.requeuer import Requeuer
from worker.ledger.steps import Asked, claim_call, draw_call, orphans_call, watch_call
from worker.ledger.writer import Writer
from worker.orders.job import Job, UnreadableRecordError

__all__ = ["Claims"]

_NOTHING_TO_DO: Final = b""
_MISSING: Final = b"missing"
_UNREADABLE: Final = b"unreadable"
_NO_RECORDS: Final = (_NOTHING_TO_DO, _MISSING, _UNREADABLE)


class Claims:
    """One per process; all methods belong to its event loop. What is taken is in `held` until it is written or given back.

    `ttl_seconds` is how long records live that are written here, for orders that came without one.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        lease: Lease,
        held: Held,
        *,
        records: Records,
        writer: Writer,
        requeuer: Requeuer,
        ttl_seconds: int,
    ) -> None:
        self._ledger, self._lease, self._held = ledger, lease, held
        self._records, self._writer, self._requeuer = records, writer, requeuer
        self._ttl_seconds = ttl_seconds
        self._has_suspects = False

    @property
    def _attended_ms(self) -> int:
        return int(self._lease.seconds * 1000)

    async def claim(
        self, lane: str, orders: Mapping[str, Sequence[CancelOrder]], at_most: Mapping[str, int]
    ) -> list[Job]:
        """Take the orders, given by account, that no worker holds. An order that the ledger does not know is written first.

        An order sent by hand has no record yet: writing it calls a worker again, so it is not claimed here. One whose record
        cannot be read is written anew likewise.
        Orders beyond what is taken of an account at most go into its backlog, except those that may have been sent: looking at
        them uses no turn and is the soonest way to learn what became of them. With `NOTHING` all of them go there. Orders that
        are held here already become urgent if the lane is risk.
        """
        asked = [
            Asked(ucc, [f"{ucc}:{order.order_number}" for order in some], at_most[ucc]) for ucc, some in orders.items()
        ]
        answers = await self._lease.take(lambda worker: claim_call(worker, lane, asked))
        everyone = [order for some in orders.values() for order in some]
        missing = [order for order, answer in zip(everyone, answers, strict=True) if answer in (_MISSING, _UNREADABLE)]
        if missing:
            # The queue that the message lay in decides: its orders need not name their lane.
            parcel = Parcel(lane, [replace(order, lane=lane) for order in missing])
            await self._ledger.call(enqueue_call(parcel, batch=None, ttl_seconds=self._ttl_seconds))
        names = [name for one in asked for name in one.names]
        values = dict(zip(names, answers, strict=True))
        jobs = await self._decoded({name: value for name, value in values.items() if value not in _NO_RECORDS})
        if lane == Lane.RISK:
            for job in jobs:
                self._lease.escalate(job.name)
        return [self._take(job, lane) for job in jobs if self._is_news(job)]

    async def draw(self, at_most: Mapping[Key, int]) -> list[tuple[int, list[Job]]]:
        """Take from each backlog, named by its key, at most so many orders: how many are left there, and what was taken."""
        answers = await self._lease.take(lambda worker: draw_call(worker, at_most, attended_ms=self._attended_ms))
        drawn: list[tuple[int, list[Job]]] = []
        for backlog, (left, *pairs) in zip(at_most, answers, strict=True):
            lane, _ = place_of_backlog(backlog)
            drawn.append((left, [self._take(job, lane) for job in await self._decoded(_by_name(pairs))]))
        return drawn

    async def claim_watched(self, at_most: int) -> list[Job]:
        """Take orders from the watch list that are due."""
        pairs = await self._lease.take(lambda worker: watch_call(worker, at_most=at_most))
        jobs = [self._take(job) for job in await self._decoded(_by_name(pairs))]
        for job in jobs:
            job.is_watched = True
        return jobs

    async def adopt_backlog(self, lanes: Iterable[str]) -> Key | None:
        """Take over a backlog of one of these lanes that no worker works on any more: its key, None where there is none."""
        found = await self._ledger.call(orphans_call(lanes, attended_ms=self._attended_ms))
        return backlog_key(*place_of_backlog(found.decode())) if found else None

    async def leave_backlogs(self, backlogs: Iterable[Key]) -> None:
        """Mark backlogs that this worker stops working on, so that another one adopts them at once. Raises RedisError."""
        if scores := [word for backlog in backlogs for word in (0, backlog)]:
            await self._ledger.run("ZADD", BACKLOGS, "XX", *scores)

    async def clear_suspects(self) -> None:
        """Clear the orders taken so far of suspicion: they did not kill this worker. Raises RedisError."""
        if self._has_suspects:
            self._has_suspects = False
            await self._ledger.run("DEL", taken_key(self._lease.worker))

    async def suspect(self, job: Job) -> None:
        """Make this order the only suspect if the worker dies now. Waits for a server that is away."""
        taken = taken_key(self._lease.worker)
        commands = (("DEL", taken), ("RPUSH", taken, job.name), ("EXPIRE", taken, HANDS_SECONDS))
        await self._ledger.retry_until_available(partial(self._ledger.run_all, commands))

    async def release(self, jobs: Iterable[Job]) -> None:
        """Give orders back unfinished, with what is known of them, so that another worker goes on at once.

        A watched order keeps its end; what its watch has sent and heard is written, and it is looked at again later.

        Final statuses that are being written are written first: their orders are not let go a second time.
        """
        await self._writer.flush()
        worker, ours = self._lease.worker, [job for job in jobs if self._held.holds(job)]
        held, watched = [job for job in ours if not job.is_watched], [job for job in ours if job.is_watched]
        for at in range(0, len(watched), WRITE_AT_MOST):
            await self._records.write_final(watched[at : at + WRITE_AT_MOST])
        for job in held:
            job.status = Status.WAITING
            job.document["waiting_for"] = "worker"
        for at in range(0, len(held), WRITE_AT_MOST):
            await self._records.write_progress(held[at : at + WRITE_AT_MOST])
        await self._requeuer.requeue(worker, [job.name for job in held], why="released")
        for job in ours:
            self._held.let_go(job)

    async def _decoded(self, values: Mapping[str, bytes]) -> list[Job]:
        """Read claimed records; one that cannot be read becomes a dead letter and holds up no other."""
        jobs: list[Job] = []
        for name, value in values.items():
            try:
                jobs.append(Job.decode(value, name))
            except UnreadableRecordError:
                await self._requeuer.unreadable.end(self._lease.worker, name)
        return jobs

    def _is_news(self, job: Job) -> bool:
        # A message that comes twice finds its orders held here already. They are new where the first answer was lost, or where a
        # producer asked again while the order was watched.
        mine = self._held.get(job.name)
        return mine is None or mine.fence < job.fence

    def _take(self, job: Job, lane: str = Lane.ROUTINE) -> Job:
        if job.enqueued_ms < self._ledger.restarted_ms:
            # The server may have lost the note that a cancel was sent.
            job.doubt()
        if lane == Lane.RISK:
            job.escalate()
        self._held.add(job)
        self._has_suspects = True
        return job


def _by_name(pairs: Sequence[bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
