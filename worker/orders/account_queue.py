"""One account's queue: whose turn is next, when the rate limiter says so."""

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from worker.orders.account_stop import AccountStop
from worker.orders.account_turns import AccountTurns
from worker.orders.deadline import DeadlineTimer
from worker.orders.job import Job
from worker.orders.pacer import Pacer
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
    pacer: Pacer
    policy: QueuePolicy
    clock: Callable[[], float]
    is_entitled: Callable[[], bool]
    on_turn: Callable[[Job, float], None]
    on_deadline: Callable[[Job], None]
    places: Places


class AccountQueue:
    """One account. Where it has a rate, its turns come from AccountTurns, which asks this queue what it wants."""

    def __init__(self, ucc: str, shared: SharedQueueing) -> None:
        self._ucc, self._shared = ucc, shared
        self._orders = WaitingOrders()
        self.stop = AccountStop(shared.policy.blocked_seconds)
        self._timer = DeadlineTimer(self._look_at_clock)
        self._in_flight = 0
        self._turns = AccountTurns(ucc, self, shared.pacer, shared.places, shared.clock)

    @property
    def is_quiet(self) -> bool:
        """See AccountQueues."""
        return not self._orders and not self._in_flight

    @property
    def is_idle(self) -> bool:
        """Nothing waits here, nothing is under way, and nothing has to be remembered."""
        return self._orders.is_empty and not self._in_flight and self._turns.is_idle and self.stop.is_over

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
        if self._orders and self._orders.first_urgency <= urgency:
            return False
        if self._free_share(urgency) <= 0 or self._shared.places.are_contended(urgency):
            return False
        return not (self._shared.rate_limiter.is_limited(self._ucc) or self._stopped_seconds())

    def enqueue(self, job: Job, not_before: float) -> None:
        """See AccountQueues."""
        now = self._shared.clock()
        if not_before > now:
            self._orders.push(job, not_before=not_before)
            self._timer.set(self._loop_time_of(min(not_before, job.waits_until)))
        elif self.is_free(job):
            self._give_turn(job, now)
        else:
            self._orders.push(job)
            self._timer.set(self._loop_time_of(job.waits_until))
            self.give_turns()

    def release(self, job: Job) -> None:
        """See AccountQueues; the order must be in flight."""
        job.is_in_flight = False
        self._in_flight -= 1
        self._shared.places.give_back(job)
        self.give_turns()

    def escalate(self, job: Job) -> None:
        """See AccountQueues."""
        if self._orders.escalate(job):
            self.give_turns()

    def block(self, verdict: Verdict) -> None:
        """See AccountQueues."""
        self.stop.block(verdict)
        for job in self._orders.take_all():
            self._give_turn(job, self._shared.clock())

    def withdraw(self) -> None:
        """See AccountQueues."""
        self._orders.take_all()

    def close(self) -> None:
        """See AccountQueues."""
        self.withdraw()
        self._timer.cancel()

    def forget(self) -> None:
        """End an idle queue: it is of no use any more. Its parts know it, and what goes round in circles is freed late."""
        self._timer.cancel()
        del self._timer, self._turns

    # ------------------------------------------------------------------ turns

    def _give_turn(self, job: Job, granted_at: float) -> None:
        self._in_flight += 1
        self._shared.places.take(job)
        job.is_in_flight = True
        self._shared.on_turn(job, granted_at)

    def _use_place(self) -> bool:
        """Take the place that is free now; say whether it was taken, or asked for where the account has a rate."""
        if not self._orders:  # it may even be forgotten
            return False
        in_flight, was_idle = self._in_flight, self._turns.is_idle
        self.give_turns()
        return self._in_flight > in_flight or (was_idle and not self._turns.is_idle)

    def _stopped_seconds(self) -> float:
        """Say for how long nothing may be sent, whatever the rate is; without a lease, when to look again."""
        return self.stop.paused_seconds or (0.0 if self._shared.is_entitled() else _ENTITLED_LOOK_SECONDS)

    def _free_share(self, urgency: int) -> int:
        """Count the calls that may be added for the account's orders of this urgency; below 1 for none."""
        policy = self._shared.policy
        return policy.at_once - self._in_flight + (policy.kept if urgency == RISK else 0)

    # ------------------------------------------------------------------ see Sending

    @property
    def urgency(self) -> int | None:
        """See Sending."""
        return self._orders.first_urgency if self._orders else None

    def count(self, urgency: int) -> int:
        """See Sending."""
        return self._orders.count(urgency)

    def may_send(self) -> bool:
        """See Sending."""
        return bool(self._orders) and self.free_places(self._orders.first_urgency) > 0 and not self._stopped_seconds()

    def may_use_turn(self) -> bool:
        """See Sending."""
        return bool(self._orders) and self._free_share(self._orders.first_urgency) > 0 and not self._stopped_seconds()

    def send(self, granted_at: float) -> None:
        """See Sending."""
        self._give_turn(self._orders.pop(), granted_at)

    def give_turns(self) -> None:
        """See Sending."""
        while self._orders and self._free_share(urgency := self._orders.first_urgency) > 0:
            if seconds := self._stopped_seconds():
                self._timer.set(asyncio.get_running_loop().time() + seconds)
                return
            if self.free_places(urgency) <= 0:
                self._shared.places.wait(self._use_place, urgency)
                return
            if self._shared.rate_limiter.is_limited(self._ucc):
                if not self._turns.ask(urgency) and self._turns.is_idle:
                    self._shared.places.wait(self._use_place, urgency)
                return
            self._give_turn(self._orders.pop(), self._shared.clock())

    def free_places(self, urgency: int) -> int:
        """See Sending."""
        return min(self._free_share(urgency), self._shared.places.free_for(urgency))

    # ------------------------------------------------------------------ time

    def _look_at_clock(self) -> float:
        """Let go what a pause held back, end what is late; answer when to look again, by the loop's clock."""
        now = self._shared.clock()
        for job in self._orders.take_late(now):
            self._shared.on_deadline(job)
        for job in self._orders.take_due(now):
            self.enqueue(job, 0.0)
        self.give_turns()
        return self._loop_time_of(self._orders.next_time())

    def _loop_time_of(self, at: float) -> float:
        return asyncio.get_running_loop().time() + at - self._shared.clock()
