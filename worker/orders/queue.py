"""Whose turn it is: one priority queue an account, paced for all processes, so that waiting costs no polling."""

import asyncio
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final, Protocol

from worker.orders.deadline import DeadlineTimer
from worker.orders.job import Job
from worker.orders.verdict import Verdict

__all__ = ["LanePolicy", "Lanes", "RateLimiter"]

Tell = Callable[[Job, float | None], bool]
"""Called once for who lined up: with when the turn was granted, or None where none will come. Answers whether it is used."""

_ROUTINE: Final = 1
_RISK: Final = 0
_ENTITLED_LOOK_SECONDS: Final = 0.05
_STALE_SECONDS: Final = 0.02
"""A grant not used by then is given up: sent late, it would meet the sends of the second that follows."""


class RateLimiter(Protocol):
    """The account's shared rate."""

    async def take(self, ucc: str, wanted: int, *, is_risk: bool) -> tuple[int, float]:
        """Ask for sends: how many are granted, and in how many seconds it is worth asking again."""
        ...

    async def slow_down(self, ucc: str) -> None:
        """Say that the broker found the account too fast."""
        ...

    def is_limited(self, ucc: str) -> bool:
        """Whether the account has a rate at all."""
        ...


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """How much may be under way.

    `at_once`: calls of one account in flight. `all_at_once`: calls of the process in flight. `blocked_seconds`: how long
    a blocked account answers without a call.
    """

    at_once: int = 16
    all_at_once: int = 64
    blocked_seconds: float = 5.0


class _Places:
    """Places in flight of the whole process. Lanes that find none get the next ones in turn, those with a risk order first."""

    def __init__(self, most: int) -> None:
        self.free = most
        self._starving: tuple[dict[_Lane, None], ...] = ({}, {})  # by urgency

    @property
    def are_contended(self) -> bool:
        """Somebody waits for a place, or would have to."""
        return self.free <= 0 or bool(self._starving[_RISK]) or bool(self._starving[_ROUTINE])

    def queue_up(self, lane: "_Lane", urgency: int) -> None:
        """Ask to be woken when a place is free."""
        self._starving[urgency][lane] = None

    def give_back(self) -> None:
        """Free a place and wake the lane whose turn it is."""
        self.free += 1
        for lanes in self._starving:
            while lanes:
                lane = next(iter(lanes))
                del lanes[lane]
                if lane.waiting:
                    lane.wake()
                    return


class Lanes:
    """The lanes of all accounts of one process. While `is_entitled` says no, nobody has a turn."""

    def __init__(
        self,
        rate_limiter: RateLimiter,
        policy: LanePolicy,
        clock: Callable[[], float],
        is_entitled: Callable[[], bool] = lambda: True,
    ) -> None:
        self._rate_limiter, self._policy, self._clock, self._is_entitled = rate_limiter, policy, clock, is_entitled
        self._places = _Places(policy.all_at_once)
        self._accounts: dict[str, _Lane] = {}

    def of(self, ucc: str) -> "_Lane":
        """Find or make an account's lane."""
        lane = self._accounts.get(ucc)
        if lane is None:
            lane = self._accounts[ucc] = _Lane(
                ucc,
                rate_limiter=self._rate_limiter,
                policy=self._policy,
                clock=self._clock,
                is_entitled=self._is_entitled,
                places=self._places,
            )
        return lane

    @property
    def are_idle(self) -> bool:
        """No call is in flight."""
        return self._places.free == self._policy.all_at_once

    def quiet_since(self, ucc: str) -> float | None:
        """When the account's last call ended, by the loop's clock; None while it sends or wants to."""
        lane = self._accounts.get(ucc)
        return 0.0 if lane is None else lane.quiet_since

    def withdraw(self) -> None:
        """Forget who waits; nobody is told."""
        for lane in self._accounts.values():
            lane.withdraw()

    def close(self) -> None:
        """Send nobody any more: who waits is told that no turn will come."""
        for lane in self._accounts.values():
            lane.close()


