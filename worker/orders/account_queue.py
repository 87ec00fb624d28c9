"""One account's queue: whose turn is next, when the rate limiter says so."""

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from worker.orders.account_stop import AccountStop
from worker.orders.deadline import DeadlineTimer
from worker.orders.job import Job
from worker.orders.places import Places
from worker.orders.ports import RateLimiter
from worker.orders.verdict import Verdict
from worker.orders.waiting import RISK, ROUTINE, WaitingOrders

__all__ = ["AccountQueue", "QueuePolicy", "SharedQueueing"]

_ENTITLED_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How much may be under way.

    `at_once`: calls of one account in flight. `all_at_once`: calls of the process in flight. Risk orders may have `kept` and
    `all_kept` more, so that a routine call that hangs holds none of them back. `blocked_seconds`: how long a blocked account
    answers without a call.
    """

    at_once: int = 16
    all_at_once: int = 64
    blocked_seconds: float = 5.0

    @property
    def kept(self) -> int:
        """Calls of an account that are kept for risk orders: a quarter more, at least one."""
        return math.ceil(self.at_once / 4)

    @property
    def all_kept(self) -> int:
        """Calls of the process that are kept for risk orders: an eighth more, at least one."""
        return math.ceil(self.all_at_once / 8)


@dataclass(frozen=True, slots=True)
class SharedQueueing:
    """What all account queues of a process have in common."""

    rate_limiter: RateLimiter
    policy: QueuePolicy
    clock: Callable[[], float]
    is_entitled: Callable[[], bool]
    on_turn: Callable[[Job, float], None]
    on_deadline: Callable[[Job], None]
    places: Places


class AccountQueue:
    """One account. `asked_for`: the urgency for which the rate limiter answered "not yet", while that is waited for."""

    def __init__(self, ucc: str, shared: SharedQueueing) -> None:
        self._ucc, self._shared = ucc, shared
        self._orders = WaitingOrders()
        self.stop = AccountStop(shared.policy.blocked_seconds)
        self._timer = DeadlineTimer(self._look_at_clock)
        self._in_flight = 0
        self._wake = asyncio.Event()
        self._turns: asyncio.Task[None] | None = None
        self._asked_for: int | None = None

    @property
    def is_quiet(self) -> bool:
        """See AccountQueues."""
        return not self._orders and not self._in_flight

    @property
    def orders(self) -> list[Job]:
        """See AccountQueues."""
        return self._orders.everyone

    def take_out(self, numbers: Collection[str]) -> list[Job]:
        """See AccountQueues."""
        return self._orders.take_out(numbers)

    @property
    def first_sends(self) -> int:
        """See AccountQueues."""
        return self._orders.first_sends

    def is_free(self, job: Job) -> bool:
        """See AccountQueues."""
        urgency = RISK if job.is_risk else ROUTINE
        return not (self._orders and self._orders.first_urgency <= urgency) and self._may_send_unasked(urgency)

    def enqueue(self, job: Job, not_before: float) -> None:
        """See AccountQueues."""
        now = self._shared.clock()
        if not_before > now:
            self._orders.push(job, not_before=not_before)
            self._set_timer(min(not_before, job.waits_until))
        elif self.is_free(job):
            self._give_turn(job, asyncio.get_running_loop().time())
        else:
            self._orders.push(job)
            self._set_timer(job.waits_until)
            self._start_turns(is_risk=job.is_risk)

    def release(self, job: Job) -> None:
        """See AccountQueues; the order must be in flight."""
        job.is_in_flight = False
        self._in_flight -= 1
        self._shared.places.give_back(job)
        if self._orders and self._may_send_unasked(self._orders.first_urgency):
            self._give_turn(self._orders.pop(), asyncio.get_running_loop().time())
        elif self._asked_for is None:
            self._wake.set()

    def escalate(self, job: Job) -> None:
        """See AccountQueues."""
        if self._orders.escalate(job):
            self._start_turns(is_risk=True)

    def block(self, verdict: Verdict) -> None:
        """See AccountQueues."""
        self.stop.block(verdict)
        for job in self._orders.take_all():
            self._give_turn(job, asyncio.get_running_loop().time())

    def withdraw(self) -> None:
        """See AccountQueues."""
        self._orders.take_all()

    def close(self) -> None:
        """See AccountQueues."""
        self.withdraw()
        self._timer.cancel()
        if self._turns is not None:
            self._turns.cancel()

    def _start_turns(self, *, is_risk: bool) -> None:
        if self._turns is None or self._turns.done():
            self._turns = asyncio.create_task(self._give_turns())
        # A wait until the next send is allowed is cut short by nothing less than a more urgent order.
        elif self._asked_for is None or (is_risk and self._asked_for != RISK):
            self._wake.set()

    def _give_turn(self, job: Job, granted_at: float) -> None:
        self._in_flight += 1
        self._shared.places.take(job)
        job.is_in_flight = True
        self._shared.on_turn(job, granted_at)

    def _look_at_clock(self) -> float:
        """Let go what a pause held back, end what is late; answer when to look again, by the loop's clock."""
        now = self._shared.clock()
        for job in self._orders.take_late(now):
            self._shared.on_deadline(job)
        for job in self._orders.take_due(now):
            self.enqueue(job, 0.0)
        return self._loop_time_of(self._orders.next_time())

    def _set_timer(self, at: float) -> None:
        self._timer.set(self._loop_time_of(at))

    def _loop_time_of(self, at: float) -> float:
        return asyncio.get_running_loop().time() + at - self._shared.clock()

    def _may_send_unasked(self, urgency: int, *, is_offered: bool = False) -> bool:
        """Tell whether nothing stands in the way of the next order: then a turn costs no task switch.

        `is_offered`: a place is there, whichever other queue waits for one.
        """
        if self._free_share(urgency) <= 0 or self._shared.rate_limiter.is_limited(self._ucc):
            return False
        is_there = is_offered or not self._shared.places.are_contended(urgency)
        return is_there and not self.stop.paused_seconds and self._shared.is_entitled()

    def _free_share(self, urgency: int) -> int:
        """Count the calls that may be added for the account's orders of this urgency; below 1 for none."""
        policy = self._shared.policy
        return policy.at_once - self._in_flight + (policy.kept if urgency == RISK else 0)

    def _free_places(self, urgency: int) -> int:
        """Count the calls that may be added for them, also by the process."""
        return min(self._free_share(urgency), self._shared.places.free_for(urgency))

    async def _give_turns(self) -> None:
        while self._orders:
            if not self._shared.is_entitled():
                await self._sleep(_ENTITLED_LOOK_SECONDS)
            elif paused := self.stop.paused_seconds:
                await self._sleep(paused)
            elif self._free_places(self._orders.first_urgency) <= 0:
                await self._wait_for_place()
            else:
                await self._ask_for_turns()
        self._shared.places.offer()  # another queue may want what this one was woken for

    async def _wait_for_place(self) -> None:
        urgency = self._orders.first_urgency
        if self._free_share(urgency) > 0:
            self._shared.places.wait(self._use_place, urgency)
        await self._sleep(None)

    async def _ask_for_turns(self) -> None:
        urgency = self._orders.first_urgency
        wanted = min(self._free_places(urgency), self._orders.alike)
        asked_at = asyncio.get_running_loop().time()
        granted, wait_seconds = await self._shared.rate_limiter.take(self._ucc, wanted, is_risk=urgency == RISK)
        for _ in range(granted if self._shared.is_entitled() else 0):
            if self._orders and self._free_share(self._orders.first_urgency) > 0:
                self._give_turn(self._orders.pop(), asked_at)
        # A risk order that came while this was asked may have a turn at once.
        if granted < wanted and not (self._orders and self._orders.first_urgency < urgency):
            self._asked_for = urgency
            await self._sleep(wait_seconds)
            self._asked_for = None

    def _use_place(self) -> bool:
        """Take the place that is free now, or let the task that asks for turns take it; say whether it is wanted."""
        if not self._orders:
            self._wake.set()
            return False
        urgency, places = self._orders.first_urgency, self._shared.places
        if places.free_for(urgency) <= 0:  # the risk order that had waited for a place is gone
            places.wait(self._use_place, urgency)
            return False
        if not self._may_send_unasked(urgency, is_offered=True):
            self._wake.set()
            # What a pause or its own share keeps from sending leaves the place to another account.
            return not self.stop.paused_seconds and self._free_share(urgency) > 0
        self._give_turn(self._orders.pop(), asyncio.get_running_loop().time())
        if self._orders:
            places.wait(self._use_place, self._orders.first_urgency)
        else:
            self._wake.set()
        return True

    async def _sleep(self, seconds: float | None) -> None:
        """Sleep, but not through an arrival: it may be a risk order, which may have a turn at once."""
        self._wake.clear()
        self._shared.places.offer()  # as in _give_turns
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
