"""The composition root: settings become collaborators, once per process, around one event loop in a thread of its own."""

import asyncio
import contextlib
import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, Final

import uvloop
from redis.exceptions import RedisError

from config.settings import Settings
from neo_cancel.connection import connect_async
from neo_cancel.errors import InvalidOrderError
from neo_cancel.ledger import backlog_key
from neo_cancel.messages import CHUNK_SIZE, WIRE_VERSION, CancelOrder, Lane, is_ucc
from neo_cancel.plan import MAX_CHUNK_SIZE
from neo_cancel.record import Status
from worker.accounts import Accounts
from worker.cancel import Canceller
from worker.evidence import Evidence, ReadingPolicy
from worker.hold import MOST_CRASHES, Hold
from worker.job import Job
from worker.kotak.client import KotakClient, Timeouts
from worker.kotak.gateway import Gateway
from worker.kotak.transport import BrokerTransport
from worker.lanes import LanePolicy, Lanes
from worker.pace import SharedPace
from worker.ports import Log
from worker.recovery import Recovery, every

__all__ = ["Runtime"]

_START_SECONDS: Final = 30.0
_SWITCH_SECONDS: Final = 0.001
_PASS_SECONDS: Final = 1.0
_PICKUP_SECONDS: Final = 3.0
_WATCHED_AT_ONCE: Final = 100
_DRAWN_AT_ONCE: Final = 200
_PROBATION_SECONDS: Final = 1.0
_DRAIN_LOOK_SECONDS: Final = 0.05
_TEAR_DOWN_SECONDS: Final = 1.5


