"""Looking at the order book: few reads for many orders, and no order waits for another one's read."""

import asyncio
import math
import time
from collections import Counter

import pytest

from neo_cancel.record import Header
from worker.kotak.order_book import BookPage, OrderState, Row
from worker.kotak.replies import Reply
from worker.orders.account_evidence import ReadingPolicy
from worker.orders.evidence import Evidence
from worker.orders.finding import Finding
from worker.orders.job import Job

UCC = "AB123"
FINE = Reply(200, ok=True)
AT_ONCE = ReadingPolicy(gather=0.001, soon=0.001)
PATIENT = ReadingPolicy(gather=0.001, soon=60)


def row(number, state=OrderState.CANCELLED):
    return Row(number, state, str(state), "regular", False, "TCS-EQ", 0, 10, None, None)


def page(*numbers, **more):
    return BookPage(FINE, {number: row(number) for number in numbers}, **more)


NO_DATA = BookPage(Reply(200, ok=False, code="5203"), None, is_empty=True)
UNREADABLE = BookPage(Reply(502, ok=False, readable=False), None)


class Books:
    """A broker's reads in memory: what it answers, and what it was asked, with the loop's time."""

    def __init__(self, book=None, order=None) -> None:
        self._book, self._order = book, order
        self.asked = []
        self.times = []

    def _note(self, what):
        self.asked.append(what)
        self.times.append(asyncio.get_running_loop().time())

    async def read_book(self, ucc):
        self._note(f"{ucc} book")
        return self._book

    async def read_order(self, ucc, order_number):
        self._note(f"{ucc} {order_number}")
        return page(order_number) if self._order is None else self._order


class Stalled(Books):
    """Never answers the first read."""

    async def read_book(self, ucc):
        self._note(f"{ucc} book")
        if len(self.asked) == 1:
            await asyncio.Event().wait()
        return self._book


def numbers(count):
    return [f"26072200{n:07d}" for n in range(count)]


def is_quiet(_ucc):
    return True


def still_sends(_ucc):
    return False


class Budget:
    """Lets every read through, or so many a second; it counts what each account asked for."""

    def __init__(self, reads_per_second=math.inf):
        self.pause = 1 / reads_per_second
        self.asked = Counter()

    async def acquire(self, ucc):
        if self.asked[ucc]:
            await asyncio.sleep(self.pause)
        self.asked[ucc] += 1


def job(number, ucc=UCC):
    document = {"ucc": ucc, "order_number": number, "variety": "regular", "lane": "routine", "deadline_seconds": 60.0}
    return Job(Header("sending", 1, "w", 0, maybe_sent=False, crashes=0), document)


class Desk:
    """An Evidence, and for each order that waits a future: what was found, None where its time came first."""

    def __init__(self, reads, policy, quiet, budget):
        self.heard, self.pages, self.rows = {}, [], []
        self.evidence = Evidence(
            reads,
            budget,
            policy,
            clock=time.time,
            is_quiet=quiet,
            on_look=self._hear,
            on_page=lambda ucc, page, began_at, waiting: self.pages.append((ucc, page)),
            on_row=lambda ucc, result, waiting: self.rows.append((ucc, result.finding)),
            on_deadline=lambda one: self._hear(one, None),
        )

    def _hear(self, one, result):
        self.heard[one].set_result(None if result is None else (result.finding, result.source))

    def ask(self, number, *, ucc=UCC, patient=False, thorough=False, seconds=math.inf, pause=0.0):
        loop = asyncio.get_running_loop()
        one = job(number, ucc)
        self.heard[one] = loop.create_future()
        self.evidence.enqueue(
            one, not_before=loop.time() + pause, until=loop.time() + seconds, patient=patient, thorough=thorough
        )
        return self.heard[one]


async def looks(desk, wanted, *, patient=False, thorough=False):
    return await asyncio.gather(*(desk.ask(number, patient=patient, thorough=thorough) for number in wanted))


@pytest.fixture
async def made():
    """Make a Desk whose Evidence is closed in the end."""
    all_of_them = []

    def make(reads, policy=AT_ONCE, quiet=is_quiet, budget=None):
        desk = Desk(reads, policy, quiet, budget or Budget())
        all_of_them.append(desk.evidence)
        return desk

    yield make
    for evidence in all_of_them:
        evidence.close()


