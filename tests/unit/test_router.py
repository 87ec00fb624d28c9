"""One order from its cancel to its final status, against a broker in memory."""

import asyncio
import random
import time
from dataclasses import replace

import pytest

from neo_cancel.record import Header, Status
from worker.kotak.codes import KOTAK
from worker.kotak.order_book import BookPage, OrderState, Row
from worker.kotak.replies import Failure, NoSessionError, Reply
from worker.observe.events import publisher
from worker.observe.log import log_subscriber
from worker.orders.account_evidence import ReadingPolicy
from worker.orders.account_queue import QueuePolicy
from worker.orders.job import Job
from worker.orders.policy import CancelPolicy
from worker.orders.router import Router, World

UCC, NUMBER, OTHER = "AB123", "260722000000001", "260722000000099"
OK = Reply(200, ok=True, code="200")
LOST = Failure.MAYBE_SENT


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

    async def cancel(self, job):
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

    async def take(self, ucc, wanted, *, is_risk):
        return wanted, 0.0

    async def slow_down(self, ucc):
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


# ---------------------------------------------------------------------- to the truth

CASES = [
    pytest.param(Broker(OK), Status.CANCELLED, 1, id="acknowledged"),
    pytest.param(Broker((LOST, True)), Status.CANCELLED, 1, id="silence, and it worked"),
    pytest.param(Broker((LOST, False), OK), Status.CANCELLED, 2, id="silence, and it did not"),
    pytest.param(Broker(Failure.NOT_SENT, Failure.NOT_SENT, OK), Status.CANCELLED, 3, id="no connection twice"),
    pytest.param(Broker((no("1005"), False), OK), Status.CANCELLED, 2, id="1005"),
    pytest.param(Broker((no("1005"), True), no("1006")), Status.CANCELLED, 2, id="1005, and it worked, then 1006"),
    pytest.param(Broker((LOST, False), (LOST, True), no("1006")), Status.CANCELLED, 2, id="silence twice"),
    pytest.param(Broker((Reply(502, ok=False, readable=False), True)), Status.CANCELLED, 1, id="502, and it worked"),
    pytest.param(Broker(no("7777"), OK), Status.CANCELLED, 2, id="an unlisted code"),
    pytest.param(Broker(no("1006"), OK), Status.CANCELLED, 2, id="a 1006 that is not true"),
    pytest.param(Broker(no("1021"), OK), Status.CANCELLED, 2, id="a 1021 that is not true"),
    pytest.param(Broker((OK, False), OK), Status.CANCELLED, 2, id="an Ok that is not true"),
    pytest.param(Broker(no("100022"), OK), Status.CANCELLED, 2, id="session renewed"),
    pytest.param(Broker(no("429"), OK), Status.CANCELLED, 2, id="too fast"),
    pytest.param(Broker(no("1006"), state=OrderState.CANCELLED), Status.ALREADY_CANCELLED, 1, id="cancelled before"),
    pytest.param(
        Broker(LOST, state=OrderState.CANCELLED, changed_at=time.time() - 3600),
        Status.ALREADY_CANCELLED,
        1,
        id="cancelled long before",
    ),
    pytest.param(Broker(no("1021"), state=OrderState.FILLED), Status.FILLED, 1, id="filled"),
    pytest.param(Broker(LOST, state=OrderState.FILLED), Status.FILLED, 1, id="silence, filled"),
    pytest.param(Broker((OK, False), state=OrderState.FILLED), Status.FILLED, 1, id="Ok, and filled all the same"),
    pytest.param(Broker(no("1006"), state=OrderState.GONE), Status.GONE, 1, id="rejected"),
    pytest.param(Broker(no("1009")), Status.REFUSED, 1, id="refused for good"),
    pytest.param(Broker(no("1006"), *[no("1009")] * 9), Status.REFUSED, 2, id="1006, then refused for good"),
    pytest.param(Broker(no("1006"), state=None), Status.NOT_FOUND, 1, id="no such order"),
    pytest.param(Broker(no("100008")), Status.BLOCKED, 1, id="blocked"),
    pytest.param(Broker(no("100008"), state=OrderState.FILLED), Status.FILLED, 1, id="blocked, and filled"),
]


@pytest.mark.parametrize(("world", "status", "attempts"), CASES)
async def test_a_regular_order_ends_in_the_truth(world, status, attempts):
    """What the broker said and did, and what the order is; the book proves each of them."""
    assert (status, True, attempts) == result(await Desk(world).run(job()))


