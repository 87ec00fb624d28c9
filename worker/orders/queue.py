"""Account queues: who is sent next, at the account's rate, and waiting costs no polling."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.orders.deadline import DeadlineTimer
from worker.orders.job import Job
from worker.orders.places import Places
from worker.orders.ports import RateLimiter
from worker.orders.verdict import Verdict
from worker.orders.waiting import RISK, WaitingOrders

__all__ = ["AccountQueues", "QueuePolicy"]

_ENTITLED_LOOK_SECONDS: Final = 0.05
_STALE_SECONDS: Final = 0.02
"""A turn that is not used by then is given up: sent late, it would meet the sends of the second that follows."""


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
class _Shared:
    """What all account queues of a process have in common."""

    rate_limiter: RateLimiter
    policy: QueuePolicy
    clock: Callable[[], float]
    is_entitled: Callable[[], bool]
    on_turn: Callable[[Job, float], None]
    on_deadline: Callable[[Job], None]
    places: Places


class AccountQueues:
    """The queues of all accounts of one process. While `is_entitled` says no, no order has a turn.

    `on_turn` is called with an order and when its turn was granted (by the loop's clock); the order is in flight then, until
    `release`. `on_deadline` is called with an order whose deadline came before its turn. `clock` gives seconds since the
    epoch, the clock of deadlines. Waiting costs no task.
    """

    def __init__(
        self,
        rate_limiter: RateLimiter,
        policy: QueuePolicy,
        *,
        clock: Callable[[], float],
        is_entitled: Callable[[], bool],
        on_turn: Callable[[Job, float], None],
        on_deadline: Callable[[Job], None],
    ) -> None:
        places = Places(policy.all_at_once)
        self._shared = _Shared(rate_limiter, policy, clock, is_entitled, on_turn, on_deadline, places)
        self._accounts: dict[str, _AccountQueue] = {}

    def enqueue(self, job: Job, *, not_before: float = 0.0) -> None:
        """Let an order wait for its turn, which may come at once; with `not_before` (seconds since the epoch) not before that."""
        self._of(job.ucc).enqueue(job, not_before)

    def release(self, job: Job) -> None:
        """Take an order out of flight; for one that is not in flight this does nothing."""
        if job.is_in_flight:
            self._of(job.ucc).release(job)

    def escalate(self, job: Job) -> None:
        """Let a waiting order that became urgent overtake every routine order."""
        self._of(job.ucc).escalate(job)

    def is_free(self, ucc: str) -> bool:
        """Tell whether the account's next turn would come at once."""
        return self._of(ucc).is_free

    def is_fresh(self, ucc: str, granted_at: float) -> bool:
        """Tell whether a turn that was granted then may still be used."""
        age_seconds = asyncio.get_running_loop().time() - granted_at
        return age_seconds <= _STALE_SECONDS or not self._shared.rate_limiter.is_limited(ucc)

    def pause(self, ucc: str, seconds: float) -> None:
        """Hold a whole account back, as the broker asked."""
        self._of(ucc).stop.pause(seconds)

    def block(self, ucc: str, verdict: Verdict) -> None:
        """Stop an account: its waiting orders have their turn now, to learn of it; after a few seconds one call may try again."""
        self._of(ucc).block(verdict)

    def blocked(self, ucc: str) -> Verdict | None:
        """Answer the verdict that blocked the account, while it answers without a call; else None."""
        return self._of(ucc).stop.blocked

    @property
    def are_idle(self) -> bool:
        """No call is in flight."""
        return self._shared.places.are_all_free

    def waiting(self, ucc: str) -> int:
        """Count the account's orders that wait for their turn."""
        return 0 if (account := self._accounts.get(ucc)) is None else account.waiting

    def quiet_since(self, ucc: str) -> float | None:
        """Say when the account's last call ended, by the loop's clock; None while it sends or wants to."""
        return 0.0 if (account := self._accounts.get(ucc)) is None else account.quiet_since

    def withdraw(self) -> None:
        """Forget every waiting order; `on_turn` and `on_deadline` are not called for them."""
        for account in self._accounts.values():
            account.withdraw()

    def close(self) -> None:
        """Forget every waiting order, and give no turn any more."""
        for account in self._accounts.values():
            account.close()

    def _of(self, ucc: str) -> "_AccountQueue":
        account = self._accounts.get(ucc)
        if account is None:
            account = self._accounts[ucc] = _AccountQueue(ucc, self._shared)
        return account


class _Stop:
    """What keeps an account from sending: a pause that the broker asked for, or a refusal of all that comes from here."""

    def __init__(self, blocked_seconds: float) -> None:
        self._blocked_seconds = blocked_seconds
        self._paused_until = self._blocked_until = 0.0
        self._verdict: Verdict | None = None

    @property
    def paused_seconds(self) -> float:
        """How long the pause still lasts; 0 for none."""
        return max(0.0, self._paused_until - asyncio.get_running_loop().time())

    @property
    def blocked(self) -> Verdict | None:
        return self._verdict if asyncio.get_running_loop().time() < self._blocked_until else None

    def pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def block(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._blocked_until = asyncio.get_running_loop().time() + self._blocked_seconds


class _AccountQueue:
    """One account. `asked_for`: the urgency for which the rate limiter answered "not yet", while that is waited for."""

    def __init__(self, ucc: str, shared: _Shared) -> None:
        self._ucc, self._shared = ucc, shared
        self._orders = WaitingOrders()
        self.stop = _Stop(shared.policy.blocked_seconds)
        self._timer = DeadlineTimer(self._look_at_clock)
        self._in_flight = 0
        self._last_call_ended = 0.0
        self._wake = asyncio.Event()
        self._turns: asyncio.Task[None] | None = None
        self._asked_for: int | None = None

    @property
    def quiet_since(self) -> float | None:
        return None if self._orders or self._in_flight else self._last_call_ended

    @property
    def waiting(self) -> int:
        return len(self._orders)

    @property
    def is_free(self) -> bool:
        return not self._orders and not self._shared.rate_limiter.is_limited(self._ucc) and self._may_send()

    def enqueue(self, job: Job, not_before: float) -> None:
        now = self._shared.clock()
        if not_before > now:
            self._orders.push(job, not_before=not_before)
            self._set_timer(min(not_before, job.deadline_at))
        elif self.is_free:
            self._give_turn(job, asyncio.get_running_loop().time())
        else:
            self._orders.push(job)
            self._set_timer(job.deadline_at)
            self._start_turns(is_risk=job.is_risk)

    def release(self, job: Job) -> None:
        job.is_in_flight = False
        self._in_flight -= 1
        self._shared.places.give_back()
        self._last_call_ended = asyncio.get_running_loop().time()
        if self._asked_for is None:
            self._wake.set()

    def escalate(self, job: Job) -> None:
        if self._orders.escalate(job):
            self._wake.set()

    def block(self, verdict: Verdict) -> None:
        self.stop.block(verdict)
        for job in self._orders.take_all():
            self._give_turn(job, asyncio.get_running_loop().time())

    def withdraw(self) -> None:
        self._orders.take_all()

    def close(self) -> None:
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
        self._shared.places.take()
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

    def _may_send(self) -> bool:
        has_place = self._in_flight < self._shared.policy.at_once and not self._shared.places.are_contended
        return has_place and not self.stop.paused_seconds and self._shared.is_entitled()

    async def _give_turns(self) -> None:
        while self._orders:
            if not self._shared.is_entitled():
                await self._sleep(_ENTITLED_LOOK_SECONDS)
            elif paused := self.stop.paused_seconds:
                await self._sleep(paused)
            elif self._in_flight >= self._shared.policy.at_once:
                await self._sleep(None)
            elif self._shared.places.free <= 0:
                self._shared.places.wait(self._wake_up, self._orders.first_urgency)
                await self._sleep(None)
            else:
                await self._ask_for_turns()

    async def _ask_for_turns(self) -> None:
        urgency = self._orders.first_urgency
        free = min(self._shared.policy.at_once - self._in_flight, self._shared.places.free)
        wanted = min(free, self._orders.alike)
        asked_at = asyncio.get_running_loop().time()
        granted, wait_seconds = await self._shared.rate_limiter.take(self._ucc, wanted, is_risk=urgency == RISK)
        for _ in range(granted if self._shared.is_entitled() else 0):
            if self._orders:
                self._give_turn(self._orders.pop(), asked_at)
        if granted < wanted:
            self._asked_for = urgency
            await self._sleep(wait_seconds)
            self._asked_for = None

    def _wake_up(self) -> bool:
        self._wake.set()
        return bool(self._orders)

    async def _sleep(self, seconds: float | None) -> None:
        """Sleep, but not through an arrival: it may be a risk order, which may have a turn at once."""
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
