"""The orders of one account that wait for evidence, and when its book is read for them."""

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from worker.kotak.order_book import BookPage, Row
from worker.orders.deadline import DeadlineTimer
from worker.orders.finding import Finding, LookResult, find
from worker.orders.job import Job
from worker.orders.known_dead import KnownDead
from worker.orders.ports import ReadBudget, Reads

__all__ = ["AccountEvidence", "ReadingPolicy", "SharedReading"]

_LOOK_SECONDS: Final = 0.1
_MOST_PAUSE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """When to read. Durations in seconds.

    A single order is read by itself, more of them in one book read. An order that was acknowledged is patient: while the account
    goes on sending, others are acknowledged soon, and it waits `soon` for them. `gather`: how long any other one waits for others
    that fail in the same burst. `stalled`: an order whose read has not answered by then is read again beside it; `at_once`:
    so many reads of one account may be under way. A book is read again `cost` seconds later for each of its rows, so that a
    long one does not take a worker's processor; how long the network took for it says nothing about that.
    """

    soon: float = 1.2
    gather: float = 0.02
    stalled: float = 1.0
    at_once: int = 6
    cost: float = 0.0002


@dataclass(frozen=True, slots=True)
class SharedReading:
    """What the accounts of a process have in common."""

    reads: Reads
    budget: ReadBudget
    policy: ReadingPolicy
    clock: Callable[[], float]
    is_quiet: Callable[[str], bool]
    on_look: Callable[[Job, LookResult], None]
    on_page: Callable[[str, BookPage, float, Sequence[Job]], None]
    on_row: Callable[[str, LookResult, Sequence[Job]], None]
    on_deadline: Callable[[Job], None]


@dataclass(slots=True, eq=False)
class _Waiter:
    """An order that waits for a look. Times by the loop's clock: `ready_at` is when the pause before the look ends."""

    job: Job | None  # None: it has its answer, or waits no more
    ready_at: float
    until: float
    patient: bool
    thorough: bool


