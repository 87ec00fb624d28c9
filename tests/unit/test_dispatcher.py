"""From messages to orders in hand, and back when they have ended: nothing is taken that there is no capacity for."""

import asyncio

import pytest

from neo_cancel.record import Status
from tests.unit.dispatching import BACKLOG, UCC, Desk, chunk, job, settle
from worker.dispatch.group import Group, Threads
from worker.dispatch.intake import Refusal
from worker.ledger.steps import NOTHING
from worker.observe.events import Refused


async def test_a_message_is_answered_when_its_orders_have_ended():
    desk = Desk()
    message = desk.start(chunk(3))
    await settle()
    assert (3, False) == (len(desk.orders.taken), message.done())
    desk.end(*desk.orders.taken[:2])
    await settle()
    assert not message.done()
    desk.end(desk.orders.taken[2], status=Status.FILLED)
    said = {"lane": "routine", "accounts": 1, "orders": 3, "claimed": 3, "ended": {"cancelled": 2, "filled": 1}}
    assert said.items() <= (await message).items()
    assert [] == desk.ledger.draws


async def test_orders_that_are_in_other_hands_are_not_waited_for():
    desk = Desk(capacity=0)
    assert {"claimed": 0, "ended": {}}.items() <= (await desk.dispatcher.work(chunk(2))).items()


async def test_wrong_parts_become_dead_letters_and_the_others_go_on():
    desk = Desk()
    message = desk.start(chunk(1, refusals=[Refusal("order_number='12x': must be digits", {"order_number": "12x"})]))
    await settle()
    assert [("order_number='12x': must be digits", {"order_number": "12x"})] == desk.ledger.letters
    assert [Refused("order_number: must be digits")] == desk.events
    desk.end()
    assert 1 == (await message)["orders"]


async def test_a_message_without_orders_asks_for_a_look_into_the_backlog():
    desk = Desk()
    desk.ledger.backlogs[BACKLOG] = [job(1), job(2)]
    assert {"accounts": 1, "orders": 0}.items() <= (await desk.dispatcher.work(chunk(0))).items()
    await settle()
    assert 2 == len(desk.orders.taken)


async def test_orders_beyond_capacity_are_drawn_from_the_backlog_as_others_end():
    desk = Desk(capacity=2)
    message = desk.start(chunk(5))
    await settle()
    assert (2, 3) == (len(desk.orders.taken), len(desk.ledger.backlogs[BACKLOG]))
    for taken in (4, 5):
        desk.end()
        async with asyncio.timeout(10):
            while len(desk.orders.taken) < taken:
                await asyncio.sleep(0)
    assert 2 == (await message)["claimed"]
    assert [("routine", 5, 2)] == desk.ledger.claims


async def test_a_long_message_is_claimed_in_parts():
    """By hand a message may hold thousands of orders; a script takes no list as long as that."""
    desk = Desk(capacity=2000)
    message = desk.start(chunk(1200))
    await settle()
    assert [("routine", 500, 500), ("routine", 500, 500), ("routine", 200, 200)] == desk.ledger.claims
    desk.end()
    assert 1200 == (await message)["claimed"]


async def test_messages_of_one_account_share_its_capacity_while_they_are_claimed():
    desk = Desk(capacity=3)
    messages = [desk.start(chunk(2)), desk.start(chunk(2, first=11))]
    await settle()
    assert [("routine", 2, 2), ("routine", 2, 1)] == desk.ledger.claims
    desk.end()
    await asyncio.gather(*messages)


async def test_the_head_start_ends_after_the_first_steps_of_the_orders():
    desk = Desk()
    message = desk.start(chunk(2))
    await settle()
    assert [2] == desk.begun
    desk.end()
    await message


async def test_a_message_that_comes_while_draining_goes_into_the_backlog_whole():
    desk = Desk()
    await desk.dispatcher.drain(at=0.0)
    assert 0 == (await desk.dispatcher.work(chunk(2)))["claimed"]
    assert [("routine", 2, NOTHING)] == desk.ledger.claims
    await settle()
    assert ([], []) == (desk.orders.taken, desk.ledger.draws)


async def test_orders_that_were_claimed_as_draining_began_do_not_begin():
    desk = Desk()
    message = desk.start(chunk(1))
    await asyncio.sleep(0)
    await desk.dispatcher.drain(at=0.0)
    assert 1 == (await message)["claimed"]
    assert ([], 0) == (desk.orders.taken, len(desk.in_hand))


async def test_draining_gives_back_what_does_not_end_watched_orders_too():
    """What a watch has sent and heard must not be forgotten."""
    desk = Desk()
    message = desk.start(chunk(1))
    desk.ledger.watched = [job(7, watched=True)]
    await settle()
    await desk.dispatcher.take_watched()
    await desk.dispatcher.drain(at=123.0)
    assert [123.0] == desk.orders.stopped_at
    assert [f"{1:015d}", f"{7:015d}"] == [one.order_number for one in desk.ledger.released]
    assert 1 == (await message)["claimed"]


