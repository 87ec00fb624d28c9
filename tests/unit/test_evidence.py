"""Looking at the order book: few reads for many orders, and no order waits for another one's read."""

import asyncio
import math

import pytest

from neo_cancel.record import Header
from worker.kotak.order_book import BookPage, OrderState, Row
from worker.kotak.replies import Reply
from worker.orders.evidence import Evidence, ReadingPolicy
from worker.orders.finding import Finding, LookResult
from worker.orders.job import Job

UCC = "AB123"
FINE = Reply(200, ok=True)
AT_ONCE = ReadingPolicy(gather=0.001, quiet=0.001, reads_per_second=1e6)


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


def since_ever(_ucc):
    return 0.0


def still_sending(_ucc):
    return None


def job(number, ucc=UCC):
    document = {"ucc": ucc, "order_number": number, "variety": "regular", "lane": "routine", "deadline_seconds": 60.0}
    return Job(Header("sending", 1, "w", 0, maybe_sent=False, crashes=0), document)


class Desk:
    """An Evidence, and for each order that waits a future: what was found, None where its time came first."""

    def __init__(self, reads, policy, quiet_since):
        self.heard = {}
        self.evidence = Evidence(
            reads, policy, quiet_since=quiet_since, on_look=self._hear, on_deadline=lambda one: self._hear(one, None)
        )

    def _hear(self, one, result):
        self.heard[one].set_result(result)

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

    def make(reads, policy=AT_ONCE, quiet_since=since_ever):
        desk = Desk(reads, policy, quiet_since)
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
    assert [LookResult(row(number), "book") for number in numbers(100)] == seen


@pytest.mark.parametrize("count", [1, 2])
async def test_few_orders_are_read_one_by_one(made, count):
    """A whole book for one order is a waste."""
    books = Books()
    seen = await looks(made(books), numbers(count))
    assert [f"{UCC} {number}" for number in numbers(count)] == books.asked
    assert [LookResult(row(number), "order") for number in numbers(count)] == seen


async def test_a_thorough_look_reads_the_book(made):
    """A single read of an order that is not there proves nothing."""
    books = Books(page("260722000000009"))
    seen = await looks(made(books), numbers(1), thorough=True)
    assert ([f"{UCC} book"], [LookResult(Finding.MISSING, "book")]) == (books.asked, seen)


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
    assert [LookResult(finding, "book")] * 3 == await looks(made(Books(book)), numbers(3))


@pytest.mark.parametrize(
    ("answer", "finding"),
    [(UNREADABLE, Finding.UNREADABLE), (NO_DATA, Finding.NO_DATA), (page("260722000000009"), Finding.NO_DATA)],
)
async def test_a_single_read_never_says_missing(made, answer, finding):
    """One order's read that lacks the order is no readable book."""
    assert [LookResult(finding, "order")] == await looks(made(Books(order=answer)), numbers(1))


async def test_an_error_in_a_read_is_an_unreadable_book(made):
    """Whoever waits is answered, whatever happens below."""

    class Broken(Books):
        async def read_book(self, ucc):
            raise RuntimeError(ucc)

    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    assert [LookResult(Finding.UNREADABLE, "book")] * 3 == await looks(made(Broken()), numbers(3))


async def test_the_patient_wait_for_a_crowd(made):
    """The account still sends: nobody is read before enough of them wait, and then one read settles all."""
    policy = ReadingPolicy(crowd=50, patience=60, probe=60, quiet=0.001, gather=0.001, reads_per_second=1e6)
    books = Books(page(*numbers(50)))
    desk = made(books, policy, still_sending)
    first = [desk.ask(n, patient=True) for n in numbers(50)[:49]]
    await asyncio.sleep(0.05)
    before = list(books.asked)
    await asyncio.gather(*first, desk.ask(numbers(50)[49], patient=True))
    assert ([], [f"{UCC} book"]) == (before, books.asked)


async def test_one_in_a_hurry_takes_the_patient_along(made):
    """Whatever is read anyway settles everybody."""
    policy = ReadingPolicy(patience=60, probe=60, quiet=0.001, gather=0.001, reads_per_second=1e6)
    books = Books(page(*numbers(10)))
    desk = made(books, policy, still_sending)
    patient = [desk.ask(n, patient=True) for n in numbers(10)[:9]]
    await asyncio.sleep(0)
    await desk.ask(numbers(10)[9])
    await asyncio.gather(*patient)
    assert [f"{UCC} book"] == books.asked


async def test_the_patient_are_read_when_the_account_is_quiet(made):
    """Nothing more is coming: waiting for a crowd would be waiting for nobody."""
    policy = ReadingPolicy(patience=60, probe=60, quiet=0.01, gather=0.001)
    async with asyncio.timeout(10):
        await looks(made(Books(page(*numbers(5))), policy, since_ever), numbers(5), patient=True)


