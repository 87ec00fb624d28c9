"""The composition root: settings become collaborators, once per process, around one event loop in a thread of its own."""

import asyncio
import contextlib
import gc
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from logging import getLevelNamesMapping
from typing import Any, Final

import uvloop
from redis.exceptions import RedisError

from config.settings import Settings
from neo_cancel.connection import connect_async
from neo_cancel.errors import InvalidOrderError
from neo_cancel.keys import backlog_key
from neo_cancel.messages import WIRE_VERSION
from neo_cancel.order import CancelOrder, Lane, is_ucc
from neo_cancel.plan import MAX_CHUNK_SIZE
from worker.accounts.accounts import Accounts
from worker.dispatch.capacity import Capacity
from worker.kotak.client import KotakClient, Timeouts
from worker.kotak.gateway import Gateway
from worker.kotak.transport import BrokerTransport
from worker.ledger.assembly import LedgerCallbacks, LedgerOptions, LedgerRoom
from worker.ledger.client import LedgerClient
from worker.ledger.leader import LeaderJob
from worker.ledger.periodic import every
from worker.ledger.rate import SharedRateLimiter
from worker.ledger.requeuer import MOST_CRASHES
from worker.ledger.server import Server
from worker.ledger.steps import NOTHING
from worker.observe.events import publisher
from worker.observe.log import Log, log_subscriber
from worker.orders.evidence import ReadingPolicy
from worker.orders.job import Job
from worker.orders.queue import QueuePolicy
from worker.orders.router import Router, World
from worker.orders.trading_day import is_day_over

__all__ = ["Runtime"]

_START_SECONDS: Final = 30.0
_WATCH_SECONDS: Final = 1.0
_SWITCH_SECONDS: Final = 0.0003
_PASS_SECONDS: Final = 0.5
_WATCHED_AT_ONCE: Final = 100
_DRAWN_AT_ONCE: Final = 200
_ADOPTED_AT_ONCE: Final = 100
_PROBATION_SECONDS: Final = 1.0
_EXPECTED_SECONDS: Final = 30.0
_HEAD_START_SECONDS: Final = 0.005
_CROWDED: Final = 0.75
_TEAR_DOWN_SECONDS: Final = 1.5