async def test_draining_offers_the_backlogs_to_other_workers():
    desk = Desk(capacity=0)
    desk.ledger.backlogs[BACKLOG] = [job(1)]
    desk.backlogs.work_off(BACKLOG)
    await settle()
    await desk.dispatcher.drain(at=0.0)
    assert [BACKLOG] == desk.ledger.left


async def test_a_lost_lease_ends_every_wait_and_frees_the_capacity():
    desk = Desk(capacity=2)
    message = desk.start(chunk(2))
    await settle()
    assert 0 == desk.capacity.free("routine", UCC)
    desk.in_hand.abandon()
    assert {"under_way": 2, "ended": {}}.items() <= (await message).items()
    assert (2, 0, 1) == (desk.capacity.free("routine", UCC), len(desk.in_hand), desk.orders.abandoned)


async def test_an_order_that_ends_twice_is_counted_once():
    """Abandoned, and then its record was written all the same."""
    desk = Desk(capacity=2)
    message = desk.start(chunk(1))
    await settle()
    desk.end()
    desk.end()
    await message
    assert 2 == desk.capacity.free("routine", UCC)


# ---------------------------------------------------------------------- threads


async def test_the_message_that_waits_longest_is_set_free_when_others_need_its_thread():
    """Four threads: with the fourth message more than three quarters of them wait."""
    desk = Desk(threads=4)
    messages = [desk.start(chunk(1, first=number)) for number in range(4)]
    await settle()
    assert [True, False, False, False] == [message.done() for message in messages]
    assert 4 == len(desk.in_hand)
    desk.end()
    await asyncio.gather(*messages)


async def test_with_as_many_orders_as_a_process_may_have_no_thread_is_set_free():
    """Then messages wait for a thread, in the queue where other workers find them."""
    desk = Desk(threads=4, most=4)
    messages = [desk.start(chunk(1, first=number)) for number in range(4)]
    await settle()
    assert [False] * 4 == [message.done() for message in messages]
    desk.end()
    await asyncio.gather(*messages)


async def test_a_single_thread_never_waits():
    desk = Desk(threads=1)
    assert 1 == (await desk.dispatcher.work(chunk(1)))["under_way"]


async def test_the_number_of_threads_is_what_celery_says():
    desk = Desk(threads=8)
    desk.dispatcher.serve(["routine"], threads=1)
    assert 1 == (await desk.dispatcher.work(chunk(1)))["claimed"]


async def test_a_wait_that_has_ended_is_not_the_longest_any_more():
    """Else it would be set free in place of one that still keeps a thread."""
    threads = Threads(2)
    groups = [Group("routine") for _ in range(3)]
    for group in groups:
        group.add()
    cancelled = asyncio.ensure_future(threads.wait(groups[0], may_free=True))
    await settle()
    cancelled.cancel()
    await settle()
    waits = [asyncio.ensure_future(threads.wait(group, may_free=True)) for group in groups[1:]]
    await settle()
    assert [True, False] == [wait.done() for wait in waits]
    groups[2].remove()
    await waits[1]


# ---------------------------------------------------------------------- the watch list and urgency


@pytest.mark.parametrize(("is_over", "sends"), [(False, 1), (True, 0)])
async def test_a_watched_order_may_be_sent_once_more_while_its_trading_day_lasts(is_over, sends):
    desk = Desk()
    watched = job(7, lane="risk", watched=True)
    desk.ledger.watched = [watched]
    desk.days_over = {watched.name} if is_over else set()
    await desk.dispatcher.take_watched()
    assert ([watched], [sends]) == (desk.orders.taken, desk.orders.sends)
    assert (99, 100) == (desk.capacity.free("risk", UCC), desk.capacity.free("routine", UCC))


async def test_no_watched_order_is_taken_while_draining():
    desk = Desk()
    desk.ledger.watched = [job(7, watched=True)]
    await desk.dispatcher.drain(at=0.0)
    await desk.dispatcher.take_watched()
    assert [] == desk.orders.taken


async def test_an_order_that_became_urgent_overtakes_and_stays_urgent():
    desk = Desk()
    held = desk.ledger.hold(job(1))
    desk.in_hand.ask_more(held, is_risk=True)
    assert ([held], "risk", "risk") == (desk.orders.escalated, held.lane, held.document["lane"])


async def test_urgency_changes_nothing_for_risk_orders():
    desk = Desk()
    desk.in_hand.ask_more(desk.ledger.hold(job(1, lane="risk")), is_risk=True)
    assert [] == desk.orders.escalated