@pytest.mark.parametrize("variety", ["bracket", "cover"])
@pytest.mark.parametrize("first", [LOST, no("1005"), Reply(503, ok=False, readable=False)])
async def test_an_exit_is_read_before_it_is_sent_again(first, variety):
    """After an unknown outcome two looks come before the second exit."""
    world = Broker((first, False), OK, variety=variety)
    seen = []
    cancel = world.cancel

    async def watched(wanted):
        seen.append(len(world.reads))
        return await cancel(wanted)

    world.cancel = watched
    assert (Status.CANCELLED, True, 2) == result(await Desk(world).run(job(variety=variety)))
    assert (0, True) == (seen[0], seen[1] >= 2)


async def test_an_exit_that_cannot_be_read_is_not_sent_again():
    """It ends unknown: a second exit might close a position."""
    world = Broker(LOST, is_readable=False)
    done = await Desk(world).run(job(variety="bracket", deadline=0.5))
    assert (Status.UNKNOWN, False, 1) == result(done)


async def test_an_order_that_works_is_refused_after_it_was_asked_for_long_enough():
    """1006 again and again, and a book that shows it working when it has had its time; no send after that."""
    world = Broker(*[no("1006")] * 999)
    done = await Desk(world).run(job())
    assert (Status.REFUSED, True) == result(done)[:2]
    assert 3 <= done.attempts == len(world.sent)


async def test_an_order_that_whole_books_lack_for_seconds_is_not_found():
    """Whatever the broker's reason for its no was."""
    assert (Status.NOT_FOUND, True, 1) == result(await Desk(Broker(no("1009"), state=None)).run(job()))


# ---------------------------------------------------------------------- without a book


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(OK, Status.CANCELLED, None), (no("1009"), Status.REFUSED, "1009"), (no("1006"), Status.REFUSED, "1006")],
)
async def test_the_reply_stands_where_the_book_cannot_be_read(answer, status, code):
    """After the window, unverified, with the broker's code and text."""
    done = await Desk(Broker(answer, is_readable=False)).run(job())
    assert (status, False, 1) == result(done)
    assert (code, None if code is None else "said") == (done.document.get("code"), done.document.get("text"))


@pytest.mark.parametrize(("answer", "status"), [(OK, Status.CANCELLED), (no("1009"), Status.REFUSED)])
async def test_without_verification_nothing_is_read(answer, status):
    """Off: the reply at its word, at once."""
    world = Broker(answer)
    assert (status, False, 1) == result(await Desk(world, verify=False).run(job()))
    assert [] == world.reads


async def test_without_verification_silence_is_still_looked_into():
    """Nothing definite was heard, so there is no word to take."""
    assert (Status.CANCELLED, True, 1) == result(await Desk(Broker((LOST, True)), verify=False).run(job()))


async def test_a_book_that_showed_the_order_alive_outweighs_an_ok():
    """An Ok, a working row, then no book any more: unknown, never cancelled."""
    world = Broker(*[(OK, False)] * 99)
    read_order = world.read_order

    async def goes_dark(ucc, number):
        page = await read_order(ucc, number)
        world.is_readable = False
        return page

    world.read_order = goes_dark
    assert (Status.UNKNOWN, False, 1) == result(await Desk(world).run(job(deadline=1.0)))


# ---------------------------------------------------------------------- deadlines


async def test_an_order_that_comes_too_late_is_not_sent():
    """Checked at pick-up."""
    world = Broker()
    assert (Status.EXPIRED, False, 0) == result(await Desk(world).run(job(deadline=-1.0)))
    assert [] == world.sent


async def test_an_account_without_connection_expires():
    """Nothing was ever sent."""
    done = await Desk(Broker(*[Failure.NOT_SENT] * 999)).run(job(deadline=0.4))
    assert (Status.EXPIRED, None) == (done.status, done.first_sent_at)


async def test_silence_to_the_end_is_unknown():
    """Something was sent and nothing is known: an error in the log that says what to do."""
    desk = Desk(Broker(*[LOST] * 999, is_readable=False))
    assert Status.UNKNOWN is (await desk.run(job(deadline=0.5))).status
    assert ["final"] == desk.book.errors()


async def test_too_fast_to_the_end_is_read_once_more():
    """A 429 did nothing, but meanwhile the order may have ended by itself."""
    done = await Desk(Broker(*[no("429")] * 999, state=OrderState.FILLED)).run(job(deadline=0.4))
    assert (Status.FILLED, True) == (done.status, done.document["verified"])


async def test_a_patient_wait_ends_at_the_deadline():
    """An account that sends on and on would keep an acknowledged order waiting for others; then there is one last look."""
    world = Broker(OK)
    cancel = world.cancel
    world.cancel = lambda wanted: asyncio.Event().wait() if wanted.order_number == OTHER else cancel(wanted)
    desk = Desk(world, reading=ReadingPolicy(gather=0.001, soon=60))
    desk.begin(job(number=OTHER))  # and never answered
    assert (Status.CANCELLED, True, 1) == result(await desk.run(job(deadline=0.4)))


