"""One order from its cancel to its final status, against a broker in memory."""

import asyncio
import time

import pytest

from neo_cancel.record import Status
from tests.unit.routing import LOST, OK, OTHER, Broker, Desk, job, no, result
from worker.kotak.order_book import OrderState
from worker.kotak.replies import NotSent, Reply, TooLateError
from worker.orders.account_evidence import ReadingPolicy

# ---------------------------------------------------------------------- to the truth

CASES = [
    pytest.param(Broker(OK), Status.CANCELLED, 1, id="acknowledged"),
    pytest.param(Broker((LOST, True)), Status.CANCELLED, 1, id="silence, and it worked"),
    pytest.param(Broker((LOST, False), OK), Status.CANCELLED, 2, id="silence, and it did not"),
    pytest.param(Broker(NotSent("refused"), NotSent("refused"), OK), Status.CANCELLED, 3, id="no connection twice"),
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

    async def watched(wanted, **how):
        seen.append(len(world.reads))
        return await cancel(wanted, **how)

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


async def test_an_order_whose_turn_is_over_before_a_connection_is_there_has_another_one():
    """Nothing was sent by then, and it counts as nothing."""
    assert (Status.CANCELLED, True, 1) == result(await Desk(Broker(TooLateError(), TooLateError(), OK)).run(job()))


async def test_an_order_that_comes_too_late_is_not_sent():
    """Checked at pick-up."""
    world = Broker()
    assert (Status.EXPIRED, False, 0) == result(await Desk(world).run(job(deadline=-1.0)))
    assert [] == world.sent


async def test_an_account_without_connection_expires():
    """Nothing was ever sent."""
    done = await Desk(Broker(*[NotSent("refused")] * 999)).run(job(deadline=0.4))
    assert (Status.EXPIRED, None) == (done.status, done.first_sent_at)


async def test_an_account_whose_broker_a_person_must_mend_is_blocked_with_the_cause():
    """A certificate or an address that is wrong: nothing was ever sent, and waiting alone helps no order."""
    why = NotSent("the certificate of broker.test is not valid: expired", is_for_a_person=True)
    done = await Desk(Broker(*[why] * 999)).run(job(deadline=0.4))
    assert (Status.BLOCKED, None) == (done.status, done.first_sent_at)
    assert done.document["text"].endswith("broker.test is not valid: expired")


async def test_an_order_is_cancelled_once_the_certificate_is_mended():
    why = NotSent("the certificate of broker.test is not valid: expired", is_for_a_person=True)
    assert Status.CANCELLED is (await Desk(Broker(why, why, OK)).run(job())).status


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
    world.cancel = lambda one, **how: asyncio.Event().wait() if one.order_number == OTHER else cancel(one, **how)
    desk = Desk(world, reading=ReadingPolicy(gather=0.001, soon=60))
    desk.begin(job(number=OTHER))  # and never answered
    assert (Status.CANCELLED, True, 1) == result(await desk.run(job(deadline=0.4)))


async def test_an_order_that_waits_for_its_turn_is_worked_on_for_longer_when_that_is_asked_for():
    """Its account is paused beyond the first deadline."""
    desk, one = Desk(Broker(OK)), job(deadline=0.2)
    desk.router.queues.pause(one.ucc, 0.4)
    done = asyncio.ensure_future(desk.run(one))
    await asyncio.sleep(0.01)
    desk.router.extend(one, one.deadline_at + 60)
    assert (Status.CANCELLED, True, 1) == result(await asyncio.wait_for(done, 20))


async def test_an_order_that_waits_for_proof_is_worked_on_for_longer_too():
    desk, one = Desk(Broker((LOST, False), OK), reading=ReadingPolicy(gather=0.5)), job(deadline=0.3)
    done = asyncio.ensure_future(desk.run(one))
    await asyncio.sleep(0.01)
    desk.router.extend(one, one.deadline_at + 60)
    assert (Status.CANCELLED, True, 2) == result(await asyncio.wait_for(done, 20))


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
