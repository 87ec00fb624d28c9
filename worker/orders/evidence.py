"""Looking at the order book: one read settles all orders of an account that wait for proof."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from worker.kotak.order_book import BookPage, Row
from worker.orders.deadline import DeadlineTimer
from worker.orders.verdict import Finding

__all__ = ["Evidence", "Look", "ReadingPolicy", "Reads"]


class Reads(Protocol):
    """The broker's reads. None stands for a read that gave no answer."""

    async def read_book(self, ucc: str) -> BookPage | None:
        """Read all orders of the account."""
        ...

    async def read_order(self, ucc: str, order_number: str) -> BookPage | None:
        """Read one order."""
        ...


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
class Look:
    """What one look gave: a row or the lack of one, by which read (`book` or `order`)."""

    finding: Row | Finding
    source: str


Tell = Callable[[Look | None], None]
"""Called once for who asked: with what was seen, or None where time was up before that."""


@dataclass(slots=True)
class _Waiter:
    order_number: str
    tell: Tell | None  # None: told
    asked_at: float
    until: float
    patient: bool
    thorough: bool

    def answer(self, look: Look | None) -> None:
        tell, self.tell = self.tell, None
        if tell is not None:
            tell(look)


class Evidence:
    """Looks for all accounts of one process. Reads never take a cancel's turn."""

    def __init__(self, reads: Reads, policy: ReadingPolicy, quiet_since: Callable[[str], float | None]) -> None:
        self._reads, self._policy, self._quiet_since = reads, policy, quiet_since
        self._accounts: dict[str, _Account] = {}

    def ask(
        self, ucc: str, order_number: str, tell: Tell, *, until: float = math.inf, patient: bool, thorough: bool
    ) -> None:
        """Have `tell` called with the order as it stands after now, later and at most once. Waiting costs no task.

        `until`, by the loop's clock: no answer is wanted later, and None is told then. `patient`: the answer may wait for
        others that need one. `thorough`: read the whole book, because a single read of an order that is not there
        proves nothing.
        """
        self._of(ucc).ask(order_number, tell, until=until, patient=patient, thorough=thorough)

    async def look(self, ucc: str, order_number: str, *, thorough: bool) -> Look:
        """Wait for a look that does not wait for others; see `ask`."""
        seen: asyncio.Future[Look | None] = asyncio.get_running_loop().create_future()
        waiter = self._of(ucc).ask(order_number, seen.set_result, until=math.inf, patient=False, thorough=thorough)
        try:
            look = await seen
        finally:
            waiter.tell = None  # nobody listens any more
        assert look is not None  # noqa: S101 (there is no time by which it would not be wanted)
        return look

    def withdraw(self) -> None:
        """Forget who waits; nobody is told."""
        for account in self._accounts.values():
            account.withdraw()

    def _of(self, ucc: str) -> "_Account":
        account = self._accounts.get(ucc)
        if account is None:
            account = self._accounts[ucc] = _Account(ucc, self._reads, self._policy, self._quiet_since)
        return account

    def close(self) -> None:
        """Stop reading; looks under way are cancelled."""
        for account in self._accounts.values():
            account.close()