# ---------------------------------------------------------------------- what is recorded


async def test_a_partial_fill_is_recorded():
    """Cancelled, with what was filled before."""
    done = await Desk(Broker(OK, filled_quantity=4, unfilled_quantity=6)).run(job())
    assert (4, 6) == (done.document["filled_quantity"], done.document["unfilled_quantity"])


async def test_a_refused_cancel_keeps_the_reason_of_the_book():
    """`not cancelled` to the end: the book's reason is the order's text."""
    world = Broker(*[(OK, False)] * 99, state=OrderState.NOT_CANCELLED, reason="RMS: no")
    desk = Desk(world)
    done = await desk.run(job(deadline=2.5))
    assert (Status.REFUSED, True, "RMS: no") == (*result(done)[:2], done.document["text"])
    assert 2 <= done.attempts
    assert "cancel refused by the exchange" in [event for _, event, _ in desk.book.lines]


@pytest.mark.parametrize(
    ("asked", "row", "corrected", "sent"),
    [
        pytest.param(
            {}, {"variety": "bracket"}, ["variety"], ("bracket", False, "TCS-EQ"), id="variety"
        ),
        pytest.param(
            {}, {"amo": True, "trading_symbol": "M&M-EQ"}, ["amo", "trading_symbol"], ("regular", True, "M&M-EQ"), id="AMO"
        ),
        pytest.param(
            {"amo": True, "trading_symbol": "X-EQ"}, {"amo": True, "trading_symbol": "Y-EQ"}, ["trading_symbol"],
            ("regular", True, "Y-EQ"), id="symbol",
        ),
        pytest.param(
            {"amo": True, "trading_symbol": "TCS-EQ"}, {"amo": False}, ["amo"], ("regular", False, "TCS-EQ"), id="no AMO"
        ),
    ],
)  # fmt: skip
async def test_the_live_row_corrects_the_request(asked, row, corrected, sent):
    """Variety, AMO flag and symbol come from the book where it knows better, and the record says so."""
    world = Broker(no("1009"), OK, **row)
    done = await Desk(world).run(job(**asked))
    assert (Status.CANCELLED, True, 2) == result(done)
    assert (corrected, sent) == (done.document["corrected"], world.sent[1])


async def test_a_dead_row_corrects_nothing():
    """Where nothing is left to send, the caller's word stays."""
    done = await Desk(Broker(no("1006"), state=OrderState.CANCELLED, variety="bracket")).run(job())
    assert (Status.ALREADY_CANCELLED, None) == (done.status, done.document.get("corrected"))


# ---------------------------------------------------------------------- account-wide trouble


async def test_no_session_is_blocked():
    """Waited for until the deadline; said in the record, and no attempt counted."""
    done = await Desk(Broker(*[NoSessionError(UCC)] * 999)).run(job(deadline=0.3))
    assert (Status.BLOCKED, 0) == (done.status, done.attempts)
    assert "no session is configured for this account" == done.document["text"]


async def test_a_blocked_account_is_told_once_and_stopped():
    """100008: one call, one error in the log; who comes next is answered without a call."""
    world = Broker(*[no("100008")] * 9)
    desk = Desk(world)
    for number in (NUMBER, OTHER):
        assert Status.BLOCKED is (await desk.run(job(number=number))).status
    assert (1, ["account blocked: no cancel can be sent from here"]) == (len(world.sent), desk.book.errors())


async def test_an_ip_mismatch_renews_once_and_then_blocks():
    """1037: one renewal, the same answer again, then the account is stopped."""
    world = Broker(*[no("1037")] * 9)
    desk = Desk(world)
    assert (Status.BLOCKED, True, 2) == result(await desk.run(job()))
    assert Status.BLOCKED is (await desk.run(job(number=OTHER))).status
    assert ([UCC, UCC], 2) == (world.renewals, len(world.sent))
    assert ["account blocked: no cancel can be sent from here"] == desk.book.errors()


async def test_too_fast_slows_the_account():
    """A 429 is heard by the whole account, not by the one order."""
    desk = Desk(Broker(no("429"), OK))
    await desk.run(job())
    assert [UCC] == desk.rate.slowed


async def test_a_first_seen_code_is_logged_once():
    """At error level, once in a process, with what to do."""
    desk = Desk(Broker(no("7777"), no("7777"), OK))
    await desk.run(job())
    assert ["first seen broker code"] == desk.book.errors()


