"""One account's queue: whose turn is next, when the rate limiter says so."""

import asyncio
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
from worker.orders.waiting import RISK, WaitingOrders

__all__ = ["AccountQueue", "QueuePolicy", "SharedQueueing"]

_ENTITLED_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How much may be under way.

    `at_once`: calls of one account in flight. `all_at_once`: calls of the process in flight. `blocked_seconds`: how long
    a blocked account answers without a call.
    """

    at_once: int = 16
    all_at_once: int = 64
    blocked_seconds: float = 5.0


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
    def waiting(self) -> int:
        """See AccountQueues."""
        return len(self._orders)

    @property
    def is_free(self) -> bool:
        """See AccountQueues."""
        if self._orders or self._shared.places.are_contended or self._in_flight >= self._shared.policy.at_once:
            return False
        return not (self._shared.rate_limiter.is_limited(self._ucc) or self._stopped_seconds())

    def enqueue(self, job: Job, not_before: float) -> None:
        """See AccountQueues."""
        now = self._shared.clock()
        if not_before > now:
            self._orders.push(job, not_before=not_before)
            self._set_timer(min(not_before, job.waits_until))
        elif self.is_free:
            self._give_turn(job, asyncio.get_running_loop().time())
        else:
            self._orders.push(job)
            self._set_timer(job.waits_until)
            self._give_turns()

    def release(self, job: Job) -> None:
        """See AccountQueues; the order must be in flight."""
        job.is_in_flight = False
        self._in_flight -= 1
        self._shared.places.give_back()
        self._give_turns()

    def escalate(self, job: Job) -> None:
        """See AccountQueues."""
        if self._orders.escalate(job):
            self._give_turns()

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

    # ------------------------------------------------------------------ turns

    def _give_turns(self) -> None:
        """Give turns as far as nothing stands in the way, and have what does look here again when it is gone."""
        while self._orders and self._in_flight < self._shared.policy.at_once:
            if seconds := self._stopped_seconds():
                self._timer.set(asyncio.get_running_loop().time() + seconds)
                return
            if self._shared.places.free <= 0:
                self._shared.places.wait(self._use_place, self._orders.first_urgency)
                return
            if self._shared.rate_limiter.is_limited(self._ucc):
                if self._wanted > 0:
                    self._ask()
                return
            self._give_turn(self._orders.pop(), asyncio.get_running_loop().time())

    def _give_turn(self, job: Job, granted_at: float) -> None:
        self._in_flight += 1
        self._shared.places.take()
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
        has_place = self._in_flight < self._shared.policy.at_once and self._shared.places.free > 0
        return bool(self._orders) and has_place and not self._stopped_seconds()

    # ------------------------------------------------------------------ turns that the rate limiter grants

    @property
    def _wanted(self) -> int:
        """Count the turns that are worth asking for, beside those that are reserved."""
        free = min(self._shared.policy.at_once - self._in_flight, self._shared.places.free)
        wanted = min(free, self._orders.alike) - self._reserved
        return max(wanted, 1) if self._orders.first_urgency == RISK else wanted

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

    def granted(self, turns: Turns) -> None:
        """See Asker."""
        loop = asyncio.get_running_loop()
        offset = loop.time() - self._shared.clock()
        for at in turns.at:
            self._reserved += 1
            loop.call_at(max(at + offset, loop.time()), self._use_turn, at + offset)
        self._asked_for = None
        if len(self._orders) > self._reserved:
            self._asked_for = self._orders.first_urgency
            self._shared.pacer.want(self, turns.again_at + offset, urgent=False)

    def _use_turn(self, granted_at: float) -> None:
        self._reserved -= 1
        if self._may_send():
            self._give_turn(self._orders.pop(), granted_at)
        self._give_turns()

    # ------------------------------------------------------------------ times

    def _look_at_clock(self) -> float:
        """Let go what a pause held back, end what is late; answer when to look again, by the loop's clock."""
        now = self._shared.clock()
        for job in self._orders.take_late(now):
            self._shared.on_deadline(job)
        for job in self._orders.take_due(now):
            self.enqueue(job, 0.0)
        self._give_turns()
        return self._loop_time_of(self._orders.next_time())

    def _set_timer(self, at: float) -> None:
        self._timer.set(self._loop_time_of(at))

    def _loop_time_of(self, at: float) -> float:
        return asyncio.get_running_loop().time() + at - self._shared.clock()