class _Lane:
    """One account: risk before routine, then the earlier deadline, then the earlier arrival."""

    def __init__(
        self,
        ucc: str,
        *,
        rate_limiter: RateLimiter,
        policy: LanePolicy,
        clock: Callable[[], float],
        is_entitled: Callable[[], bool],
        places: _Places,
    ) -> None:
        self._ucc, self._rate_limiter, self._policy, self._clock = ucc, rate_limiter, policy, clock
        self._is_entitled, self._places = is_entitled, places
        self._heap: list[tuple[int, float, int, Job, Tell]] = []
        self._timer = DeadlineTimer(self._expire)
        self._arrivals = count()
        self._in_flight = 0
        self._last_call_ended = 0.0
        self._wake = asyncio.Event()
        self._pacer: asyncio.Task[None] | None = None
        self._paused_until = 0.0
        self._blocked_until = 0.0
        self._blocked: Verdict | None = None
        self._is_closed = False
        self._sleeps_for: int | None = None

    @property
    def quiet_since(self) -> float | None:
        """See Lanes.quiet_since."""
        return None if self._heap or self._in_flight else self._last_call_ended

    @property
    def is_free(self) -> bool:
        """The next turn would come at once."""
        return not self._heap and not self._rate_limiter.is_limited(self._ucc) and self._may_send()

    @property
    def waiting(self) -> int:
        """How many orders wait for their turn."""
        return len(self._heap)

    @property
    def blocked(self) -> Verdict | None:
        """The verdict that blocked the account, while it answers without a call."""
        return self._blocked if asyncio.get_running_loop().time() < self._blocked_until else None

    def block(self, verdict: Verdict) -> None:
        """Stop the account: who waits finds out without a call; after a few seconds one call may try again."""
        self._blocked = verdict
        self._blocked_until = asyncio.get_running_loop().time() + self._policy.blocked_seconds
        while self._heap:
            self._next(asyncio.get_running_loop().time())

    def pause(self, seconds: float) -> None:
        """Hold the whole account back, as the broker asked."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def withdraw(self) -> None:
        """See Lanes.withdraw."""
        self._heap.clear()

    def close(self) -> None:
        """See Lanes.close."""
        self._is_closed = True
        self._timer.cancel()
        while self._heap:
            *_, job, tell = heapq.heappop(self._heap)
            tell(job, None)
        if self._pacer is not None:
            self._pacer.cancel()

    def line_up(self, job: Job, tell: Tell) -> None:
        """Have `tell` called when it is this job's turn, perhaps at once; who uses the turn calls `done` after it.

        It is called with None when the job's deadline came first or the lane closed. Waiting costs no task.
        """
        loop = asyncio.get_running_loop()
        if self._is_closed:
            tell(job, None)
        elif self.is_free:
            self._in_flight += 1
            self._places.free -= 1
            tell(job, loop.time())
        else:
            self._push(job, tell)
            self._timer.set(self._loop_time_of(job.deadline_at))
            if self._pacer is None or self._pacer.done():
                self._pacer = asyncio.create_task(self._give_turns())
            # Who sleeps until the next send is allowed is woken by nothing less than a more urgent order.
            elif self._sleeps_for is None or (job.is_risk and self._sleeps_for == _ROUTINE):
                self._wake.set()

    def is_fresh(self, granted_at: float) -> bool:
        """Whether a turn granted then may still be used."""
        age_seconds = asyncio.get_running_loop().time() - granted_at
        return age_seconds <= _STALE_SECONDS or not self._rate_limiter.is_limited(self._ucc)

    async def turn(self, job: Job) -> bool:
        """Wait for this job's turn; False when its deadline came first or the lane closed. After True call `done`."""
        while True:
            turn: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
            self.line_up(job, partial(_answer, turn))
            try:
                granted_at = await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and turn.result() is not None:
                    self.done()
                raise
            if granted_at is None:
                return False
            if self.is_fresh(granted_at):
                return True
            self.done()

    def done(self) -> None:
        """Give the place in flight back."""
        self._in_flight -= 1
        self._places.give_back()
        self._last_call_ended = asyncio.get_running_loop().time()
        if self._sleeps_for is None:
            self._wake.set()

    def wake(self) -> None:
        """Look again: a place in flight is free."""
        self._wake.set()

    def hurry(self, order_number: str) -> None:
        """Move a waiting order to the risk lane."""
        for entry in list(self._heap):
            urgency, _, _, job, tell = entry
            if job.order_number == order_number and urgency != _RISK:
                self._heap.remove(entry)
                heapq.heapify(self._heap)
                self._push(job, tell)
                self._wake.set()

    def _push(self, job: Job, tell: Tell) -> None:
        urgency = _RISK if job.is_risk else _ROUTINE
        # A second try for what has ended waits for every first one.
        deadline_at = math.inf if job.is_watched else job.deadline_at
        heapq.heappush(self._heap, (urgency, deadline_at, next(self._arrivals), job, tell))

    def _expire(self) -> float:
        """Tell those whose time is up; answer when the next one's is."""
        now = self._clock()
        late = [entry for entry in self._heap if entry[3].deadline_at <= now]
        if late:
            self._heap = [entry for entry in self._heap if entry[3].deadline_at > now]
            heapq.heapify(self._heap)
        for *_, job, tell in late:
            tell(job, None)
        return self._loop_time_of(min((entry[3].deadline_at for entry in self._heap), default=math.inf))

    def _loop_time_of(self, at: float) -> float:
        return asyncio.get_running_loop().time() + at - self._clock()

    def _may_send(self) -> bool:
        is_paused = asyncio.get_running_loop().time() < self._paused_until
        has_place = self._in_flight < self._policy.at_once and not self._places.are_contended
        return has_place and not is_paused and self._is_entitled()

    async def _give_turns(self) -> None:
        while self._heap:
            if not self._is_entitled():
                await self._sleep(_ENTITLED_LOOK_SECONDS)
                continue
            free = self._policy.at_once - self._in_flight
            paused = self._paused_until - asyncio.get_running_loop().time()
            if free <= 0 or paused > 0:
                await self._sleep(paused if paused > 0 else None)
                continue
            if self._places.free <= 0:
                self._places.queue_up(self, self._heap[0][0])
                await self._sleep(None)
                continue
            free = min(free, self._places.free)
            is_risk = self._heap[0][0] == _RISK
            same = sum(entry[0] == self._heap[0][0] for entry in self._heap) if is_risk else len(self._heap)
            asked_at = asyncio.get_running_loop().time()
            wanted = min(free, same)
            granted, wait_seconds = await self._rate_limiter.take(self._ucc, wanted, is_risk=is_risk)
            for _ in range(granted if self._is_entitled() else 0):
                self._next(asked_at)
            if granted < wanted:
                self._sleeps_for = _RISK if is_risk else _ROUTINE
                await self._sleep(wait_seconds)
                self._sleeps_for = None

    def _next(self, granted_at: float) -> None:
        while self._heap:
            *_, job, tell = heapq.heappop(self._heap)
            self._in_flight += 1
            self._places.free -= 1
            if tell(job, granted_at):
                return
            self._in_flight -= 1
            self._places.free += 1

    async def _sleep(self, seconds: float | None) -> None:
        """Sleep, but not through an arrival: it may be a risk order, which may have a turn at once."""
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


def _answer(turn: "asyncio.Future[float | None]", _job: Job, granted_at: float | None) -> bool:
    if turn.done():  # cancelled meanwhile
        return False
    turn.set_result(granted_at)
    return True