async def test_one_book_read_settles_many(made):
    """A hundred orders that wait for proof cost one call."""
    books = Books(page(*numbers(100)))
    seen = await looks(made(books), numbers(100))
    assert [f"{UCC} book"] == books.asked
    assert [(row(number), "book") for number in numbers(100)] == seen


async def test_a_single_order_is_read_by_itself(made):
    """A whole book for one order is a waste."""
    books = Books()
    assert [(row(numbers(1)[0]), "order")] == await looks(made(books), numbers(1))
    assert [f"{UCC} {numbers(1)[0]}"] == books.asked


async def test_a_thorough_look_reads_the_book(made):
    """A single read of an order that is not there proves nothing."""
    books = Books(page("260722000000009"))
    seen = await looks(made(books), numbers(1), thorough=True)
    assert ([f"{UCC} book"], [(Finding.MISSING, "book")]) == (books.asked, seen)


@pytest.mark.parametrize(
    ("book", "finding"),
    [
        pytest.param(None, Finding.UNREADABLE, id="no answer"),
        pytest.param(UNREADABLE, Finding.UNREADABLE, id="no book"),
        pytest.param(NO_DATA, Finding.NO_DATA, id="5203"),
        pytest.param(BookPage(FINE, {}, is_empty=True), Finding.NO_DATA, id="empty"),
        pytest.param(page("260722000000009", is_partial=True), Finding.NO_DATA, id="partial"),
        pytest.param(page("260722000000009"), Finding.MISSING, id="other orders only"),
    ],
)
async def test_what_a_book_without_the_order_says(made, book, finding):
    """Missing needs a book that was read in full and has other orders."""
    assert [(finding, "book")] * 3 == await looks(made(Books(book)), numbers(3))


@pytest.mark.parametrize(
    ("answer", "finding"),
    [(UNREADABLE, Finding.UNREADABLE), (NO_DATA, Finding.NO_DATA), (page("260722000000009"), Finding.NO_DATA)],
)
async def test_a_single_read_never_says_missing(made, answer, finding):
    """One order's read that lacks the order is no readable book."""
    assert [(finding, "order")] == await looks(made(Books(order=answer)), numbers(1))


async def test_an_error_in_a_read_is_an_unreadable_book(made):
    """Whoever waits is answered, whatever happens below."""

    class Broken(Books):
        async def read_book(self, ucc):
            raise RuntimeError(ucc)

    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    assert [(Finding.UNREADABLE, "book")] * 3 == await looks(made(Broken()), numbers(3))


async def test_acknowledged_orders_wait_for_others_while_the_account_sends(made):
    """One read settles all that came within the time."""
    books = Books(page(*numbers(50)))
    desk = made(books, ReadingPolicy(gather=0.001, soon=0.1), still_sends)
    first = [desk.ask(n, patient=True) for n in numbers(50)[:49]]
    await asyncio.sleep(0.02)
    before = list(books.asked)
    await asyncio.gather(*first, desk.ask(numbers(50)[49], patient=True))
    assert ([], [f"{UCC} book"]) == (before, books.asked)


async def test_one_in_a_hurry_takes_the_patient_along(made):
    """Whatever is read anyway settles everybody."""
    books = Books(page(*numbers(10)))
    desk = made(books, PATIENT, still_sends)
    patient = [desk.ask(n, patient=True) for n in numbers(10)[:9]]
    await asyncio.sleep(0)
    await desk.ask(numbers(10)[9])
    await asyncio.gather(*patient)
    assert [f"{UCC} book"] == books.asked


async def test_the_patient_are_read_when_the_account_falls_quiet(made):
    """Nothing more is coming: waiting for others would be waiting for none."""
    has_ended = []
    desk = made(Books(page(*numbers(5))), PATIENT, lambda _: bool(has_ended))
    asked = [desk.ask(n, patient=True) for n in numbers(5)]
    await asyncio.sleep(0.01)
    assert not asked[0].done()
    has_ended.append(True)
    async with asyncio.timeout(10):
        await asyncio.gather(*asked)