class Runtime:
    """Everything that works on orders in this process. `start`, `cancel`, `drain` and `close` may be called from any thread."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings, self._log = settings, log
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orders", daemon=True)
        self._in_hand: dict[Job, _Together] = {}
        self._on_probation: set[asyncio.Task[None]] = set()
        self._background: list[asyncio.Task[None]] = []
        self._backlogs: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[asyncio.Future[None], None] = {}  # messages, the one that waits longest first
        self._filled: set[str] = set()
        self._under_way = threading.Event()
        self._expected: dict[str, Future[dict[str, Any]]] = {}
        self._lanes_served: list[str] = []
        self._threads = settings.threads
        self._is_draining = False
        self._stops_at = float("inf")
        self._probation = asyncio.Lock()
        self._suspect_ended: dict[Job, asyncio.Event] = {}

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

    def serve(self, lanes: Iterable[str], *, threads: int) -> None:
        """Say which lanes' messages come here (backlogs that nobody works on are adopted of these only), and how many at once."""
        self._lanes_served, self._threads = sorted(lanes), threads

    def expect(self, message_id: str, chunk: dict[str, Any]) -> None:
        """Begin with a message that `cancel` will be called for.

        Where nothing else is being done, returns when its first cancel is on its way, or after a few milliseconds: what Celery
        does next needs the interpreter for longer than that.
        """
        is_idle = self.router.queues.are_idle
        self._under_way.clear()
        self._expected[message_id] = self._submit(self._work_ahead(message_id, chunk))
        if is_idle:
            self._under_way.wait(_HEAD_START_SECONDS)

    def cancel(self, message_id: str, chunk: dict[str, Any]) -> dict[str, Any]:
        """Work on one message until its orders end, are in other hands, or others need the thread; answer counts."""
        work = self._expected.pop(message_id, None) or self._submit(self._work(chunk))
        summary: dict[str, Any] = work.result()
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
        publish = self._publish = publisher(log_subscriber(log, level=getLevelNamesMapping()[settings.log_level]))
        server = Server()
        redis = connect_async(settings.resolved_redis_url, socket_timeout_seconds=2.0, greet=server.greet)
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
        ledger = self.ledger = LedgerRoom(
            LedgerClient(redis, server, publish),
            LedgerOptions(
                lease=settings.lease,
                gather=settings.gather,
                time_to_live=settings.time_to_live,
                watch_interval=settings.watch_interval,
            ),
            LedgerCallbacks(
                is_watched=self.accounts.is_watched,
                on_urgent=self._escalate,
                on_written=self._written,
                on_lost=self._abandon,
            ),
            publish,
        )
        world = World(
            broker=gateway,
            rate_limiter=SharedRateLimiter(ledger.client, self.accounts.rate_of, publish),
            ledger=_Ledger(ledger),
            clock=ledger.client.now,
            draw=random.uniform,
            publish=publish,
            # A worker that slept through its lease finds out what it still holds before it sends.
            is_entitled=lambda: ledger.lease.is_valid,
        )
        self.router = Router(
            world,
            self.accounts.policy_of,
            sending=QueuePolicy(at_once=settings.account_calls_at_once, all_at_once=settings.calls_at_once),
            reading=ReadingPolicy(reads_per_second=settings.reads_per_second),
        )
        self.capacity = Capacity(settings.account_orders_at_once, self.accounts.rate_of, self.router.queues.waiting)
        recovery = LeaderJob("recovery", _PASS_SECONDS, ledger.recovery.run_pass)
        self._keep_doing("heartbeat", settings.lease / 3, ledger.lease.renew)
        self._keep_doing("suspects", settings.lease / 12, self._clear_suspects)
        self._keep_doing("recovery", _PASS_SECONDS, lambda: ledger.leader.tick(recovery))
        self._keep_doing("watch list", _WATCH_SECONDS, self._watch)
        # Not with the heartbeat: thousands of them to write would hold it up, and the lease would run out.
        self._keep_doing("notes", settings.lease, ledger.notes.write)

    def _keep_doing(self, name: str, seconds: float, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._background.append(asyncio.create_task(every(seconds, work, self._publish, doing=name)))

    def _escalate(self, job: Job) -> None:
        if not job.is_risk:
            job.lane = job.document["lane"] = Lane.RISK.value
            self.router.escalate(job)

    async def _clear_suspects(self) -> None:
        if not self._probation.locked():  # suspects on probation are cleared when that is over
            await self.ledger.claims.clear_suspects()

    async def _work_ahead(self, message_id: str, chunk: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._work(chunk)
        finally:
            # Celery may have let go of the message before its task began; then it comes again.
            self._loop.call_later(_EXPECTED_SECONDS, self._expected.pop, message_id, None)

    async def _work(self, chunk: dict[str, Any]) -> dict[str, Any]:
        lane, orders = await self._read(chunk)
        if not orders:
            if lane and is_ucc(chunk.get("ucc")):
                self._work_off(backlog_key(lane, chunk["ucc"]))
            return {"orders": 0}
        ucc = orders[0].ucc
        jobs: list[Job] = []
        for some in (orders[at : at + MAX_CHUNK_SIZE] for at in range(0, len(orders), MAX_CHUNK_SIZE)):
            # What there is no room for waits in the ledger, in no thread, and is drawn as there is.
            at_most = min(self.capacity.free(lane, ucc), len(some))
            with self.capacity.coming(lane, ucc, at_most):
                jobs += await self.ledger.claims.claim(lane, some, at_most=NOTHING if self._is_draining else at_most)
            if at_most < len(some):
                self._work_off(backlog_key(lane, ucc))
        together = _Together(lane)
        for job in jobs:
            self._begin(job, together)
        # After the orders' first steps, which end with what they send.
        self._loop.call_soon(self._under_way.set)
        if together.left:
            await self._ended_or_crowded(together)
        counts = Counter(str(job.status) for job in jobs)
        return {"ucc": ucc, "lane": lane, "orders": len(orders), "claimed": len(jobs), "counts": dict(counts)}

    async def _ended_or_crowded(self, together: "_Together") -> None:
        """Wait for the end of a message's orders, or until its thread is needed for another message.

        Bulks that wait for their accounts' rates would keep every thread of Celery's for minutes, and a message for an account
        that could send at once would lie in the queue. The orders are this worker's by the ledger, with or without it.
        """
        enough = together.enough = self._loop.create_future()
        self._waiting[enough] = None
        is_crowded = len(self._waiting) > self._threads * _CROWDED
        if is_crowded and len(self._in_hand) < self._settings.orders_at_once:
            longest = next(iter(self._waiting))
            if not longest.done():
                longest.set_result(None)
        try:
            await enough
        finally:
            del self._waiting[enough]

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
        lane, ucc = backlog.split(":")[-2:]
        while not self._is_draining:
            self._filled.discard(backlog)
            at_most = min(self.capacity.free(lane, ucc), _DRAWN_AT_ONCE)
            with self.capacity.coming(lane, ucc, at_most):
                left, jobs = await self.ledger.claims.draw(backlog, at_most)
            together = _Together(lane)
            for job in jobs:
                self._begin(job, together)
            if left == 0:
                if backlog in self._filled:
                    continue
                return
            # A look now and then also says that this backlog is in living hands.
            await self.capacity.wait(lane, ucc, self._settings.lease / 3)

    def _begin(self, job: Job, together: "_Together") -> None:
        if self._is_draining:  # claimed a moment ago, and given back with the rest
            return
        self._in_hand[job] = together
        together.left += 1
        self.capacity.enter(together.lane, job.ucc)
        if job.is_watched:
            self.router.take(job, sends=0 if self._is_day_over(job) else 1)
        elif job.crashes >= MOST_CRASHES - 1:
            task = asyncio.create_task(self._begin_on_probation(job))
            self._on_probation.add(task)
            task.add_done_callback(self._on_probation.discard)
        else:
            self.router.take(job)

    def _is_day_over(self, job: Job) -> bool:
        return is_day_over(job.enqueued_ms / 1000, self.ledger.client.now())

    def _written(self, job: Job, is_ours: bool) -> None:
        if not is_ours:
            self._log.info("result left to a newer owner", order=job.name, status=str(job.status))
        self._let_go(job)

    def _let_go(self, job: Job) -> None:
        together = self._in_hand.pop(job, None)
        if together is not None:
            self.capacity.leave(together.lane, job.ucc)
            together.one_left()
        if (ended := self._suspect_ended.pop(job, None)) is not None:
            ended.set()

    async def _begin_on_probation(self, job: Job) -> None:
        """Work on an order that two deaths point at: one at a time, so that the third names the one to blame."""
        async with self._probation:
            await self.ledger.claims.suspect(job)
            ended = self._suspect_ended[job] = asyncio.Event()
            self.router.take(job)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBATION_SECONDS):
                    await ended.wait()

    async def _watch(self) -> None:
        if not self._is_draining:
            for job in await self.ledger.claims.claim_watched(_WATCHED_AT_ONCE):
                self._begin(job, _Together(job.lane))
            for _ in range(_ADOPTED_AT_ONCE if self._lanes_served else 0):
                backlog = await self.ledger.claims.adopt_backlog(self._lanes_served)
                if backlog is None:
                    return
                self._work_off(backlog)

    def _abandon(self) -> None:
        for task in self._on_probation:
            task.cancel()
        self.router.abandon()
        for job in list(self._in_hand):
            self._let_go(job)

    async def _drain(self) -> None:
        self._is_draining = True
        self._stops_at = min(self._stops_at, self._loop.time() + self._settings.shutdown)
        for task in self._on_probation:
            task.cancel()
        await self.router.stop(self._stops_at)
        self._abandon()
        await self.ledger.claims.leave_backlogs(self._backlogs)
        await self.ledger.claims.release([job for job in self.ledger.held if not job.is_watched])

    async def _tear_down(self) -> None:
        try:
            await self._drain()
        except (RedisError, OSError) as error:
            self._log.error("orders not given back: recovery will", error=type(error).__name__, to_do="none")
        for task in self._background:
            task.cancel()
        with contextlib.suppress(RedisError, OSError):
            await self.ledger.lease.sign_off()
        self.router.close()
        await self._client.aclose()
        await self.ledger.client.aclose()

    # ------------------------------------------------------------------ messages

    async def _read(self, chunk: dict[str, Any]) -> tuple[str, list[CancelOrder]]:
        """Check again what came: an order that is wrong becomes a dead letter, the others of its message go on."""
        if not isinstance(chunk, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            await self.ledger.client.add_dead_letter("chunk: must be an object", chunk)
            return "", []
        lane = chunk.get("lane")
        said = chunk.get("orders")
        if chunk.get("v") != WIRE_VERSION or lane not in list(Lane) or not isinstance(said, list):
            await self.ledger.client.add_dead_letter(
                f"v={chunk.get('v')!r}, lane={lane!r}: unknown version, lane or form", chunk
            )
            return "", []
        orders: list[CancelOrder] = []
        for wire in said:  # pyright: ignore[reportUnknownVariableType]
            try:
                orders.append(_order_of(wire, chunk.get("ucc")))
            except InvalidOrderError as error:
                await self._refuse(wire, error)  # pyright: ignore[reportUnknownArgumentType]
        return str(lane), orders

    async def _refuse(self, wire: Any, error: InvalidOrderError) -> None:
        await self.ledger.client.add_dead_letter(str(error), wire)
        self._log.error("order refused: bad input", reason=str(error), to_do="mend the sender")


class _Ledger:
    """The ledger's room as the orders' room needs it."""

    def __init__(self, room: LedgerRoom) -> None:
        self.note, self.finish = room.notes.note, room.writer.finish


class _Together:
    """Orders that were taken together, through this lane.

    `enough` is done when none of them is left, or before that, when others need the message's thread.
    """

    __slots__ = ("enough", "lane", "left")

    def __init__(self, lane: str) -> None:
        self.lane, self.left = lane, 0
        self.enough: asyncio.Future[None] | None = None

    def one_left(self) -> None:
        self.left -= 1
        if not self.left and self.enough is not None and not self.enough.done():
            self.enough.set_result(None)


def _order_of(wire: Any, ucc: Any) -> CancelOrder:
    order = CancelOrder.from_wire(wire)
    if order.ucc != ucc:
        raise InvalidOrderError("ucc", order.ucc, "must be the message's account")
    return order
