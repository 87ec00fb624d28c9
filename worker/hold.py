"""What this worker holds in the ledger: its lease, its claims, and a writer that gathers many records into one step."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from neo_cancel.bulk import keys_of
from neo_cancel.ledger import (
    EVENTS,
    EVENTS_KEPT,
    RISK_QUEUED,
    ROUTINE_QUEUED,
    WATCH,
    WORKERS,
    ScriptCall,
    enqueue_call,
    held_key,
    load_script,
    order_key,
    requeue_call,
    urgent_key,
)
from neo_cancel.messages import CHUNK_SIZE, CancelOrder, Lane, new_id
from neo_cancel.record import Status
from worker.cancel import Log
from worker.job import Job

if TYPE_CHECKING:
    import redis.asyncio

__all__ = ["Hold"]

WRITE_AT_MOST: Final = 200
_LATER_SECONDS: Final = 2.0
_DAY_SECONDS: Final = 86_400
_IST_SECONDS: Final = 19_800
_EVENING_SECONDS: Final = 8 * 3600


class Hold:
    """The worker's hands. One per process; all methods belong to its event loop.

    `lease_seconds` is how long the others wait before they take over from a worker that says nothing. `gather_seconds` is the
    least time between two writes: what ends in between shares one.
    """

    def __init__(
        self,
        redis: "redis.asyncio.Redis",
        *,
        lease_seconds: float,
        gather_seconds: float,
        ttl_seconds: int,
        watch_seconds: float,
        on_lost: Callable[[], None],
        log: Log,
    ) -> None:
        self._redis, self._log = redis, log
        self._lease_seconds, self._gather_seconds = lease_seconds, gather_seconds
        self._ttl_seconds, self._watch_seconds, self._on_lost = ttl_seconds, watch_seconds, on_lost
        self.worker = new_id()
        self.jobs: dict[str, Job] = {}
        self._valid_until = 0.0
        self._is_registered = False
        self._offset = 0.0
        self._dirty: dict[str, Job] = {}
        self._ending: list[tuple[Job, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._next_write_at = 0.0
        self._run_id: str | None = None
        self._restarted_ms = 0
        self._mismatches = 0

    def now(self) -> float:
        """Seconds since the epoch by the server's clock, which all workers and records share."""
        return time.time() + self._offset

    @property
    def is_valid(self) -> bool:
        """The lease is certainly still ours."""
        return time.monotonic() < self._valid_until

    # ------------------------------------------------------------------ the lease

    async def renew(self) -> list[str]:
        """Renew the lease and learn which orders became urgent. Calls `on_lost` when somebody may have taken over."""
        before = time.monotonic()
        server_ms, kept, held, *urgent = await self.call(
            ScriptCall(
                "renew",
                [WORKERS, held_key(self.worker), urgent_key(self.worker)],
                [self.worker, int(self._lease_seconds * 1000), int(not self._is_registered)],
            )
        )
        self._offset = server_ms / 1000 - time.time()
        if not kept:
            self._lose()
            return []
        self._is_registered = True
        self._valid_until = before + self._lease_seconds
        await self._notice_restart()
        await self._put_back_forgotten(held)
        return [name.decode() for name in urgent]

    def _lose(self) -> None:
        self._log.error(
            "lease lost: orders are left to other workers", worker=self.worker, orders=len(self.jobs), to_do="none"
        )
        self.worker = new_id()
        self._is_registered = False
        self._valid_until = 0.0
        self.jobs.clear()
        self._dirty.clear()
        for _, written in self._ending:
            if not written.done():
                written.set_result(False)
        self._ending.clear()
        self._on_lost()

    async def _notice_restart(self) -> None:
        about: Any = await self._redis.info("server")
        run_id = str(about["run_id"])
        if run_id != self._run_id:
            uptime = 0 if self._run_id else int(about["uptime_in_seconds"])
            self._run_id, self._restarted_ms = run_id, int(self.now() * 1000) - uptime * 1000

    async def _put_back_forgotten(self, held: int) -> None:
        """Give back what the ledger thinks we hold and we do not: a restarted server may have lost its last writes."""
        self._mismatches = self._mismatches + 1 if held != len(self.jobs) else 0
        if self._mismatches < 3:  # noqa: PLR2004 (claims and writes under way differ for a moment)
            return
        self._mismatches = 0
        names: Any = await self._redis.smembers(held_key(self.worker))  # pyright: ignore[reportGeneralTypeIssues]
        await self.requeue(
            self.worker, [name.decode() for name in names if name.decode() not in self.jobs], crashed=True
        )

    async def sign_off(self) -> None:
        """End the lease: nobody need wait for it to run out."""
        await self._redis.zadd(WORKERS, {self.worker: 0})

    # ------------------------------------------------------------------ claims

    async def claim(self, lane: str, orders: Sequence[CancelOrder]) -> list[Job]:
        """Take the orders of one account that nobody holds. An order that the ledger does not know is written first.

        What was sent by hand comes without a record: writing it calls a worker again, so nothing is claimed for it here.
        """
        await self._until_valid()
        keys = [order_key(order.ucc, order.order_number) for order in orders]
        worker = self.worker
        answers = await self.call(
            ScriptCall("claim", [held_key(worker), RISK_QUEUED, ROUTINE_QUEUED, *keys], [worker, lane])
        )
        missing = [order for order, answer in zip(orders, answers, strict=True) if answer == b"missing"]
        if missing:
            await self.call(enqueue_call(missing, batch=None, ttl_seconds=self._ttl_seconds))
        jobs = [Job.decode(answer) for answer in answers if answer not in (b"", b"missing")]
        # A message that came twice finds its orders in our own hands, unless the first claim's answer never reached us.
        fresh = [self._take(job) for job in jobs if job.name not in self.jobs]
        for job in fresh if lane == Lane.RISK else ():
            job.lane = job.document["lane"] = Lane.RISK.value
        return fresh

    async def claim_watched(self, at_most: int) -> list[Job]:
        """Take orders from the watch list that are due."""
        await self._until_valid()
        taken = await self.call(ScriptCall("watch", [held_key(self.worker), WATCH], [self.worker, at_most]))
        jobs = [self._take(Job.decode(value)) for value in taken]
        for job in jobs:
            job.is_watched = True
        return jobs

    def _take(self, job: Job) -> Job:
        if job.enqueued_ms < self._restarted_ms:
            # The server lost what it knew last, perhaps that we had sent already.
            job.maybe_sent = True
        self.jobs[job.name] = job
        return job

    async def _until_valid(self) -> None:
        while not self.is_valid:
            await self.renew()

    # ------------------------------------------------------------------ records

    def note(self, job: Job, status: Status, waiting_for: str | None = None) -> None:
        """Remember where an order stands; it is written with the next heartbeat if it still stands there."""
        if job.is_watched:  # it has ended, and keeps saying how
            return
        job.status = status
        job.say(waiting_for=waiting_for)
        self._dirty[job.name] = job

    async def write_notes(self) -> None:
        """Write the states of orders that are under way, for whoever asks."""
        # What began to wait a moment ago will mostly be final a moment later.
        jobs = [job for name, job in self._dirty.items() if name in self.jobs and not job.is_final]
        self._dirty.clear()
        for at in range(0, len(jobs), WRITE_AT_MOST):
            await self._write(jobs[at : at + WRITE_AT_MOST], owner=self.worker, looks=None)

    async def finish(self, job: Job) -> bool:
        """Write a final status; False when somebody newer owns the order. Returns when it is written, whatever it takes."""
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ending.append((job, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_endings())
        return await written

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
                self._log.error(
                    "ledger not writable", error=type(error).__name__, orders=len(some), to_do="check Redis"
                )
                self._ending = [*some, *self._ending]
                await asyncio.sleep(0.2)
                continue
            for (job, written), answer in zip(some, answers, strict=True):
                self._let_go(job)
                if not written.done():
                    written.set_result(bool(answer))

    def _let_go(self, job: Job) -> None:
        if self.jobs.get(job.name) is job:
            del self.jobs[job.name]
        self._dirty.pop(job.name, None)

    def _watch_at(self, job: Job) -> int | str:
        if job.status is not Status.UNKNOWN or self.now() > trading_day_end(job.enqueued_ms / 1000):
            return ""
        return int((self.now() + self._watch_seconds) * 1000)

    async def _write(
        self, jobs: Sequence[Job], *, owner: str | None, looks: Callable[[Job], int | str] | None
    ) -> list[int]:
        arguments: list[Any] = [self.worker, self._ttl_seconds, EVENTS_KEPT]
        for job in jobs:
            arguments += (job.fence, job.encode(owner), looks(job) if looks else "")
        keys = [order_key(job.ucc, job.order_number) for job in jobs]
        answers: list[int] = await self.call(
            ScriptCall("record", [held_key(self.worker), EVENTS, WATCH, *keys], arguments)
        )
        return answers

    # ------------------------------------------------------------------ giving back

    async def release(self, jobs: Sequence[Job]) -> None:
        """Let orders go unfinished, with what is known of them, so that another worker goes on at once."""
        worker = self.worker
        for job in jobs:
            job.status = Status.WAITING
            job.document["waiting_for"] = "worker"
        for at in range(0, len(jobs), WRITE_AT_MOST):
            await self._write(jobs[at : at + WRITE_AT_MOST], owner=worker, looks=None)
        await self.requeue(worker, [job.name for job in jobs], crashed=False)
        for job in jobs:
            self._let_go(job)

    async def requeue(self, owner: str, names: Sequence[str], *, crashed: bool) -> int:
        """Put orders that `owner` held ("-" for nobody) back into their queues; say how many went."""
        values: Any = await self._redis.mget(keys_of(names)) if names else []
        groups: dict[tuple[str, str], list[tuple[str, int, dict[str, Any]]]] = {}
        for name, value in zip(names, values, strict=True):
            if value is None:
                await self._forget(owner, name)
                continue
            job = Job.decode(value)
            groups.setdefault((job.lane, job.ucc), []).append((job.order_number, job.fence, job.document))
        moved = 0
        for (lane, ucc), orders in sorted(groups.items()):
            for at in range(0, len(orders), CHUNK_SIZE):
                some = orders[at : at + CHUNK_SIZE]
                moved += await self.call(requeue_call(lane=lane, ucc=ucc, owner=owner, orders=some, crashed=crashed))
        return moved

    async def _forget(self, owner: str, name: str) -> None:
        """Drop what is left of an order whose record has gone."""
        await self._redis.srem(held_key(owner), name)  # pyright: ignore[reportGeneralTypeIssues]
        await self._redis.zrem(RISK_QUEUED, name)
        await self._redis.zrem(ROUTINE_QUEUED, name)

    # ------------------------------------------------------------------ Redis

    async def call(self, call: ScriptCall) -> Any:
        """Run a script, and wait for a server that is away: with jitter, for as long as it takes.

        Each script may run twice: what it did the first time makes the second do nothing.
        """
        tries = 0
        while True:
            try:
                return await self._redis.execute_command(*call.command)
            except NoScriptError:
                await self._redis.script_load(load_script(call.script).text)
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                tries += 1
                if tries in (1, 10) or tries % 100 == 0:
                    self._log.error("ledger away", error=type(error).__name__, tries=tries, to_do="check Redis")
                await asyncio.sleep(min(_LATER_SECONDS, 0.05 * 2 ** min(tries, 6)) * (0.5 + 0.5 * _jitter()))


def trading_day_end(accepted_at: float) -> float:
    """When nobody need look at an order any more: midnight in India after the session it belongs to.

    A cancel asked for after 16:00 IST is mostly for an after-market order, which works on the next day.
    """
    local = accepted_at + _IST_SECONDS + _EVENING_SECONDS
    return (local // _DAY_SECONDS + 1) * _DAY_SECONDS - _IST_SECONDS


def _jitter() -> float:
    return (time.monotonic_ns() % 1000) / 1000