async def test_a_long_book_is_not_read_again_at_once(made):
    """Each of its rows makes the account wait for the next one; a single order is read meanwhile."""
    books = Books(page(*numbers(3)))
    desk = made(books, ReadingPolicy(gather=0.001, soon=0.001, cost=0.05))
    await looks(desk, numbers(2), patient=True)
    again = [desk.ask(n, patient=True) for n in numbers(2)]
    await desk.ask(numbers(3)[2])
    assert ([f"{UCC} book", f"{UCC} {numbers(3)[2]}"], [False] * 2) == (books.asked, [one.done() for one in again])
    await asyncio.gather(*again)


async def test_every_read_is_asked_of_the_budget(made):
    """Books and single orders alike, before they are read."""
    books, budget = Books(page(*numbers(2))), Budget()
    desk = made(books, budget=budget)
    for _ in range(3):
        await looks(desk, numbers(1))
        await looks(desk, numbers(2))
    assert ({UCC: 6}, 6) == (budget.asked, len(books.asked))


async def test_orders_that_come_while_the_budget_is_used_up_share_the_next_read(made):
    """They are not read one after the other when it allows more."""
    books = Books(page(*numbers(9)))
    desk = made(books, budget=Budget(reads_per_second=20))
    await desk.ask(numbers(9)[0])
    first = desk.ask(numbers(9)[1])
    await asyncio.sleep(0.01)
    await asyncio.gather(first, *(desk.ask(n) for n in numbers(9)[2:]))
    assert [f"{UCC} {numbers(9)[0]}", f"{UCC} book"] == books.asked


async def test_accounts_have_budgets_of_their_own(made):
    """One account's reads take nothing from another's."""
    books = Books()
    desk = made(books, budget=Budget(reads_per_second=0.01))
    async with asyncio.timeout(10):
        for ucc in ("AB001", "AB002", "AB003"):
            await desk.ask("260722000000001", ucc=ucc)
    assert 3 == len(books.asked)


async def test_a_stalled_read_blocks_nobody_else(made):
    """Whoever asks after it began is answered by a read of their own."""
    books = Stalled(page(*numbers(6)))
    desk = made(books)
    stuck = [desk.ask(n, thorough=True) for n in numbers(3)]
    async with asyncio.timeout(10):
        while not books.asked:
            await asyncio.sleep(0.001)
        seen = await looks(desk, numbers(6)[3:], thorough=True)
    assert [(row(number), "book") for number in numbers(6)[3:]] == seen
    assert [False] * 3 == [answer.done() for answer in stuck]


async def test_an_order_whose_time_is_up_costs_no_read(made):
    """A look that ran out of time leaves no trace but its place in a read that was due anyway."""
    books = Books()
    desk = made(books, ReadingPolicy(gather=0.05, soon=60), still_sends)
    assert await desk.ask("260722000000001", seconds=0.01) is None
    await desk.ask("260722000000002")
    assert [f"{UCC} 260722000000002"] == books.asked


async def test_a_look_begins_after_its_pause(made):
    """A read that is due for another order before that does not answer it."""
    books = Books()
    desk = made(books, PATIENT, still_sends)
    later = desk.ask("260722000000001", pause=0.1)
    await desk.ask("260722000000002")
    assert not later.done()
    assert (row("260722000000001"), "order") == await asyncio.wait_for(later, 5)
    assert [f"{UCC} 260722000000002", f"{UCC} 260722000000001"] == books.asked


async def test_a_long_pause_keeps_no_acknowledged_order_waiting(made):
    """The patient come after the account is quiet, whatever else is waited for."""
    desk = made(Books(), PATIENT)
    desk.ask("260722000000001", pause=60)
    await asyncio.sleep(0.01)
    assert await asyncio.wait_for(desk.ask("260722000000002", patient=True), 5)


async def test_an_order_whose_time_is_up_is_handed_back_and_read_no_more(made):
    """Each at its own time, in whatever order they asked; the others wait on."""
    books = Books(page(*numbers(5)))
    desk = made(books, PATIENT, still_sends)
    ends = [math.inf, 0.05, 0.02, math.inf, 0.1]
    asked = [desk.ask(n, patient=True, seconds=end) for n, end in zip(numbers(5), ends, strict=True)]
    assert [None] * 3 == await asyncio.wait_for(asyncio.gather(asked[1], asked[2], asked[4]), 5)
    assert ([], False, False) == (books.asked, asked[0].done(), asked[3].done())
    await desk.ask("260722000000009")
    assert [(row(numbers(5)[at]), "book") for at in (0, 3)] == [await asked[0], await asked[3]]


