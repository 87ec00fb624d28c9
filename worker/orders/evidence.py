"""Looking at the order book: one read serves all orders of an account that wait for evidence."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from worker.orders.deadline import DeadlineTimer
from worker.orders.finding import Finding, LookResult, find
from worker.orders.job import Job
from worker.orders.ports import Reads

__all__ = ["Evidence", "ReadingPolicy"]


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """When to read. Durations in seconds.

    Few orders are read one by one, more in one book read. An order that was acknowledged is patient: it is looked at when
    `crowd` of them wait, when the account has sent nothing for `quiet`, or after `patience`; before the book was
    ever readable, after `probe`, so that a broker without one is found out early. `reads_per_second` is the
    account's budget for reads, apart from that of cancels. With these figures 1,000 orders at the default 8 a second
    cost 9 reads: the probe, one per crowd, and the last one.
    """

    few: int = 2
    crowd: int = 140
    quiet: float = 0.1
    patience: float = 18.0
    probe: float = 1.0
    gather: float = 0.02
    reads_per_second: float = 5.0
    at_once: int = 3


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the accounts of a process have in common."""

    reads: Reads
    policy: ReadingPolicy
    quiet_since: Callable[[str], float | None]
    on_look: Callable[[Job, LookResult], None]
    on_deadline: Callable[[Job], None]


@dataclass(slots=True, eq=False)
class _Waiter:
    """An order that waits for a look. Times by the loop's clock: `ready_at` is when the pause before the look ends."""

    job: Job | None  # None: it has its answer, or waits no more
    ready_at: float
    until: float
    patient: bool
    thorough: bool


class Evidence:
    """Looks for all accounts of one process. Reads never take a cancel's turn.

    `quiet_since` says when an account's last call ended, None while it sends. `on_look` is called once for each order that
    waits, with what a look that began after its pause gave; `on_deadline` instead of it where no look was had in time.
    """

    def __init__(
        self,
        reads: Reads,
        policy: ReadingPolicy,
        *,
        quiet_since: Callable[[str], float | None],
        on_look: Callable[[Job, LookResult], None],
        on_deadline: Callable[[Job], None],
    ) -> None:
        self._shared = _Shared(reads, policy, quiet_since, on_look, on_deadline)
        self._accounts: dict[str, _Account] = {}

    def enqueue(
        self,
        job: Job,
        *,
        not_before: float = 0.0,
        until: float = math.inf,
        patient: bool = False,
        thorough: bool = False,
    ) -> None:
        """Let an order wait for a look. Waiting costs no task.

        Times by the loop's clock: the look begins after `not_before`; `until` is when it is not wanted any more. `patient`: it
        may wait for other orders that need one. `thorough`: read the whole book, because a single read of an order that
        is not there proves nothing.
        """
        self._of(job.ucc).enqueue(job, not_before, until, patient=patient, thorough=thorough)

    def withdraw(self) -> None:
        """Forget every waiting order; neither `on_look` nor `on_deadline` is called for them."""
        for account in self._accounts.values():
            account.withdraw()

    def close(self) -> None:
        """Stop reading; reads under way are cancelled."""
        for account in self._accounts.values():
            account.close()

    def _of(self, ucc: str) -> "_Account":
        account = self._accounts.get(ucc)
        if account is None:
            account = self._accounts[ucc] = _Account(ucc, self._shared)
        return account