async def test_a_worker_that_died_is_not_trusted_to_have_sent_nothing():
    """Picked up after a crash, the order is read before anything is sent."""
    world = Broker(state=OrderState.CANCELLED)
    done = await Desk(world).run(job(maybe_sent=True))
    assert ([], Status.CANCELLED, True) == (world.sent, *result(done)[:2])


async def test_waiting_for_evidence_holds_no_turn():
    """One call at a time, and an order whose book stalls: the next one is sent all the same."""
    world = Broker(LOST, OK)
    desk = Desk(world, sending=QueuePolicy(at_once=1))
    stall, stalled = asyncio.Event(), []
    read_order = world.read_order

    async def stalls(ucc, number):
        if number == NUMBER:
            stalled.append(number)
            await stall.wait()
        return await read_order(ucc, number)

    world.read_order = stalls
    first = asyncio.create_task(desk.run(job()))
    while not stalled:
        await asyncio.sleep(0.001)
    world.rows[OTHER] = replace(world.rows[OTHER], state=OrderState.CANCELLED)
    second = await desk.run(job(number=OTHER))
    assert (Status.CANCELLED, False) == (second.status, first.done())
    stall.set()
    await first


# ---------------------------------------------------------------------- letting go


async def test_a_turn_that_came_but_was_not_used_is_given_back():
    """The lease was lost between the turn and the first step: the lane lives on, and so must its places."""
    desk = Desk(Broker(OK), sending=QueuePolicy(at_once=1))
    gone = job(number=OTHER)
    desk.begin(gone)
    desk.router.abandon()
    await asyncio.sleep(0)
    assert (Status.CANCELLED, 1) == ((await desk.run(job())).status, len(desk.world.sent))
    assert not desk.ends[gone].done()


def stalled(world, book):
    """Let single reads wait for `book`; answer the list of those that began."""
    read_order, reading = world.read_order, []

    async def stalls(ucc, number):
        reading.append(number)
        await book.wait()
        return await read_order(ucc, number)

    world.read_order = stalls
    return reading


async def test_stopping_waits_for_the_call_in_flight_alone():
    """What it brought is in the job for whoever goes on; those that wait for a turn or a look are let go at once."""
    world, answer, book = Broker(OK, OK, OK), asyncio.Event(), asyncio.Event()
    desk = Desk(world, sending=QueuePolicy(at_once=1))
    reading = stalled(world, book)
    looking, sending, waiting = jobs = [job(number=number) for number in (NUMBER, OTHER, "260722000000003")]
    desk.begin(looking)
    while not reading:
        await asyncio.sleep(0.001)
    cancel = world.cancel

    async def slow(wanted):
        await answer.wait()
        return await cancel(wanted)

    world.cancel = slow
    desk.begin(sending)
    desk.begin(waiting)
    await asyncio.sleep(0)
    stopping = asyncio.create_task(desk.router.stop(asyncio.get_running_loop().time() + 30))
    await asyncio.sleep(0.02)
    assert not stopping.done()
    answer.set()
    await asyncio.wait_for(stopping, 5)
    assert ([1, 1, 0], [False] * 3) == ([one.attempts for one in jobs], [desk.ends[one].done() for one in jobs])
    assert "answered_at" in sending.document
    book.set()  # what would settle an order that waits for it
    while not world.reads:
        await asyncio.sleep(0.001)
    assert not desk.ends[looking].done()


async def test_stopping_does_not_wait_for_ever():
    """A call that is still in flight when time is up is let go: whoever takes the order next looks first."""
    world = Broker(OK)
    desk = Desk(world)
    world.cancel = lambda _: asyncio.Event().wait()
    stuck = job()
    desk.begin(stuck)
    await asyncio.sleep(0.01)
    await asyncio.wait_for(desk.router.stop(asyncio.get_running_loop().time() + 0.05), 5)
    assert (1, False, False) == (stuck.attempts, stuck.is_in_flight, desk.ends[stuck].done())


async def test_an_internal_error_ends_one_order_and_no_other():
    """Whatever goes wrong with one order must not lose it: unknown, watched, and told to somebody."""
    world = Broker()
    desk = Desk(world)
    world.cancel = lambda _: 1 / 0
    done = await desk.run(job())
    assert (Status.UNKNOWN, "internal error: ZeroDivisionError") == (done.status, done.document["text"])
    assert "internal error" in desk.book.errors()


# ---------------------------------------------------------------------- the watch list


def unknown(**more):
    watched = job(final_at=time.time() - 5, maybe_sent=True, first_sent_at=time.time() - 9, **more)
    watched.status = Status.UNKNOWN
    watched.is_watched = True
    return watched


