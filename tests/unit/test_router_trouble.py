"""Orders in trouble that is not their own: an account's, a worker's that stops, a neighbour's."""

import asyncio
from dataclasses import replace

from neo_cancel.record import Status
from tests.unit.routing import LOST, NUMBER, OK, OTHER, UCC, Broker, Desk, job, no, result
from worker.kotak.order_book import OrderState
from worker.kotak.replies import NoSessionError
from worker.orders.account_queue import QueuePolicy

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

    async def slow(wanted, **how):
        await answer.wait()
        return await cancel(wanted, **how)

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
    world.cancel = lambda *_, **__: asyncio.Event().wait()
    stuck = job()
    desk.begin(stuck)
    await asyncio.sleep(0.01)
    await asyncio.wait_for(desk.router.stop(asyncio.get_running_loop().time() + 0.05), 5)
    assert (1, False, False) == (stuck.attempts, stuck.is_in_flight, desk.ends[stuck].done())


async def test_an_internal_error_ends_one_order_and_no_other():
    """Whatever goes wrong with one order must not lose it: unknown, watched, and told to somebody."""
    world = Broker()
    desk = Desk(world)
    world.cancel = lambda *_, **__: 1 / 0
    done = await desk.run(job())
    assert (Status.UNKNOWN, "internal error: ZeroDivisionError") == (done.status, done.document["text"])
    assert "internal error" in desk.book.errors()