class Runtime:
    """Everything that works on orders in this process. `start`, `cancel`, `drain` and `close` may be called from any thread."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings, self._log = settings, log
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orders", daemon=True)
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._backlogs: dict[str, asyncio.Task[None]] = {}
        self._filled: set[str] = set()
        self._held: Counter[str] = Counter()
        self._ended: dict[str, asyncio.Event] = {}
        self._lanes_served: list[str] = []
        self._is_draining = False
        self._stops_at = float("inf")
        self._probation = asyncio.Lock()

    # ------------------------------------------------------------------ from other threads

    def start(self) -> None:
        """Start the loop and connect nothing yet: a server that is away is waited for by whoever needs it."""
        # Thousands of orders are alive at once and none of them is garbage: looking through them all the time costs a
        # sixth of a worker's CPU time.
        gc.freeze()
        gc.set_threshold(100_000, 50, 1000)
        # Celery's thread asks for the interpreter many times a message, and by default waits 5 ms each time while this one
        # is busy: other accounts' messages would wait for a bulk that is under way.
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._thread.start()
        self._submit(self._set_up()).result(_START_SECONDS)

    def serve(self, lanes: Iterable[str]) -> None:
        """Say which lanes' messages come here: backlogs that nobody works on are adopted of these only."""
        self._lanes_served = sorted(lanes)

    def cancel(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """Work on one message until each of its orders is final or in other hands; answer counts per status."""
        summary: dict[str, Any] = self._submit(self._work(chunk)).result()
        return summary

    def drain(self) -> None:
        """Take no more, let calls in flight end, and give everything else back. Returns at once."""
        self._submit(self._drain())

    def close(self) -> None:
        """End the loop; what is still held is given back first."""
        left = min(self._stops_at - self._loop.time(), self._settings.shutdown)
        try:
            self._submit(self._tear_down()).result(max(left, 0) + _TEAR_DOWN_SECONDS)
        except TimeoutError:
            self._log.error("orders not given back: recovery will", error="TimeoutError", to_do="check Redis")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _submit(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    # ------------------------------------------------------------------ in the loop

    async def _set_up(self) -> None:
        settings, log = self._settings, self._log
        self._redis = connect_async(settings.resolved_redis_url, socket_timeout_seconds=2.0)
        self.accounts = Accounts(settings, log)
        self._client = KotakClient(
            BrokerTransport(),
            Timeouts(
                connect=settings.connect_timeout,
                read=settings.read_timeout,
                write=settings.write_timeout,
                total=settings.call_timeout,
                book=settings.book_timeout,
            ),
        )
        gateway = Gateway(self._client, self.accounts)
        self.hold = Hold(
            self._redis,
            lease_seconds=settings.lease,
            gather_seconds=settings.gather,
            ttl_seconds=settings.time_to_live,
            watch_seconds=settings.watch_interval,
            is_watched=self.accounts.is_watched,
            on_lost=self._abandon,
            log=log,
        )
        pace = SharedPace(self.hold, self.accounts.rate_of, log)
        self.lanes = Lanes(
            pace,
            LanePolicy(at_once=settings.account_calls_at_once, all_at_once=settings.calls_at_once),
            self.hold.now,
            # A worker that slept through its lease finds out what it still holds before it sends.
            lambda: self.hold.is_valid,
        )
        self.evidence = Evidence(
            gateway, ReadingPolicy(reads_per_second=settings.reads_per_second), self.lanes.quiet_since
        )
        self.canceller = Canceller(
            broker=gateway,
            lanes=self.lanes,
            evidence=self.evidence,
            notes=self.hold,
            policy_of=self.accounts.policy_of,
            slow_down=pace.slow_down,
            clock=self.hold.now,
            log=log,
        )
        self._recovery = Recovery(
            self._redis, self.hold, pass_seconds=_PASS_SECONDS, pickup_seconds=_PICKUP_SECONDS, log=log
        )
        self._keep_doing(settings.lease / 3, self._heartbeat)
        self._keep_doing(settings.lease / 12, self._vouch)
        self._keep_doing(_PASS_SECONDS, self._recovery.run_pass)
        self._keep_doing(_PASS_SECONDS, self._watch)

    def _keep_doing(self, seconds: float, what: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._background.append(asyncio.create_task(every(seconds, what, self._log)))

    async def _heartbeat(self) -> None:
        for name in await self.hold.renew():
            job = self.hold.jobs.get(name)
            if job is not None and not job.is_risk:
                job.lane = job.document["lane"] = Lane.RISK.value
                self.lanes.of(job.ucc).hurry(job.order_number)
        await self.hold.write_notes()

    async def _vouch(self) -> None:
        if not self._probation.locked():  # who is on probation is vouched for when that is over
            await self.hold.vouch()

    async def _work(self, chunk: dict[str, Any]) -> dict[str, Any]:
        lane, orders = await self._read(chunk)
        if not orders:
            if lane and is_ucc(chunk.get("ucc")):
                self._work_off(backlog_key(lane, chunk["ucc"]))
            return {"orders": 0}
        ucc = orders[0].ucc
        if self._is_draining or self._held[ucc] >= self._settings.account_orders_at_once:
            # No room: the orders wait in the ledger, in no thread, and are drawn as the account's others end.
            backlog = backlog_key(lane, ucc)
            for at in range(0, len(orders), MAX_CHUNK_SIZE):
                await self.hold.claim(lane, orders[at : at + MAX_CHUNK_SIZE], defer=True)
            self._work_off(backlog)
            return {"ucc": ucc, "lane": lane, "orders": len(orders), "deferred": True}
        self._held[ucc] += len(
            orders
        )  # reserved: other threads' messages of the account come while this one is claimed
        try:
            jobs = [
                job
                for at in range(0, len(orders), MAX_CHUNK_SIZE)
                for job in await self.hold.claim(lane, orders[at : at + MAX_CHUNK_SIZE])
            ]
            tasks = [task for job in jobs if (task := self._begin(job)) is not None]
        finally:
            self._held[ucc] -= len(orders)
        if tasks:
            await asyncio.wait(tasks)
        counts = Counter(str(job.status) for job in jobs)
        return {"ucc": ucc, "lane": lane, "orders": len(orders), "claimed": len(jobs), "counts": dict(counts)}

    def _work_off(self, backlog: str) -> None:
        # Whoever is looking may have found nothing a moment ago.
        self._filled.add(backlog)
        if backlog not in self._backlogs and not self._is_draining:
            self._backlogs[backlog] = asyncio.create_task(self._draw(backlog))

    async def _draw(self, backlog: str) -> None:
        try:
            await self._draw_all(backlog)
        finally:
            del self._backlogs[backlog]

    async def _draw_all(self, backlog: str) -> None:
        ucc = backlog.rpartition(":")[2]
        while not self._is_draining:
            self._filled.discard(backlog)
            room = self._settings.account_orders_at_once - self._held[ucc]
            left, jobs = await self.hold.draw(backlog, min(max(0, room), _DRAWN_AT_ONCE))
            for job in jobs:
                self._begin(job)
            if left == 0:
                if backlog in self._filled:
                    continue
                return
            # A look now and then also says that this backlog is in living hands.
            ended = self._ended.setdefault(ucc, asyncio.Event())
            ended.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.lease / 3):
                    while self._held[ucc] > self._settings.account_orders_at_once - CHUNK_SIZE:
                        await ended.wait()
                        ended.clear()

    def _begin(self, job: Job) -> "asyncio.Task[None] | None":
        if self._is_draining:  # claimed a moment ago, and given back with the rest
            return None
        run = self._run_on_probation if job.crashes >= MOST_CRASHES - 1 else self._run
        task = asyncio.create_task(run(job))
        self._tasks[job] = task
        self._held[job.ucc] += 1
        task.add_done_callback(lambda _: self._end(job))
        return task

    def _end(self, job: Job) -> None:
        self._tasks.pop(job, None)
        self._held[job.ucc] -= 1
        if (ended := self._ended.get(job.ucc)) is not None:
            ended.set()

    async def _run(self, job: Job) -> None:
        try:
            if job.is_watched:
                await self.canceller.watch(job, may_send=not self.hold.day_is_over(job))
            else:
                await self.canceller.run(job)
        except Exception as error:  # noqa: BLE001 (whatever goes wrong with one order must not lose it)
            self._log.error(
                "internal error", order=job.name, error=repr(error), to_do="report it; the order is watched"
            )
            job.status = Status.UNKNOWN
            job.say(text=f"internal error: {type(error).__name__}", final_at=self.hold.now())
        if not await self.hold.finish(job):
            self._log.info("result left to a newer owner", order=job.name, status=str(job.status))

    async def _run_on_probation(self, job: Job) -> None:
        """Work on an order that two deaths point at: one at a time, so that the third names the one to blame."""
        async with self._probation:
            await self.hold.suspect(job)
            run = asyncio.create_task(self._run(job))
            try:
                await asyncio.wait([run], timeout=_PROBATION_SECONDS)
            except asyncio.CancelledError:
                run.cancel()
                raise
        await run

    async def _watch(self) -> None:
        if not self._is_draining:
            for job in await self.hold.claim_watched(_WATCHED_AT_ONCE):
                self._begin(job)
            if self._lanes_served and (backlog := await self.hold.orphaned_backlog(self._lanes_served)) is not None:
                self._work_off(backlog)

    def _abandon(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()

    async def _drain(self) -> None:
        self._is_draining = True
        self._stops_at = min(self._stops_at, self._loop.time() + self._settings.shutdown)
        while self._tasks and self._loop.time() < self._stops_at:
            for job, task in self._tasks.items():
                if not job.is_in_flight:
                    task.cancel()
            await asyncio.wait(self._tasks.values(), timeout=_DRAIN_LOOK_SECONDS, return_when="FIRST_COMPLETED")
        self._abandon()
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        await self.hold.leave_backlogs(list(self._backlogs))
        await self.hold.release([job for job in self.hold.jobs.values() if not job.is_watched])

    async def _tear_down(self) -> None:
        try:
            await self._drain()
        except (RedisError, OSError) as error:
            self._log.error("orders not given back: recovery will", error=type(error).__name__, to_do="none")
        for task in self._background:
            task.cancel()
        with contextlib.suppress(RedisError, OSError):
            await self.hold.sign_off()
        self.evidence.close()
        self.lanes.close()
        await self._client.aclose()
        await self._redis.aclose()

    # ------------------------------------------------------------------ messages

    async def _read(self, chunk: dict[str, Any]) -> tuple[str, list[CancelOrder]]:
        """Check again what came: an order that is wrong is parked with its reason, the others of its message go on."""
        if not isinstance(chunk, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            await self.hold.park("chunk: must be an object", chunk)
            return "", []
        lane = chunk.get("lane")
        said = chunk.get("orders")
        if chunk.get("v") != WIRE_VERSION or lane not in list(Lane) or not isinstance(said, list):
            await self.hold.park(f"v={chunk.get('v')!r}, lane={lane!r}: unknown version, lane or form", chunk)
            return "", []
        orders: list[CancelOrder] = []
        for wire in said:  # pyright: ignore[reportUnknownVariableType]
            try:
                orders.append(_order_of(wire, chunk.get("ucc")))
            except InvalidOrderError as error:
                await self._refuse(wire, error)  # pyright: ignore[reportUnknownArgumentType]
        return str(lane), orders

    async def _refuse(self, wire: Any, error: InvalidOrderError) -> None:
        await self.hold.park(str(error), wire)
        self._log.error("order refused: bad input", reason=str(error), to_do="mend the sender")


def _order_of(wire: Any, ucc: Any) -> CancelOrder:
    order = CancelOrder.from_wire(wire)
    if order.ucc != ucc:
        raise InvalidOrderError("ucc", order.ucc, "must be the message's account")
    return order