async def test_patience_ends(made):
    """An account that never stops sending keeps nobody waiting for ever; before the first book, `probe` decides."""
    policy = ReadingPolicy(patience=0.2, probe=0.1, quiet=0.01, gather=0.001)
    desk = made(Books(page(*numbers(5))), policy, still_sending)
    async with asyncio.timeout(10):
        for _ in range(2):
            await looks(desk, numbers(5), patient=True)


@pytest.mark.parametrize(("thorough", "calls"), [(True, 4), (False, 4)])
async def test_reads_keep_to_their_budget(made, thorough, calls):
    """So many calls a second and not more, whether they read the book or single orders, two of which count as two."""
    books = Books(page(*numbers(2)))
    desk = made(books, ReadingPolicy(gather=0.001, reads_per_second=20))
    rounds = calls if thorough else calls // 2
    for _ in range(rounds):
        await looks(desk, numbers(1 if thorough else 2), thorough=thorough)
    assert calls == len(books.times)
    # The calls of one pair go together; the next pair has waited for both of them.
    assert books.times[-1] - books.times[0] >= (calls - (1 if thorough else 2)) / 20 - 0.005


async def test_accounts_have_budgets_of_their_own(made):
    """One account's reads take nothing from another's."""
    books = Books()
    desk = made(books, ReadingPolicy(gather=0.001, reads_per_second=0.01))
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
    assert [LookResult(row(number), "book") for number in numbers(6)[3:]] == seen
    assert [False] * 3 == [answer.done() for answer in stuck]


async def test_an_order_whose_time_is_up_costs_no_read(made):
    """A look that ran out of time leaves no trace but its place in a read that was due anyway."""
    books = Books()
    desk = made(books, ReadingPolicy(gather=0.05, reads_per_second=1e6), still_sending)
    assert await desk.ask("260722000000001", seconds=0.01) is None
    await desk.ask("260722000000002")
    assert [f"{UCC} 260722000000002"] == books.asked


async def test_a_look_begins_after_its_pause(made):
    """A read that is due for another order before that does not answer it."""
    books = Books()
    desk = made(books, ReadingPolicy(gather=0.001, reads_per_second=1e6), still_sending)
    later = desk.ask("260722000000001", pause=0.1)
    await desk.ask("260722000000002")
    assert not later.done()
    assert LookResult(row("260722000000001"), "order") == await asyncio.wait_for(later, 5)
    assert [f"{UCC} 260722000000002", f"{UCC} 260722000000001"] == books.asked


async def test_a_long_pause_keeps_no_acknowledged_order_waiting(made):
    """The patient come after the account is quiet, whatever else is waited for."""
    desk = made(Books(), ReadingPolicy(patience=60, probe=60, quiet=0.01, gather=0.001, reads_per_second=1e6))
    desk.ask("260722000000001", pause=60)
    await asyncio.sleep(0.01)
    assert await asyncio.wait_for(desk.ask("260722000000002", patient=True), 5)


async def test_an_order_whose_time_is_up_is_handed_back_and_read_no_more(made):
    """Each at its own time, in whatever order they asked; the others wait on."""
    policy = ReadingPolicy(patience=60, probe=60, quiet=0.001, gather=0.001, reads_per_second=1e6)
    books = Books(page(*numbers(5)))
    desk = made(books, policy, still_sending)
    ends = [math.inf, 0.05, 0.02, math.inf, 0.1]
    asked = [desk.ask(n, patient=True, seconds=end) for n, end in zip(numbers(5), ends, strict=True)]
    assert [None] * 3 == await asyncio.wait_for(asyncio.gather(asked[1], asked[2], asked[4]), 5)
    assert ([], False, False) == (books.asked, asked[0].done(), asked[3].done())
    await desk.ask("260722000000009")
    assert [LookResult(row(numbers(5)[at]), "book") for at in (0, 3)] == [await asked[0], await asked[3]]


async def test_time_is_up_while_a_read_stalls(made):
    """The answer that came too late for it goes nowhere, and the others of that read wait on."""
    desk = made(Stalled(page(*numbers(3))))
    short, *long = [desk.ask(n, thorough=True, seconds=end) for n, end in zip(numbers(3), (0.05, 60, 60), strict=True)]
    assert await asyncio.wait_for(short, 5) is None
    assert [False, False] == [answer.done() for answer in long]


async def test_a_withdrawn_order_is_handed_back_no_more(made):
    """An order that was given back must not go on here, and costs no read."""
    books = Books(page(*numbers(3)))
    desk = made(books, ReadingPolicy(gather=0.02, reads_per_second=1e6))
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