class _Account:
    def __init__(
        self, ucc: str, reads: Reads, policy: ReadingPolicy, quiet_since: Callable[[str], float | None]
    ) -> None:
        self._ucc, self._reads, self._policy, self._quiet_since = ucc, reads, policy, quiet_since
        self._waiters: list[_Waiter] = []
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(policy.at_once)
        self._reading: dict[asyncio.Task[None], list[_Waiter]] = {}
        self._timer = DeadlineTimer(self._expire)
        self._loop_task: asyncio.Task[None] | None = None
        self._next_read_at = 0.0
        self._is_readable = False

    def ask(self, order_number: str, tell: Tell, *, until: float, patient: bool, thorough: bool) -> _Waiter:
        asked_at = asyncio.get_running_loop().time()
        waiter = _Waiter(order_number, tell, asked_at, until, patient, thorough)
        self._waiters.append(waiter)
        self._timer.set(until)
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = asyncio.create_task(self._read_while_needed())
        elif not patient or len(self._waiters) >= self._policy.crowd:
            self._wake.set()
        return waiter

    def withdraw(self) -> None:
        for waiter in self._open():
            waiter.tell = None

    def close(self) -> None:
        self._timer.cancel()
        for task in (self._loop_task, *self._reading):
            if task is not None:
                task.cancel()

    def _open(self) -> list[_Waiter]:
        return [waiter for some in (self._waiters, *self._reading.values()) for waiter in some if waiter.tell]

    def _expire(self) -> float:
        now = asyncio.get_running_loop().time()
        for waiter in self._open():
            if waiter.until <= now:
                waiter.answer(None)
        return min((waiter.until for waiter in self._open()), default=math.inf)

    async def _read_while_needed(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiters:
            await self._until_due()
            await self._slots.acquire()
            now = loop.time()
            await asyncio.sleep(max(0.0, self._next_read_at - now))
            waiters, self._waiters = self._waiters, []
            waiters = [waiter for waiter in waiters if waiter.tell]
            if not waiters:
                self._slots.release()
                continue
            calls = len(waiters) if self._one_by_one(waiters) else 1
            self._next_read_at = max(now, self._next_read_at) + calls / self._policy.reads_per_second
            task = asyncio.create_task(self._answer(waiters))
            self._reading[task] = waiters
            task.add_done_callback(self._read_done)

    def _read_done(self, task: "asyncio.Task[None]") -> None:
        del self._reading[task]
        self._slots.release()

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while (seconds := self._seconds_to_wait(loop.time())) > 0:
            self._wake.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _seconds_to_wait(self, now: float) -> float:
        policy = self._policy
        waited = now - self._waiters[0].asked_at
        hurried = [waiter.asked_at for waiter in self._waiters if not waiter.patient]
        if hurried:
            # A moment for others that fail in the same burst.
            return policy.gather - (now - hurried[0])
        if len(self._waiters) >= policy.crowd:
            return 0.0
        patience = (policy.patience if self._is_readable else policy.probe) - waited
        quiet_since = self._quiet_since(self._ucc)
        if quiet_since is None:  # still sending: look again in a moment
            return min(patience, policy.quiet)
        return min(patience, policy.quiet - (now - max(quiet_since, self._waiters[-1].asked_at)))

    def _one_by_one(self, waiters: list[_Waiter]) -> bool:
        return len(waiters) <= self._policy.few and not any(waiter.thorough for waiter in waiters)

    async def _answer(self, waiters: list[_Waiter]) -> None:
        try:
            if self._one_by_one(waiters):
                await asyncio.gather(*(self._answer_one(waiter) for waiter in waiters))
            else:
                page = await self._reads.read_book(self._ucc)
                self._is_readable = page is not None and page.rows is not None
                for waiter in waiters:
                    waiter.answer(Look(_find(page, waiter.order_number), "book"))
        finally:
            for waiter in waiters:
                waiter.answer(Look(Finding.UNREADABLE, "book"))

    async def _answer_one(self, waiter: _Waiter) -> None:
        page = await self._reads.read_order(self._ucc, waiter.order_number)
        self._is_readable = page is not None and page.rows is not None
        found = _find(page, waiter.order_number)
        # One order's read that lacks the order is no readable book.
        waiter.answer(Look(Finding.NO_DATA if found is Finding.MISSING else found, "order"))


def _find(page: BookPage | None, order_number: str) -> Row | Finding:
    if page is None:
        return Finding.UNREADABLE
    if page.rows is None:
        return Finding.NO_DATA if page.is_empty else Finding.UNREADABLE
    row = page.rows.get(order_number)
    if row is not None:
        return row
    return Finding.NO_DATA if page.is_empty or page.is_partial else Finding.MISSING
