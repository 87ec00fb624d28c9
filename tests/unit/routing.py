"""A router with a broker, a rate and a ledger in memory."""

import asyncio
import random
import time
from dataclasses import replace

from neo_cancel.record import Header
from worker.kotak.codes import KOTAK
from worker.kotak.order_book import BookPage, OrderState, Row
from worker.kotak.replies import NoReply, Reply
from worker.observe.events import publisher
from worker.observe.log import log_subscriber
from worker.orders.account_evidence import ReadingPolicy
from worker.orders.job import Job
from worker.orders.policy import CancelPolicy
from worker.orders.router import Router, World

UCC, NUMBER, OTHER = "AB123", "260722000000001", "260722000000099"
OK = Reply(200, ok=True, code="200")
LOST = NoReply()


def no(code, text="said"):
    return Reply(200, ok=False, code=code, text=text)


class Broker:
    """The broker: an order, what cancels are answered, whether they work all the same, and whether the book is there."""

    codes = KOTAK

    def __init__(self, *answers, state=OrderState.WORKING, is_readable=True, **row) -> None:
        self.answers = list(answers)
        live = Row(OTHER, OrderState.WORKING, "open", "regular", False, "TCS-EQ", 0, 10, None, None)
        self.rows = {OTHER: live}
        if state is not None:
            self.rows[NUMBER] = replace(live, order_number=NUMBER, state=state, **row)
        self.is_readable = is_readable
        self.sent, self.reads, self.renewals = [], [], []
        self.renewing = [True]

    def put(self, state):
        if NUMBER in self.rows and self.rows[NUMBER].state in (OrderState.WORKING, OrderState.WORKING_AMO):
            self.rows[NUMBER] = replace(self.rows[NUMBER], state=state, changed_at=time.time())

    async def cancel(self, job, *, is_fresh):
        self.sent.append((job.variety, job.amo, job.trading_symbol))
        answer = self.answers.pop(0) if self.answers else OK
        does_it = answer is OK
        if isinstance(answer, tuple):
            answer, does_it = answer
        if isinstance(answer, Exception):
            raise answer
        if does_it:
            self.put(OrderState.CANCELLED)
        return answer

    async def renew(self, ucc):
        self.renewals.append(ucc)
        return self.renewing.pop(0) if self.renewing else False

    async def read_book(self, ucc):
        self.reads.append("book")
        return BookPage(Reply(200, ok=True), dict(self.rows)) if self.is_readable else None

    async def read_order(self, ucc, order_number):
        self.reads.append("order")
        if not self.is_readable:
            return None
        if order_number not in self.rows:
            return BookPage(Reply(200, ok=False, code="5203"), None, is_empty=True)
        return BookPage(Reply(200, ok=True), {order_number: self.rows[order_number]})


class Unpaced:
    """No rate at all; it remembers what it was told to slow down."""

    def __init__(self):
        self.slowed = []

    def is_limited(self, ucc):
        return False

    async def slow_down(self, ucc, pause_seconds):
        self.slowed.append(ucc)

    async def acquire(self, ucc):
        return None


class Notebook:
    """Notes and log lines."""

    def __init__(self) -> None:
        self.notes, self.lines = [], []

    def note(self, job, status, waiting_for=None):
        self.notes.append((status, waiting_for))

    def debug(self, event, **facts):
        self.lines.append(("debug", event, facts))

    def info(self, event, **facts):
        self.lines.append(("info", event, facts))

    def error(self, event, **facts):
        self.lines.append(("error", event, facts))

    def errors(self):
        return [event for level, event, _ in self.lines if level == "error"]


FAST = ReadingPolicy(gather=0.001, soon=0.02)


class Desk:
    """A router and all that it needs; `ends` holds a future for each order that is worked on."""

    def __init__(self, world, *, sending=None, reading=FAST, **policy) -> None:
        self.world, self.book, self.rate, self.ends = world, Notebook(), Unpaced(), {}
        self.book.finish = lambda done: self.ends[done].set_result(None)
        rules = CancelPolicy(**({"window": 0.3, "backoff": 0.005, "backoff_most": 0.02, "last_look": 0.5} | policy))
        self.router = Router(
            World(
                broker=world,
                rate_limiter=self.rate,
                read_budget=self.rate,
                ledger=self.book,
                clock=time.time,
                draw=random.uniform,
                publish=publisher(log_subscriber(self.book)),
            ),
            lambda _: rules,
            sending=sending,
            reading=reading,
        )

    async def run(self, wanted, **how):
        self.begin(wanted, **how)
        await asyncio.wait_for(self.ends[wanted], 20)
        return wanted

    def begin(self, wanted, **how):
        self.ends[wanted] = asyncio.get_running_loop().create_future()
        self.router.take(wanted, **how)

    async def watch(self, wanted, *, may_send):
        """Look at a watched order; say whether its end is known now."""
        before = wanted.status, wanted.document.get("final_at")
        await self.run(wanted, sends=int(may_send))
        return before != (wanted.status, wanted.document.get("final_at"))


def job(*, variety="regular", deadline=10.0, maybe_sent=False, number=NUMBER, **document):
    header = Header("sending", 1, "w", int(time.time() * 1000), maybe_sent, 0)
    about = {"ucc": UCC, "order_number": number, "variety": variety, "lane": "routine", "deadline_seconds": deadline}
    return Job(header, about | document)


def result(done):
    return done.status, done.document.get("verified", False), done.attempts