async def test_time_is_up_while_a_read_stalls(made):
    """The answer that came too late for it goes nowhere, and the others of that read wait on."""
    desk = made(Stalled(page(*numbers(3))))
    short, *long = [desk.ask(n, thorough=True, seconds=end) for n, end in zip(numbers(3), (0.05, 60, 60), strict=True)]
    assert await asyncio.wait_for(short, 5) is None
    assert [False, False] == [answer.done() for answer in long]


async def test_a_withdrawn_order_is_handed_back_no_more(made):
    """An order that was given back must not go on here, and costs no read."""
    books = Books(page(*numbers(3)))
    desk = made(books, ReadingPolicy(gather=0.02, soon=60))
    withdrawn = [desk.ask(n, seconds=0.01) for n in numbers(3)]
    desk.evidence.withdraw()
    await desk.ask("260722000000009")
    assert ([f"{UCC} 260722000000009"], [False] * 3) == (books.asked, [answer.done() for answer in withdrawn])


async def test_a_look_after_the_last_one_starts_reading_again(made):
    """An account that has been silent for hours is no different."""
    books = Books()
    desk = made(books)
    for number in numbers(3):
        await looks(desk, [number])
    assert [f"{UCC} {number}" for number in numbers(3)] == books.asked


# ---------------------------------------------------------------------- what a page shows of other orders


async def test_a_page_ends_the_wait_of_an_order_that_it_shows_dead(made):
    """Whatever that order was going to wait for: no other look can say more."""
    books = Books(page(*numbers(3), dead=numbers(3)[2:]))
    desk = made(books)
    later = desk.ask(numbers(3)[2], pause=60)
    await looks(desk, numbers(2))
    assert (row(numbers(3)[2]), "book") == await asyncio.wait_for(later, 5)


async def test_a_page_leaves_an_order_that_it_shows_alive_to_its_own_look(made):
    """The pause before a look is there for a reason."""
    desk = made(Books(page(*numbers(2))))
    later = desk.ask("260722000000077", pause=60)
    await looks(desk, numbers(2))
    await asyncio.sleep(0.01)
    assert not later.done()


async def test_a_read_that_answers_too_late_ends_the_look_that_follows_it(made):
    """Its own look was given up a moment before; the next one need not read again."""

    class Slow(Books):
        async def read_order(self, ucc, order_number):
            self._note(f"{ucc} {order_number}")
            await answered.wait()
            return page(order_number)

    answered, number = asyncio.Event(), numbers(1)[0]
    desk = made(Slow())
    assert await desk.ask(number, seconds=0.02) is None
    again = desk.ask(number, pause=60)
    answered.set()
    assert (row(number), "order") == await asyncio.wait_for(again, 5)


async def test_a_row_that_comes_too_late_for_its_look_is_handed_on(made):
    """What was seen is not lost because another read, or the time, answered first."""

    class Slow(Books):
        async def read_order(self, ucc, order_number):
            await answered.wait()
            return BookPage(FINE, {order_number: row(order_number, OrderState.WORKING)})

    answered, number = asyncio.Event(), numbers(1)[0]
    desk = made(Slow())
    assert await desk.ask(number, seconds=0.02) is None
    answered.set()
    await asyncio.sleep(0.01)
    assert [(UCC, row(number, OrderState.WORKING))] == desk.rows


async def test_every_page_of_a_book_is_handed_on(made):
    """For orders that wait elsewhere."""
    desk = made(Books(page(*numbers(2))))
    await looks(desk, numbers(2))
    assert [(UCC, page(*numbers(2)))] == desk.pages


async def test_what_was_seen_dead_is_remembered(made):
    """From a page of the book or a read of the order, until the day ends."""
    desk = made(Books(page(*numbers(2), dead=numbers(2))))
    assert desk.evidence.known_dead(job(numbers(2)[0])) is None
    await looks(desk, numbers(2))
    await desk.ask("260722000000077")
    found = [desk.evidence.known_dead(job(number)) for number in (*numbers(2), "260722000000077", "260722000000078")]
    assert [row(numbers(2)[0]), row(numbers(2)[1]), row("260722000000077"), None] == [
        result and result.finding for result in found
    ]
