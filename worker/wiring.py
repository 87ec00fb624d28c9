"""The composition root: settings become collaborators, once per process."""

import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from config.settings import Settings
from worker.accounts.file import AccountsFile
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
from worker.ledger.client import LedgerClient
from worker.ledger.hold import Hold
from worker.ledger.rate import SharedRateLimiter
from worker.ledger.recovery import Recovery
from worker.ledger.requeuer import Requeuer
from worker.observe.events import Publish, Superseded
from worker.observe.log import Log
from worker.orders.evidence import ReadingPolicy
from worker.orders.job import Job
from worker.orders.policy import CancelPolicy
from worker.orders.queue import QueuePolicy
from worker.orders.router import Router, World

if TYPE_CHECKING:
    import redis.asyncio

__all__ = ["Parts", "wire"]

_WATCH_SECONDS: Final = 1.0
_PASS_SECONDS: Final = 0.5
_PICKUP_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The collaborators that the runtime speaks to. All belong to one event loop."""

    ledger: LedgerClient
    hold: Hold
    recovery: Recovery
    client: KotakClient
    router: Router
    probation: Probation
    backlogs: Backlogs
    dispatcher: Dispatcher

    def duties(self, settings: Settings) -> Sequence[tuple[float, Callable[[], Awaitable[object]]]]:
        """Say what must be done again and again, and every how many seconds."""
        return [
            (settings.lease / 3, self.heartbeat),
            (settings.lease / 12, self.probation.clear_suspects),
            (_PASS_SECONDS, self.recovery.run_pass),
            (_WATCH_SECONDS, self.dispatcher.take_watched),
            (_WATCH_SECONDS, self.backlogs.adopt),
            # Not with the heartbeat: thousands of notes to write would hold it up, and the lease would run out.
            (settings.lease, self.hold.write_notes),
        ]

    async def heartbeat(self) -> None:
        """Renew the lease, and let the orders overtake that became urgent meanwhile."""
        self.dispatcher.escalate(await self.hold.renew())

    async def close(self) -> None:
        """End the lease and close every connection."""
        with contextlib.suppress(RedisError, OSError):
            await self.hold.sign_off()
        self.router.close()
        await self.client.aclose()
        await self.ledger.redis.aclose()


@dataclass(frozen=True, slots=True)
class _Base:
    """What nearly every collaborator is made with."""

    settings: Settings
    publish: Publish
    log: Log
    ledger: LedgerClient
    rates: Rates
    policies: Policies


def wire(
    settings: Settings, publish: Publish, log: Log, redis: "redis.asyncio.Redis", *, begun: Callable[[], None]
) -> Parts:
    """Wire the collaborators: an order goes from the dispatcher to the router to the hold, and its end comes back once.

    `log` is for those that publish no events yet; `begun`: see Dispatcher.
    """
    file = AccountsFile(settings.accounts_file, publish)
    ledger, client, rates = LedgerClient(redis, log), _client(settings), Rates(file, settings.orders_per_second)
    base = _Base(settings, publish, log, ledger, rates, Policies(file, _policy(settings)))
    requeuer = Requeuer(ledger, ttl_seconds=settings.time_to_live, log=log)
    hold = _hold(base, requeuer, lambda: in_hand)
    recovery = Recovery(ledger, hold, requeuer, pass_seconds=_PASS_SECONDS, pickup_seconds=_PICKUP_SECONDS, log=log)
    router = _router(base, hold, Gateway(client, FileSessions(file)))
    capacity = Capacity(settings.account_orders_at_once, rates.of, router.queues.waiting)
    probation = Probation(hold, router.take)
    in_hand = InHand(router, capacity, probation, day_is_over=hold.day_is_over)
    backlogs = Backlogs(hold, in_hand, capacity, look_seconds=settings.lease / 3)
    dispatcher = Dispatcher(
        hold,
        in_hand,
        backlogs,
        capacity=capacity,
        threads=Threads(settings.threads),
        most=settings.orders_at_once,
        dead_letters=ledger,
        begun=begun,
        publish=publish,
    )
    return Parts(ledger, hold, recovery, client, router, probation, backlogs, dispatcher)


def _client(settings: Settings) -> KotakClient:
    timeouts = Timeouts(
        connect=settings.connect_timeout,
        read=settings.read_timeout,
        total=settings.call_timeout,
        book=settings.book_timeout,
    )
    return KotakClient(BrokerTransport(), timeouts)


def _policy(settings: Settings) -> CancelPolicy:
    return CancelPolicy(
        window=settings.verification_window,
        verify=settings.verify,
        backoff=settings.backoff,
        backoff_most=settings.backoff_most,
        watch_refused=settings.watch_refused,
    )


def _hold(base: _Base, requeuer: Requeuer, in_hand: Callable[[], InHand]) -> Hold:
    settings = base.settings

    def written(job: Job, is_ours: bool) -> None:
        if not is_ours:
            base.publish(Superseded(job.name, str(job.status)))
        in_hand().ended(job)

    return Hold(
        base.ledger,
        requeuer,
        lease_seconds=settings.lease,
        gather_seconds=settings.gather,
        ttl_seconds=settings.time_to_live,
        watch_seconds=settings.watch_interval,
        is_watched=base.policies.is_watched,
        on_lost=lambda: in_hand().abandon(),
        on_written=written,
        log=base.log,
    )


def _router(base: _Base, hold: Hold, gateway: Gateway) -> Router:
    settings, ledger = base.settings, base.ledger
    world = World(
        broker=gateway,
        rate_limiter=SharedRateLimiter(ledger, base.rates.of, base.log),
        ledger=hold,
        clock=ledger.now,
        draw=random.uniform,
        publish=base.publish,
        # A worker that slept through its lease finds out what it still holds before it sends.
        is_entitled=lambda: hold.is_valid,
    )
    return Router(
        world,
        base.policies.of,
        sending=QueuePolicy(at_once=settings.account_calls_at_once, all_at_once=settings.calls_at_once),
        reading=ReadingPolicy(reads_per_second=settings.reads_per_second),
    )
