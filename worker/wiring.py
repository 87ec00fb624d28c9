"""The composition root: settings become collaborators, once per process."""

import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from config.settings import Settings
from neo_cancel.connection import connect_async
from neo_cancel.namespace import Namespace
from worker.accounts.assembly import Accounts, open_accounts
from worker.accounts.policies import Policies
from worker.accounts.rates import Rates
from worker.accounts.sessions import FileSessions
from worker.dispatch.backlogs import Backlogs
from worker.dispatch.capacity import Capacity
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.group import Threads
from worker.dispatch.in_hand import InHand
from worker.dispatch.probation import Probation
from worker.kotak.client import KotakClient, Timeouts
from worker.kotak.gateway import Gateway
from worker.kotak.transport import BrokerTransport
from worker.ledger.assembly import LedgerCallbacks, LedgerOptions, LedgerRoom
from worker.ledger.client import LedgerClient
from worker.ledger.leader import LeaderJob
from worker.ledger.rate import SharedRateLimiter
from worker.ledger.read_budget import SharedReadBudget
from worker.ledger.server import Server
from worker.ledger.steps import read_call
from worker.observe.events import Publish, Superseded
from worker.orders.account_queue import QueuePolicy
from worker.orders.job import Job
from worker.orders.ports import Broker
from worker.orders.router import Router, World
from worker.orders.trading_day import is_day_over
from worker.sessions.assembly import open_logins
from worker.sessions.shared_sessions import SharedSessions
from worker.sessions.warmth import Warmth, seconds_of_day

if TYPE_CHECKING:
    import redis.asyncio

__all__ = ["Parts", "wire"]

_REDIS_SECONDS: Final = 2.0
_WATCH_SECONDS: Final = 1.0
_PASS_SECONDS: Final = 0.5
_SWEEP_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 2.0
_SESSIONS_SECONDS: Final = 1.0
_WARM_SECONDS: Final = 20.0
_FILE_SECONDS: Final = 0.5
"""A change of the accounts file holds within about a second: half of it may pass until it is seen, and sends under way end."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The collaborators that the runtime speaks to. All belong to one event loop."""

    accounts: Accounts
    sessions: SharedSessions
    ledger: LedgerRoom
    broker: Broker
    router: Router
    probation: Probation
    backlogs: Backlogs
    dispatcher: Dispatcher

    @property
    def is_idle(self) -> bool:
        """No call is in flight."""
        return self.router.queues.are_idle

    def duties(self, settings: Settings) -> Sequence[tuple[str, float, Callable[[], Awaitable[object]]]]:
        """Name what must be done again and again, and every how many seconds."""
        ledger = self.ledger
        recovery = LeaderJob("recovery", _PASS_SECONDS, ledger.recovery.run_pass)
        sweep = LeaderJob("sweep", _SWEEP_SECONDS, ledger.sweep.walk)
        return [
            ("heartbeat", settings.lease / 3, ledger.lease.renew),
            ("suspects", settings.lease / 12, self.probation.clear_suspects),
            ("recovery", _PASS_SECONDS, partial(ledger.leader.tick, recovery)),
            ("sweep", _SWEEP_SECONDS, partial(ledger.leader.tick, sweep)),
            ("strays", _SWEEP_SECONDS, ledger.sweep.put_back),
            ("watch list", _WATCH_SECONDS, self.dispatcher.take_watched),
            ("orphaned backlogs", _WATCH_SECONDS, self.backlogs.adopt),
            ("accounts file", _FILE_SECONDS, self.accounts.file.watch),
            ("accounts with credentials", _FILE_SECONDS, self.accounts.book.watch),
            ("sessions", _SESSIONS_SECONDS, self._look_for_sessions),
            ("warm sessions", _WARM_SECONDS, self._warmth(settings.warm_at).tick),
            ("idle accounts", _IDLE_SECONDS, self.router.forget_idle),
            # Not with the heartbeat: thousands of notes to write would hold it up, and the lease would run out.
            ("notes", settings.lease, ledger.notes.write),
        ]

    async def _look_for_sessions(self) -> None:
        if self.accounts.book.all():
            await self.sessions.look()

    def _warmth(self, warm_at: str) -> Warmth:
        return Warmth(self.sessions, self.accounts.book, begins=seconds_of_day(warm_at), clock=self.ledger.client.now)

    async def close(self) -> None:
        """End the lease and close every connection."""
        self.sessions.close()
        with contextlib.suppress(RedisError, OSError):
            await self.ledger.lease.sign_off()
        self.router.close()
        await self.broker.aclose()
        await self.ledger.client.aclose()


