"""One account's queue: whose turn is next, when the rate limiter says so."""

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from worker.orders.account_stop import AccountStop
from worker.orders.deadline import DeadlineTimer
from worker.orders.job import Job
from worker.orders.pacer import Pacer
from worker.orders.places import Places
from worker.orders.ports import RateLimiter, TurnRequest, Turns
from worker.orders.verdict import Verdict
from worker.orders.waiting import RISK, ROUTINE, WaitingOrders

__all__ = ["AccountQueue", "QueuePolicy", "SharedQueueing"]

_ENTITLED_LOOK_SECONDS: Final = 0.05
_EARLY_SECONDS: Final = 0.001


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
    """One account. It is an Asker: the pacer asks for its turns.

    `asked_for`: the urgency for which the pacer was told to ask, None while it need not. `reserved`: turns that were granted for
    a time that has not come.
    """

    def __init__(self, ucc: str, shared: SharedQueueing) -> None:
        self._ucc, self._shared = ucc, shared
        self._orders = WaitingOrders()
        self.stop = AccountStop(shared.policy.blocked_seconds)
        self._timer = DeadlineTimer(self._look_at_clock)
        self._in_flight = self._reserved = 0
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
            self._give_turns()

    def release(self, job: Job) -> None:
        """See AccountQueues; the order must be in flight."""
        job.is_in_flight = False
        self._in_flight -= 1
        self._shared.places.give_back(job)
        self._give_turns()

    def escalate(self, job: Job) -> None:
        """See AccountQueues."""
        if self._orders.escalate(job):
            self._give_turns()

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

    # ------------------------------------------------------------------ turns

    def _give_turns(self) -> None:
        """Give turns as far as nothing stands in the way, and have what does look here again when it is gone."""
        while self._orders and self._free_share(urgency := self._orders.first_urgency) > 0:
            if seconds := self._stopped_seconds():
                self._timer.set(asyncio.get_running_loop().time() + seconds)
                return
            if self._free_places(urgency) <= 0:
                self._shared.places.wait(self._use_place, urgency)
                return
            if self._shared.rate_limiter.is_limited(self._ucc):
                if self._wanted > 0:
                    self._ask()
                return
            self._give_turn(self._orders.pop(), self._shared.clock())

    def _give_turn(self, job: Job, granted_at: float) -> None:
        self._in_flight += 1
        self._shared.places.take(job)
        job.is_in_flight = True
        self._shared.on_turn(job, granted_at)

    def _use_place(self) -> bool:
        """Take the place that is free now; say whether it was taken: an account with a rate asks first."""
        before = self._in_flight
        self._give_turns()
        return self._in_flight > before

    def _stopped_seconds(self) -> float:
        """Say for how long nothing may be sent, whatever the rate is; without a lease, when to look again."""
        return self.stop.paused_seconds or (0.0 if self._shared.is_entitled() else _ENTITLED_LOOK_SECONDS)

    def _may_send(self) -> bool:
        return bool(self._orders) and self._free_places(self._orders.first_urgency) > 0 and not self._stopped_seconds()

    def _free_share(self, urgency: int) -> int:
        """Count the calls that may be added for the account's orders of this urgency; below 1 for none."""
        policy = self._shared.policy
        return policy.at_once - self._in_flight + (policy.kept if urgency == RISK else 0)

    def _free_places(self, urgency: int) -> int:
        """Count the calls that may be added for them, also by the process."""
        return min(self._free_share(urgency), self._shared.places.free_for(urgency))

    # ------------------------------------------------------------------ turns that the rate limiter grants

    @property
    def _wanted(self) -> int:
        """Count the turns that are worth asking for, beside those that are reserved."""
        urgency = self._orders.first_urgency
        wanted = min(self._free_places(urgency), self._orders.alike) - self._reserved
        return max(wanted, 1) if urgency == RISK else wanted

    def _ask(self) -> None:
        """Have turns asked for now. A wait until the next one is cut short by nothing less than a more urgent order."""
        urgency = self._orders.first_urgency
        if self._asked_for is None or urgency < self._asked_for:
            self._asked_for = urgency
            self._shared.pacer.want(self, asyncio.get_running_loop().time(), urgent=urgency == RISK)

    def request(self) -> TurnRequest | None:
        """See Asker."""
        if not self._may_send() or self._wanted <= 0:
            self._asked_for = None
            self._give_turns()  # has what stands in the way look here again
            return None
        self._asked_for = self._orders.first_urgency
        return TurnRequest(self._ucc, self._wanted, is_risk=self._asked_for == RISK)

    def granted(self, request: TurnRequest, turns: Turns) -> None:
        """See Asker."""
        for at in turns.at:
            self._reserved += 1
            self._use_turn(at)
        if self._asked_for == RISK and not request.is_risk:
            return  # a risk order came meanwhile, and is asked for next
        self._asked_for = None
        if len(self._orders) > self._reserved:
            has_risk = self._orders.first_urgency == RISK and self._orders.alike > self._reserved
            self._asked_for = RISK if has_risk else ROUTINE
            self._shared.pacer.want(self, self._loop_time_of(turns.again_at), urgent=False)

    def _use_turn(self, granted_at: float) -> None:
        # Asked again when the timer fires: a loop's own clock is that of when it woke up last.
        if (seconds := granted_at - self._shared.clock()) > _EARLY_SECONDS:
            asyncio.get_running_loop().call_later(seconds, self._use_turn, granted_at)
            return
        self._reserved -= 1
        if self._may_send():
            self._give_turn(self._orders.pop(), granted_at)
        self._give_turns()

    def _look_at_clock(self) -> float:
        """Let go what a pause held back, end what is late; answer when to look again, by the loop's clock."""
        now = self._shared.clock()
        for job in self._orders.take_late(now):
            self._shared.on_deadline(job)
        for job in self._orders.take_due(now):
            self.enqueue(job, 0.0)
        self._give_turns()
        return self._loop_time_of(self._orders.next_time())

    def _loop_time_of(self, at: float) -> float:
        return asyncio.get_running_loop().time() + at - self._shared.clock()
