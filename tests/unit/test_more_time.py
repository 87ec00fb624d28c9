"""More time that is asked for while an order is worked on: it counts wherever the order is, and cuts no pause short."""

import asyncio

from neo_cancel.record import Status
from tests.unit.dispatching import Desk as Dispatching
from tests.unit.dispatching import chunk, settle
from tests.unit.routing import LOST, OK, Broker, Desk, job
from worker.kotak.replies import Reply


class Slow(Broker):
    """Its reads take longer than the order has time."""

    async def read_book(self, ucc):
        await asyncio.sleep(0.3)
        return await super().read_book(ucc)

    async def read_order(self, ucc, order_number):
        await asyncio.sleep(0.3)
        return await super().read_order(ucc, order_number)


async def test_more_time_does_not_cut_the_pause_short_that_the_broker_asked_for():
    """A strategy that asks again and again made six sends in 0.8 s."""
    world = Broker(*[Reply(503, ok=False, text="busy", retry_after_seconds=30.0)] * 20)
    desk, one = Desk(world), job(deadline=100.0)
    desk.begin(one)
    await asyncio.sleep(0.1)
    for _ in range(5):
        desk.router.extend(one, one.deadline_at + 1)
        await asyncio.sleep(0.02)
    assert 1 == len(world.sent)
    desk.router.close()


async def test_more_time_that_is_asked_for_during_the_last_look_counts():
    desk, one = Desk(Slow((LOST, False), OK), last_look=2.0), job(deadline=0.2)
    done = asyncio.ensure_future(desk.run(one))
    while not (one.course and one.course.is_last_look):
        await asyncio.sleep(0.005)
    desk.router.extend(one, one.deadline_at + 60)
    assert Status.CANCELLED is (await asyncio.wait_for(done, 20)).status


async def test_an_order_that_has_ended_and_is_being_written_takes_no_more_time():
    """The ledger puts it back, which it would not if the end's text knew of the new deadline."""
    desk = Dispatching()
    message = desk.start(chunk(1))
    await settle()
    [one] = desk.orders.taken
    one.status, before = Status.EXPIRED, one.deadline_at
    desk.in_hand.ask_more(one, is_risk=True, until=before + 60)
    assert (before, "routine", []) == (one.deadline_at, one.lane, desk.orders.escalated)
    desk.end()
    await message