@dataclass(frozen=True, slots=True)
class _Base:
    """What several collaborators are made with."""

    settings: Settings
    publish: Publish
    rates: Rates
    policies: Policies


def _connected(settings: Settings, server: Server) -> "redis.asyncio.Redis":
    return connect_async(settings.resolved_redis_url, socket_timeout_seconds=_REDIS_SECONDS, greet=server.greet)


def wire(
    settings: Settings,
    publish: Publish,
    *,
    begun: Callable[[], None],
    connect: "Callable[[Settings, Server], redis.asyncio.Redis]" = _connected,
) -> Parts:
    """Wire the collaborators: an order goes from the dispatcher to the router to the ledger, and its end comes back once.

    `begun`: see Dispatcher. `connect` makes the ledger's client, which greets each new connection through the Server.
    """
    accounts, server = open_accounts(settings, publish), Server()
    base, namespace = _Base(settings, publish, accounts.rates, accounts.policies), Namespace(settings.namespace)
    ledger = _ledger(base, LedgerClient(connect(settings, server), server, publish, namespace), lambda: in_hand)
    broker, sessions = _broker(base, accounts, ledger.client)
    router = _router(base, ledger, broker)
    capacity = Capacity(settings.account_orders_at_once, accounts.rates.of, router.queues.first_sends)
    probation = Probation(ledger.claims, router.take)
    in_hand = InHand(router, capacity, probation, day_is_over=partial(_day_is_over, ledger))
    backlogs = Backlogs(ledger.claims, in_hand, capacity, publish, look_seconds=settings.lease / 3)
    dispatcher = Dispatcher(
        ledger.claims,
        ledger.held,
        in_hand,
        backlogs,
        capacity=capacity,
        threads=Threads(settings.threads),
        most=settings.orders_at_once,
        dead_letters=ledger.client,
        begun=begun,
        publish=publish,
    )
    return Parts(accounts, sessions, ledger, broker, router, probation, backlogs, dispatcher)


def _broker(base: _Base, accounts: Accounts, client: LedgerClient) -> tuple[Broker, SharedSessions]:
    settings, publish, transport = base.settings, base.publish, BrokerTransport()
    timeouts = Timeouts(
        connect=settings.connect_timeout,
        read=settings.read_timeout,
        total=settings.call_timeout,
        book=settings.book_timeout,
    )
    logins = open_logins(settings, client, transport, publish)
    if accounts.book.all():
        logins.want()
    others = FileSessions(accounts.file)
    sessions = SharedSessions(logins.store, logins.renewal, accounts.book, others, publish)
    accounts.book.subscribe(logins.want)
    accounts.book.subscribe(sessions.forget)
    return Gateway(KotakClient(transport, timeouts), sessions, publish), sessions


def _ledger(base: _Base, client: LedgerClient, in_hand: Callable[[], InHand]) -> LedgerRoom:
    settings, publish = base.settings, base.publish

    def written(job: Job, is_ours: bool) -> None:
        if not is_ours:
            publish(Superseded(job.name, str(job.status)))
        in_hand().ended(job)

    options = LedgerOptions(
        lease=settings.lease,
        gather=settings.gather,
        time_to_live=settings.time_to_live,
        watch_interval=settings.watch_interval,
    )
    callbacks = LedgerCallbacks(
        is_watched=base.policies.is_watched,
        on_asked=lambda job, is_risk, until: in_hand().ask_more(job, is_risk=is_risk, until=until),
        on_written=written,
        on_lost=lambda: in_hand().abandon(),
    )
    return LedgerRoom(client, options, callbacks, publish)


def _router(base: _Base, ledger: LedgerRoom, broker: Broker) -> Router:
    settings, publish = base.settings, base.publish

    async def reserve_read(ucc: str) -> float:
        wait_us: int = await ledger.client.call(read_call(ucc, reads_per_second=settings.reads_per_second))
        return wait_us / 1e6

    world = World(
        broker=broker,
        rate_limiter=SharedRateLimiter(ledger.client, base.rates.of, publish),
        read_budget=SharedReadBudget(reserve_read),
        ledger=ledger,
        clock=ledger.client.now,
        draw=random.uniform,
        publish=publish,
        # A worker that slept through its lease finds out what it still holds before it sends.
        is_entitled=lambda: ledger.lease.is_valid,
    )
    return Router(
        world,
        base.policies.of,
        sending=QueuePolicy(at_once=settings.account_calls_at_once, all_at_once=settings.calls_at_once),
    )


def _day_is_over(ledger: LedgerRoom, job: Job) -> bool:
    return is_day_over(job.accepted_at, ledger.client.now())
