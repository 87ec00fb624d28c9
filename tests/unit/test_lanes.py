"""Whose turn it is, decided by one process for itself. The pace is a fake behind its Protocol."""

import asyncio
import time

import pytest

from neo_cancel.record import Header
from worker.orders.job import Job
from worker.orders.queue import LanePolicy, Lanes
from worker.orders.verdict import Action, Verdict


class Gate:
    """A pace that grants what the test allows."""

    def __init__(self, *, limited=True, slow_seconds=0.0, wait_seconds=0.001):
        self.limited, self.slow_seconds, self.wait_seconds = limited, slow_seconds, wait_seconds
        self.allowed = 0
        self.asked = 0

    def is_limited(self, ucc):
        return self.limited

    async def take(self, ucc, wanted, *, is_risk):
        self.asked += 1
        if self.slow_seconds:
            await asyncio.sleep(self.slow_seconds)
            self.slow_seconds = 0.0
        granted = min(wanted, self.allowed) if self.limited else wanted
        self.allowed -= granted if self.limited else 0
        return granted, self.wait_seconds

    async def slow_down(self, ucc):
        raise AssertionError("not asked for here")


def job(number, lane="routine", *, ucc="AB123", deadline_seconds=60.0):
    document = {
        "ucc": ucc,
        "order_number": f"2511{number:011d}",
        "variety": "regular",
        "lane": lane,
        "deadline_seconds": deadline_seconds,
    }
    return Job(Header("sending", 1, "w", int(time.time() * 1000), maybe_sent=False, crashes=0), document)


def lanes_of(gate, **policy):
    return Lanes(gate, LanePolicy(**policy), time.time)


async def sent_in_order(lane, jobs, gate):
    """Queue the jobs up in the order given, then let them go one by one."""
    order = []

    async def go(one):
        if await lane.turn(one):
            order.append(one.order_number)
            lane.done()

    tasks = [asyncio.create_task(go(one)) for one in jobs]
    await asyncio.sleep(0.01)  # all of them are waiting now: nothing is allowed yet
    assert [] == order
    while not all(task.done() for task in tasks):
        gate.allowed = 1
        await asyncio.sleep(0)
        await asyncio.sleep(0.002)
    return order


async def test_a_risk_order_goes_before_every_routine_order_that_waits():
    """However many wait, the next turn is the risk order's."""
    gate = Gate()
    routine = [job(n) for n in range(30)]
    risk = job(99, "risk")
    order = await sent_in_order(lanes_of(gate).of("AB123"), [*routine, risk], gate)
    assert risk.order_number == order[0]
    assert 31 == len(order)


async def test_then_the_earlier_deadline_then_the_earlier_arrival():
    """Within a lane, who has less time left goes first."""
    gate = Gate()
    late, soon, sooner = job(1), job(2, deadline_seconds=30.0), job(3, deadline_seconds=10.0)
    order = await sent_in_order(lanes_of(gate).of("AB123"), [late, soon, sooner], gate)
    assert [one.order_number for one in (sooner, soon, late)] == order


async def test_a_watched_order_goes_last_in_its_lane():
    """It has ended once: a first cancel goes before its second one, whatever their deadlines."""
    gate = Gate()
    watched, first = job(1, deadline_seconds=5.0), job(2)
    watched.is_watched = True
    order = await sent_in_order(lanes_of(gate).of("AB123"), [watched, first], gate)
    assert [one.order_number for one in (first, watched)] == order


async def test_an_order_that_became_urgent_moves_up():
    """`hurry` moves a waiting order into the risk lane."""
    gate = Gate()
    lane = lanes_of(gate).of("AB123")
    jobs = [job(n) for n in range(5)]
    turns = [asyncio.create_task(lane.turn(one)) for one in jobs]
    await asyncio.sleep(0.01)
    jobs[4].lane = "risk"
    lane.hurry(jobs[4].order_number)
    gate.allowed = 1
    assert await asyncio.wait_for(turns[4], 5)
    lane.close()
    assert [False] * 4 == [await turn for turn in turns[:4]]


async def test_a_deadline_ends_the_wait_without_a_turn():
    """Who waits past its deadline is told so, and nobody is asked to send it."""
    lane = lanes_of(Gate()).of("AB123")
    assert not await asyncio.wait_for(lane.turn(job(1, deadline_seconds=0.05)), 5)


async def test_an_account_without_a_rate_asks_nobody():
    """Unlimited and free: the turn comes at once, without a word to Redis."""
    gate = Gate(limited=False)
    lane = lanes_of(gate).of("AB123")
    assert await lane.turn(job(1))
    assert 0 == gate.asked


async def test_an_account_never_has_more_calls_in_flight_than_its_share():
    """The calls of one account are bounded; the next one goes when one ends."""
    lane = lanes_of(Gate(limited=False), at_once=2).of("AB123")
    turns = [asyncio.create_task(lane.turn(job(n))) for n in range(3)]
    await asyncio.sleep(0.01)
    assert [True, True, False] == [turn.done() for turn in turns]
    lane.done()
    assert await asyncio.wait_for(turns[2], 5)


