"""Whose turn it is: one priority queue an account, paced for all processes, so that waiting costs no polling."""

import asyncio
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

from worker.job import Job
from worker.verdict import Verdict

__all__ = ["LanePolicy", "Lanes", "Pace"]

_ROUTINE: Final = 1
_RISK: Final = 0
_ENTITLED_LOOK_SECONDS: Final = 0.05
_STALE_SECONDS: Final = 0.02
"""A grant not used by then is given up: sent late, it would meet the sends of the second that follows."""


class Pace(Protocol):
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


@dataclass(slots=True)
class _Waiter:
    job: Job
    turn: "asyncio.Future[bool]"
    granted_at: float = 0.0


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
        pace: Pace,
        policy: LanePolicy,
        clock: Callable[[], float],
        is_entitled: Callable[[], bool] = lambda: True,
    ) -> None:
        self._pace, self._policy, self._clock, self._is_entitled = pace, policy, clock, is_entitled
        self._places = _Places(policy.all_at_once)
        self._accounts: dict[str, _Lane] = {}

    def of(self, ucc: str) -> "_Lane":
        """Find or make an account's lane."""
        lane = self._accounts.get(ucc)
        if lane is None:
            lane = self._accounts[ucc] = _Lane(
                ucc,
                pace=self._pace,
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
        pace: Pace,
        policy: LanePolicy,
        clock: Callable[[], float],
        is_entitled: Callable[[], bool],
        places: _Places,
    ) -> None:
        self._ucc, self._pace, self._policy, self._clock = ucc, pace, policy, clock
        self._is_entitled, self._places = is_entitled, places
        self._heap: list[tuple[int, float, int, _Waiter]] = []
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
        return not self._heap and not self._pace.is_limited(self._ucc) and self._may_send()

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

    def close(self) -> None:
        """See Lanes.close."""
        self._is_closed = True
        while self._heap:
            _tell(heapq.heappop(self._heap)[3], is_yours=False)
        if self._pacer is not None:
            self._pacer.cancel()

    async def turn(self, job: Job) -> bool:
        """Wait for this job's turn; False when its deadline came first or the lane closed. After True call `done`."""
        if self._is_closed:
            return False
        if self.is_free:
            self._in_flight += 1
            self._places.free -= 1
            return True
        loop = asyncio.get_running_loop()
        while True:
            waiter = _Waiter(job, loop.create_future())
            if not await self._wait_for(waiter):
                return False
            if not self._pace.is_limited(self._ucc) or loop.time() - waiter.granted_at <= _STALE_SECONDS:
                return True
            self.done()

    async def _wait_for(self, waiter: _Waiter) -> bool:
        loop = asyncio.get_running_loop()
        self._push(waiter)
        alarm = loop.call_later(max(0.0, waiter.job.deadline_at - self._clock()), _tell, waiter, False)
        if self._pacer is None or self._pacer.done():
            self._pacer = asyncio.create_task(self._give_turns())
        # Who sleeps until the next send is allowed is woken by nothing less than a more urgent order.
        elif self._sleeps_for is None or (waiter.job.is_risk and self._sleeps_for == _ROUTINE):
            self._wake.set()
        try:
            return await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.result():
                self.done()
            raise
        finally:
            alarm.cancel()

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
            waiter = entry[3]
            if waiter.job.order_number == order_number and entry[0] != _RISK:
                self._heap.remove(entry)
                heapq.heapify(self._heap)
                self._push(waiter)
                self._wake.set()

    def _push(self, waiter: _Waiter) -> None:
        job = waiter.job
        urgency = _RISK if job.is_risk else _ROUTINE
        # A second try for what has ended waits for every first one.
        deadline_at = math.inf if job.is_watched else job.deadline_at
        heapq.heappush(self._heap, (urgency, deadline_at, next(self._arrivals), waiter))

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
            granted, wait_seconds = await self._pace.take(self._ucc, min(free, same), is_risk=is_risk)
            for _ in range(granted if self._is_entitled() else 0):
                self._next(asked_at)
            if granted == 0:
                self._sleeps_for = _RISK if is_risk else _ROUTINE
                await self._sleep(wait_seconds)
                self._sleeps_for = None

    def _next(self, granted_at: float) -> None:
        while self._heap:
            waiter = heapq.heappop(self._heap)[3]
            if not waiter.turn.done():
                waiter.granted_at = granted_at
                self._in_flight += 1
                self._places.free -= 1
                _tell(waiter, is_yours=True)
                return

    async def _sleep(self, seconds: float | None) -> None:
        """Sleep, but not through an arrival: it may be a risk order, which may have a turn at once."""
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


def _tell(waiter: _Waiter, is_yours: bool) -> None:
    if not waiter.turn.done():
        waiter.turn.set_result(is_yours)