class _Account:
    """One account. `is_readable`: its last read gave a book."""

    def __init__(self, ucc: str, shared: _Shared) -> None:
        self._ucc, self._shared = ucc, shared
        self._waiters: list[_Waiter] = []
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(shared.policy.at_once)
        self._reading: dict[asyncio.Task[None], list[_Waiter]] = {}
        self._timer = DeadlineTimer(self._end_late)
        self._loop_task: asyncio.Task[None] | None = None
        self._next_read_at = self._sleeps_until = 0.0
        self._is_readable = False

    def enqueue(self, job: Job, not_before: float, until: float, *, patient: bool, thorough: bool) -> None:
        ready_at = max(not_before, asyncio.get_running_loop().time())
        self._waiters.append(_Waiter(job, ready_at, until, patient, thorough))
        self._timer.set(until)
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = asyncio.create_task(self._read_while_needed())
        elif self._sleeps_until > ready_at + self._shared.policy.quiet or self._is_urgent(patient=patient):
            self._wake.set()

    def _is_urgent(self, *, patient: bool) -> bool:
        return not patient or len(self._waiters) >= self._shared.policy.crowd

    def withdraw(self) -> None:
        for waiter in self._open():
            waiter.job = None

    def close(self) -> None:
        self._timer.cancel()
        for task in (self._loop_task, *self._reading):
            if task is not None:
                task.cancel()

    def _open(self) -> list[_Waiter]:
        return [waiter for some in (self._waiters, *self._reading.values()) for waiter in some if waiter.job]

    def _end_late(self) -> float:
        now = asyncio.get_running_loop().time()
        for waiter in self._open():
            if waiter.until <= now and waiter.job:
                job, waiter.job = waiter.job, None
                self._shared.on_deadline(job)
        return min((waiter.until for waiter in self._open()), default=math.inf)

    def _answer(self, waiter: _Waiter, result: LookResult) -> None:
        job, waiter.job = waiter.job, None
        if job is not None:
            self._shared.on_look(job, result)

    async def _read_while_needed(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiters:
            await self._until_due()
            await self._slots.acquire()
            now = loop.time()
            await asyncio.sleep(max(0.0, self._next_read_at - now))
            waiters = self._take_ready(loop.time())
            if not waiters:
                self._slots.release()
                continue
            calls = len(waiters) if self._one_by_one(waiters) else 1
            self._next_read_at = max(now, self._next_read_at) + calls / self._shared.policy.reads_per_second
            task = asyncio.create_task(self._read(waiters))
            self._reading[task] = waiters
            task.add_done_callback(self._read_done)

    def _read_done(self, task: "asyncio.Task[None]") -> None:
        del self._reading[task]
        self._slots.release()

    def _take_ready(self, now: float) -> list[_Waiter]:
        waiting = [waiter for waiter in self._waiters if waiter.job]
        self._waiters = [waiter for waiter in waiting if waiter.ready_at > now]
        return [waiter for waiter in waiting if waiter.ready_at <= now]

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while (seconds := self._seconds_to_wait(loop.time())) > 0:
            self._sleeps_until = loop.time() + seconds
            self._wake.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _seconds_to_wait(self, now: float) -> float:
        # A moment for other orders that fail in the same burst.
        gather = self._shared.policy.gather
        seconds = (
            min((waiter.ready_at for waiter in self._waiters if not waiter.patient), default=math.inf) + gather - now
        )
        patient = [waiter.ready_at for waiter in self._waiters if waiter.patient]
        return min(seconds, self._patience(patient, now)) if patient else seconds

    def _patience(self, asked_at: list[float], now: float) -> float:
        """How many seconds acknowledged orders may still wait for others."""
        policy = self._shared.policy
        if len(self._waiters) >= policy.crowd:
            return 0.0
        patience = (policy.patience if self._is_readable else policy.probe) - (now - asked_at[0])
        quiet_since = self._shared.quiet_since(self._ucc)
        if quiet_since is None:  # still sending: look again in a moment
            return min(patience, policy.quiet)
        return min(patience, policy.quiet - (now - max(quiet_since, asked_at[-1])))

    def _one_by_one(self, waiters: list[_Waiter]) -> bool:
        return len(waiters) <= self._shared.policy.few and not any(waiter.thorough for waiter in waiters)

    async def _read(self, waiters: list[_Waiter]) -> None:
        try:
            if self._one_by_one(waiters):
                await asyncio.gather(*(self._read_order(waiter) for waiter in waiters))
            else:
                page = await self._shared.reads.read_book(self._ucc)
                self._is_readable = page is not None and page.rows is not None
                for waiter in waiters:
                    if waiter.job:
                        self._answer(waiter, LookResult(find(page, waiter.job.order_number), "book"))
        finally:
            for waiter in waiters:
                self._answer(waiter, LookResult(Finding.UNREADABLE, "book"))

    async def _read_order(self, waiter: _Waiter) -> None:
        if waiter.job is None:
            return
        number = waiter.job.order_number
        page = await self._shared.reads.read_order(self._ucc, number)
        self._is_readable = page is not None and page.rows is not None
        found = find(page, number)
        # One order's read that lacks the order is no readable book.
        self._answer(waiter, LookResult(Finding.NO_DATA if found is Finding.MISSING else found, "order"))