class AccountEvidence:
    """One account. `reading` holds the orders of each read under way; `sleeps_until` is when its task looks again."""

    def __init__(self, ucc: str, shared: SharedReading) -> None:
        self._ucc, self._shared = ucc, shared
        self.dead = KnownDead()
        self._waiters: list[_Waiter] = []
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(shared.policy.at_once)
        self._reading: dict[asyncio.Task[None], list[_Waiter]] = {}
        self._timer = DeadlineTimer(self._end_late)
        self._loop_task: asyncio.Task[None] | None = None
        self._book_not_before = 0.0
        self._sleeps_until = 0.0

    def enqueue(self, job: Job, not_before: float, until: float, *, patient: bool, thorough: bool) -> None:
        """See Evidence."""
        ready_at = max(not_before, asyncio.get_running_loop().time())
        self._timer.set(until)
        self._add(_Waiter(job, ready_at, until, patient, thorough))

    def _add(self, waiter: _Waiter) -> None:
        self._waiters.append(waiter)
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = asyncio.create_task(self._read_while_needed())
        elif self._sleeps_until > self._due_at(waiter, is_quiet=self._shared.is_quiet(self._ucc)):
            self._wake.set()

    def withdraw(self) -> None:
        """See Evidence."""
        for waiter in self._open():
            waiter.job = None

    def close(self) -> None:
        """See Evidence."""
        self._timer.cancel()
        for task in (self._loop_task, *self._reading):
            if task is not None:
                task.cancel()

    def forget(self) -> None:
        """End an idle one: it is of no use any more. Its timer knows it, and what goes round in circles is freed late."""
        self._timer.cancel()
        del self._timer

    def is_idle(self, now: float) -> bool:
        """Tell whether nothing is read or waited for, and no dead order is remembered; `now` by the ledger's clock."""
        is_reading = self._loop_task is not None and not self._loop_task.done()
        return not (self._waiters or self._reading or is_reading) and self.dead.is_empty(now)

    def _open(self) -> list[_Waiter]:
        return [waiter for some in (self._waiters, *self._reading.values()) for waiter in some if waiter.job]

    def _waiting_jobs(self) -> list[Job]:
        return [waiter.job for waiter in self._open() if waiter.job]

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

    # ------------------------------------------------------------------ when to read

    async def _read_while_needed(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiters:
            await self._until_due()
            await self._slots.acquire()
            await self._shared.budget.acquire(self._ucc)
            if not (waiters := self._take_ready(loop.time())):
                self._slots.release()
                continue
            task = asyncio.create_task(self._read(waiters))
            self._reading[task] = waiters
            task.add_done_callback(self._read_done)
            loop.call_later(self._shared.policy.stalled, self._read_again, task)

    def _read_done(self, task: "asyncio.Task[None]") -> None:
        del self._reading[task]
        self._slots.release()

    def _read_again(self, task: "asyncio.Task[None]") -> None:
        """Let the orders of a read that stalls wait for another one, too; the first answer counts."""
        for waiter in self._reading.get(task, ()):
            if waiter.job:
                self._add(waiter)

    def _take_ready(self, now: float) -> list[_Waiter]:
        waiting = [waiter for waiter in self._waiters if waiter.job]
        ready = [waiter for waiter in waiting if waiter.ready_at <= now]
        if now < self._book_not_before:  # too soon for the book: one order by itself
            ready = [waiter for waiter in ready if not (waiter.patient or waiter.thorough)][:1]
        taken = set(map(id, ready))
        self._waiters = [waiter for waiter in waiting if id(waiter) not in taken]
        return ready

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiters and (seconds := self._first_due_at() - loop.time()) > 0:
            seconds = min(seconds, _LOOK_SECONDS)  # the account may fall quiet, which nothing tells
            self._sleeps_until = loop.time() + seconds
            self._wake.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                self._waiters = [waiter for waiter in self._waiters if waiter.job]

    def _first_due_at(self) -> float:
        is_quiet = self._shared.is_quiet(self._ucc)
        return min(self._due_at(waiter, is_quiet=is_quiet) for waiter in self._waiters)

    def _due_at(self, waiter: _Waiter, *, is_quiet: bool) -> float:
        policy = self._shared.policy
        due_at = waiter.ready_at + (policy.soon if waiter.patient and not is_quiet else policy.gather)
        return max(due_at, self._book_not_before) if waiter.patient or waiter.thorough else due_at

    # ------------------------------------------------------------------ reading

    async def _read(self, waiters: list[_Waiter]) -> None:
        began_at = self._shared.clock()
        try:
            if len(waiters) == 1 and not waiters[0].thorough:
                await self._read_order(waiters[0], began_at)
            else:
                await self._read_book(waiters, began_at)
        finally:
            for waiter in waiters:
                self._answer(waiter, LookResult(Finding.UNREADABLE, "book", began_at))

    async def _read_order(self, waiter: _Waiter, began_at: float) -> None:
        if (job := waiter.job) is None:
            return
        number, day_began_at = job.order_number, job.day_began_at
        page = await self._shared.reads.read_order(self._ucc, number)
        found = find(page, number, day_began_at)
        if isinstance(found, Row):
            self.dead.learn({number: found}, [number], "order", began_at)
            self._tell_dead([number])
            if waiter.job is not job:  # another read answered its look, and what this one shows counts none the less
                self._shared.on_row(self._ucc, LookResult(found, "order", began_at), self._waiting_jobs())
        # One order's read that lacks the order is no readable book.
        self._answer(waiter, LookResult(Finding.NO_DATA if found is Finding.MISSING else found, "order", began_at))

    async def _read_book(self, waiters: list[_Waiter], began_at: float) -> None:
        page = await self._shared.reads.read_book(self._ucc)
        if page is not None and page.rows is not None:
            pause = min(len(page.rows) * self._shared.policy.cost, _MOST_PAUSE_SECONDS)
            self._book_not_before = asyncio.get_running_loop().time() + pause
            self.dead.learn(page.rows, page.dead, "book", began_at)
            self._tell_dead(page.dead)
        for waiter in waiters:
            if waiter.job:
                self._answer(waiter, waiter.job.find_on(page, began_at))
        if page is not None and page.rows is not None:
            self._shared.on_page(self._ucc, page, began_at, self._waiting_jobs())

    def _tell_dead(self, dead: Collection[str]) -> None:
        """Answer the orders that are dead, also those that wait for a later look, or for another one that is under way."""
        for waiter in self._open():
            if waiter.job and waiter.job.order_number in dead:
                result = self.dead.get(waiter.job, self._shared.clock())
                if result is not None:
                    self._answer(waiter, result)