async def test_places_in_flight_go_round_the_accounts():
    """A big account's queue does not keep the last place from a small one's only order."""
    lanes = lanes_of(Gate(limited=False), at_once=8, all_at_once=1)
    big, small = lanes.of("BIG01"), lanes.of("SMALL")
    assert await big.turn(job(0, ucc="BIG01"))
    waiting = [asyncio.create_task(big.turn(job(n, ucc="BIG01"))) for n in range(1, 9)]
    mine = asyncio.create_task(small.turn(job(1, ucc="SMALL")))
    await asyncio.sleep(0.01)
    ended = 0
    while not mine.done():
        big.done()
        ended += 1
        await asyncio.sleep(0.005)
    assert ended <= 2
    lanes.close()
    await asyncio.gather(*waiting)


async def test_a_place_goes_to_a_risk_order_of_any_account_first():
    """The places in flight know urgency, too."""
    lanes = lanes_of(Gate(limited=False), all_at_once=1)
    busy, routine, risk = lanes.of("BUSY1"), lanes.of("ROUT1"), lanes.of("RISK1")
    assert await busy.turn(job(0, ucc="BUSY1"))
    second = asyncio.create_task(routine.turn(job(1, ucc="ROUT1")))
    await asyncio.sleep(0.01)
    first = asyncio.create_task(risk.turn(job(2, "risk", ucc="RISK1")))
    await asyncio.sleep(0.01)
    busy.done()
    assert await asyncio.wait_for(first, 5)
    assert not second.done()
    lanes.close()
    assert not await second


async def test_a_grant_that_came_late_is_given_up():
    """Sent late, it would meet the sends of the next second; so another grant is asked for."""
    gate = Gate(slow_seconds=0.1)
    gate.allowed = 2
    lane = lanes_of(gate).of("AB123")
    assert await asyncio.wait_for(lane.turn(job(1)), 5)
    assert (0, 2) == (gate.allowed, gate.asked)


async def test_who_was_told_how_long_to_wait_does_not_ask_before():
    """A question that is answered with "not yet" costs as much as a grant."""
    gate = Gate(wait_seconds=1000)
    gate.allowed = 1
    lane = lanes_of(gate).of("AB123")
    turns = [asyncio.create_task(lane.turn(job(n))) for n in range(3)]
    await asyncio.sleep(0.05)
    assert ([True, False, False], 1) == ([turn.done() for turn in turns], gate.asked)
    urgent = asyncio.create_task(lane.turn(job(9, "risk")))
    gate.allowed = 1
    assert await asyncio.wait_for(urgent, 5)  # but for a risk order, which may go at once
    lane.close()
    assert [True, False, False] == await asyncio.gather(*turns)


async def test_each_is_told_at_its_own_deadline():
    """In the order of their deadlines, whatever the order of their arrivals."""
    lane, told = lanes_of(Gate()).of("AB123"), []
    all_told = asyncio.Event()

    def tell(one, granted_at):
        told.append((one.order_number[-1], granted_at))
        if len(told) == 3:
            all_told.set()
        return True

    for number, seconds in ((1, 0.15), (2, 0.05), (3, 0.1)):
        lane.line_up(job(number, deadline_seconds=seconds), tell)
    await asyncio.wait_for(all_told.wait(), 5)
    assert [("2", None), ("3", None), ("1", None)] == told


async def test_a_lane_without_a_lease_gives_no_turns_until_it_has_one():
    """A worker that slept through its lease finds out what it still holds before it sends."""
    entitled = [False]
    lanes = Lanes(Gate(limited=False), LanePolicy(), time.time, lambda: entitled[0])
    turn = asyncio.create_task(lanes.of("AB123").turn(job(1)))
    await asyncio.sleep(0.02)
    assert not turn.done()
    entitled[0] = True
    assert await asyncio.wait_for(turn, 5)


async def test_a_blocked_account_answers_for_a_moment_and_then_tries_again():
    """Who waits finds out at once; after the moment, one call may try."""
    lane = lanes_of(Gate(), blocked_seconds=0.05).of("AB123")
    turn = asyncio.create_task(lane.turn(job(1)))
    await asyncio.sleep(0.01)
    verdict = Verdict(Action.BLOCKED, "100008", "unauthorized")
    lane.block(verdict)
    assert verdict is lane.blocked
    assert await asyncio.wait_for(turn, 5)
    await asyncio.sleep(0.06)
    assert lane.blocked is None


@pytest.mark.parametrize("lane_name", ["risk", "routine"])
async def test_a_cancelled_waiter_gives_its_turn_back(lane_name):
    """A turn that nobody can use any more is free for the next."""
    lanes = lanes_of(Gate(limited=False), at_once=1)
    lane = lanes.of("AB123")
    assert await lane.turn(job(1, lane_name))
    gone = asyncio.create_task(lane.turn(job(2, lane_name)))
    waits = asyncio.create_task(lane.turn(job(3, lane_name)))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0)
    lane.done()
    assert await asyncio.wait_for(waits, 5)