@pytest.mark.parametrize(
    ("state", "status"),
    [(OrderState.CANCELLED, Status.CANCELLED), (OrderState.FILLED, Status.FILLED), (OrderState.GONE, Status.GONE)],
)
async def test_a_watched_order_that_is_dead_is_proven(state, status):
    """The proof replaces unknown, and both times are kept."""
    watched = unknown()
    ended_at = watched.document["final_at"]
    assert await Desk(Broker(state=state, changed_at=time.time())).watch(watched, may_send=True) is True
    assert (status, ended_at, True) == (
        watched.status,
        watched.document["first_final_at"],
        watched.document["verified"],
    )
    assert watched.document["final_at"] > ended_at


async def test_a_watched_order_that_works_is_cancelled():
    """Regular: the same cancel once more."""
    world, watched = Broker(OK), unknown()
    assert await Desk(world).watch(watched, may_send=True) is True
    assert (Status.CANCELLED, 1) == (watched.status, len(world.sent))


async def test_a_watched_order_may_be_left_alone():
    """Where sending is not wanted it is only read."""
    world, watched = Broker(), unknown()
    assert await Desk(world).watch(watched, may_send=False) is False
    assert (Status.UNKNOWN, []) == (watched.status, world.sent)


async def test_a_watched_order_whose_cancel_is_pending_is_left_to_the_next_look():
    """The exchange has it: a second cancel would not make it faster."""
    world, watched = Broker(state=OrderState.CANCEL_PENDING), unknown()
    assert await Desk(world).watch(watched, may_send=True) is False
    assert (Status.UNKNOWN, [], None) == (watched.status, world.sent, watched.document.get("first_final_at"))


async def test_a_watched_order_without_a_book_is_cancelled_by_the_brokers_word():
    """A broker without a book, silent once and back again: its "Ok" stands after the window, as a job's would."""
    world, watched = Broker(is_readable=False), unknown()
    assert await Desk(world).watch(watched, may_send=True) is True
    assert (Status.CANCELLED, 1, None) == (watched.status, len(world.sent), watched.document.get("verified"))


async def test_a_watched_order_is_asked_for_once_a_look():
    """Silence again: it stays unknown, and the next look is soon enough."""
    world, watched = Broker(LOST, is_readable=False), unknown()
    assert await Desk(world).watch(watched, may_send=True) is False
    assert (Status.UNKNOWN, 1) == (watched.status, len(world.sent))


@pytest.mark.parametrize("variety", ["bracket", "cover"])
async def test_a_watched_exit_that_cannot_be_seen_is_not_repeated(variety):
    """An exit is sent for an order that is seen working only."""
    world, watched = Broker(is_readable=False), unknown(variety=variety)
    assert await Desk(world).watch(watched, may_send=True) is False
    assert (Status.UNKNOWN, []) == (watched.status, world.sent)


@pytest.mark.parametrize("variety", ["bracket", "cover"])
async def test_a_watched_exit_is_repeated_for_an_order_that_works(variety):
    """After a second look."""
    world, watched = Broker(variety=variety), unknown(variety=variety)
    assert await Desk(world).watch(watched, may_send=True) is True
    assert (Status.CANCELLED, 1) == (watched.status, len(world.sent))
    assert len(world.reads) >= 2


async def test_a_watched_order_that_is_nowhere_is_not_found():
    """Whole books without it for seconds."""
    world, watched = Broker(no("1006"), state=None), unknown()
    assert await Desk(world, window=4.0).watch(watched, may_send=True) is True
    assert (Status.NOT_FOUND, 1, True) == (watched.status, len(world.sent), watched.document["verified"])


async def test_a_watched_exit_that_is_nowhere_is_not_found_and_not_sent():
    """It is not sent for what cannot be seen; whole books without it for seconds are proof enough."""
    world, watched = Broker(no("1006"), state=None), unknown(variety="bracket")
    assert await Desk(world).watch(watched, may_send=True) is True
    assert (Status.NOT_FOUND, []) == (watched.status, world.sent)


@pytest.mark.parametrize(("code", "sent"), [("1113", 0), ("91400", 0), ("1006", 1), (None, 1)])
async def test_a_watched_order_that_was_refused_for_good_is_only_read(code, sent):
    """What the exchange or an unclear reply refused may be asked for again."""
    world, watched = Broker(), unknown(code=code)
    watched.status = Status.REFUSED
    assert await Desk(world).watch(watched, may_send=True) is bool(sent)
    assert (Status.CANCELLED if sent else Status.REFUSED, sent) == (watched.status, len(world.sent))
