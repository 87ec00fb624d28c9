"""Whose turn it is, decided by one process for itself. The rate limiter is a fake behind its Protocol."""

import asyncio
import time
from functools import partial

import pytest

from neo_cancel.record import Header
from worker.kotak.codes import Action
from worker.orders.account_queue import QueuePolicy
from worker.orders.job import Job
from worker.orders.ports import Turns
from worker.orders.queue import AccountQueues
from worker.orders.verdict import Verdict


class Gate:
    """A rate limiter that grants what the test allows."""

    def __init__(self, *, limited=True, slow_seconds=0.0, wait_seconds=0.001):
        self.limited, self.slow_seconds, self.wait_seconds = limited, slow_seconds, wait_seconds
        self.allowed = 0
        self.asked = 0
        self.slow = set()  # accounts that have no turn

    def is_limited(self, ucc):
        return self.limited or ucc in self.slow

    async def take(self, requests, *, ahead_seconds):
        return [await self._take(one) for one in requests]

    async def _take(self, request):
        self.asked += 1
        now = time.time()
        granted = 0 if request.ucc in self.slow else min(request.wanted, self.allowed)
        self.allowed -= granted
        if self.slow_seconds:
            await asyncio.sleep(self.slow_seconds)
            self.slow_seconds = 0.0
        return Turns((now,) * granted, now + self.wait_seconds)

    async def slow_down(self, ucc, pause_seconds):
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


class Desk:
    """Account queues, and what they say of each order: True for a turn, False for a deadline."""

    def __init__(self, gate, *, is_entitled=lambda: True, **policy):
        self.events = []
        self.queues = AccountQueues(
            gate,
            QueuePolicy(**policy),
            clock=time.time,
            is_entitled=is_entitled,
            on_turn=self._on_turn,
            on_deadline=lambda one: self._say(one, turn=False),
            publish=self.events.append,
        )
        self.heard = {}
        self.order = []

    def _on_turn(self, one, granted_at):
        if not self.queues.is_fresh(one.ucc, granted_at):
            self.queues.release(one)
            self.queues.enqueue(one)
            return
        self._say(one, turn=True)

    def _say(self, one, *, turn):
        self.order.append((one.order_number, turn))
        self.heard[one].set_result(turn)

    def enqueue(self, one, **when):
        """Answer a future: whether the order had its turn."""
        self.heard[one] = asyncio.get_running_loop().create_future()
        self.queues.enqueue(one, **when)
        return self.heard[one]


async def sent_in_order(jobs, gate):
    """Queue the jobs up in the order given, then let them go one by one."""
    desk = Desk(gate)
    turns = [desk.enqueue(one) for one in jobs]
    await asyncio.sleep(0.01)  # all of them are waiting now: nothing is allowed yet
    assert [] == desk.order
    while not all(turn.done() for turn in turns):
        gate.allowed = 1
        await asyncio.sleep(0.002)
        for one, turn in zip(jobs, turns, strict=True):
            if turn.done():
                desk.queues.release(one)
    return [number for number, _ in desk.order]


async def test_a_risk_order_goes_before_every_routine_order_that_waits():
    """However many wait, the next turn is the risk order's."""
    gate = Gate()
    routine = [job(n) for n in range(30)]
    risk = job(99, "risk")
    order = await sent_in_order([*routine, risk], gate)
    assert risk.order_number == order[0]
    assert 31 == len(order)


async def test_then_the_earlier_deadline_then_the_earlier_arrival():
    """Within a lane, who has less time left goes first."""
    gate = Gate()
    late, soon, sooner = job(1), job(2, deadline_seconds=30.0), job(3, deadline_seconds=10.0)
    order = await sent_in_order([late, soon, sooner], gate)
    assert [one.order_number for one in (sooner, soon, late)] == order


async def test_a_watched_order_goes_last_in_its_lane():
    """It has ended once: a first cancel goes before its second one, whatever their deadlines."""
    gate = Gate()
    watched, first = job(1, deadline_seconds=5.0), job(2)
    watched.is_watched = True
    order = await sent_in_order([watched, first], gate)
    assert [one.order_number for one in (first, watched)] == order


async def test_orders_that_wait_for_their_first_turn_are_counted_without_the_retries():
    """The worker takes more of an account's orders into its hands, however many of them wait for another try."""
    desk, retry = Desk(Gate()), job(3)
    retry.attempts = 1
    for one in (job(1), job(2), retry):
        desk.enqueue(one)
    assert [2, 0] == [desk.queues.first_sends(ucc) for ucc in ("AB123", "NONE1")]
    desk.queues.close()


async def test_an_order_that_became_urgent_moves_up():
    """`escalate` moves a waiting order before every routine one."""
    gate = Gate()
    desk = Desk(gate)
    jobs = [job(n) for n in range(5)]
    turns = [desk.enqueue(one) for one in jobs]
    await asyncio.sleep(0.01)
    jobs[4].lane = "risk"
    desk.queues.escalate(jobs[4])
    gate.allowed = 1
    assert await asyncio.wait_for(turns[4], 5)
    desk.queues.close()
    assert [False] * 4 == [turn.done() for turn in turns[:4]]


async def test_a_deadline_ends_the_wait_without_a_turn():
    """An order that waits past its deadline is handed back, and not sent."""
    assert not await asyncio.wait_for(Desk(Gate()).enqueue(job(1, deadline_seconds=0.05)), 5)


async def test_a_wait_for_a_turn_may_end_before_the_deadline():
    """An order that may be gone is looked at meanwhile."""
    one = job(1)
    one.waits_until = time.time() + 0.05
    assert not await asyncio.wait_for(Desk(Gate()).enqueue(one), 5)


async def test_an_account_without_a_rate_asks_nobody():
    """Unlimited and free: the turn comes at once, without a word to Redis."""
    gate = Gate(limited=False)
    assert Desk(gate).enqueue(job(1)).done()
    assert 0 == gate.asked


async def test_an_account_never_has_more_calls_in_flight_than_its_share():
    """The calls of one account are bounded; the next one goes when one ends."""
    desk = Desk(Gate(limited=False), at_once=2)
    jobs = [job(n) for n in range(3)]
    turns = [desk.enqueue(one) for one in jobs]
    await asyncio.sleep(0.01)
    assert [True, True, False] == [turn.done() for turn in turns]
    desk.queues.release(jobs[0])
    assert await asyncio.wait_for(turns[2], 5)


async def test_a_call_that_ends_lets_the_next_one_go_at_once():
    """Where no rate is to be asked for, the next turn costs no switch of tasks, within an account and between two."""
    desk = Desk(Gate(limited=False), at_once=1, all_at_once=2)
    first, second, other, last = jobs = [job(1), job(2), job(3, ucc="OTHER"), job(4, ucc="LAST1")]
    turns = [desk.enqueue(one) for one in jobs]
    await asyncio.sleep(0.01)
    assert [True, False, True, False] == [turn.done() for turn in turns]
    desk.queues.release(other)
    assert [True, False, True, True] == [turn.done() for turn in turns]
    desk.queues.release(first)
    assert second.is_in_flight
    desk.queues.release(second)
    desk.queues.release(last)
    assert desk.queues.are_idle


async def test_a_place_that_a_paused_account_waited_for_goes_to_the_next_one():
    """An account that the broker pauses meanwhile cannot use it, and no other place may ever become free."""
    desk = Desk(Gate(limited=False), all_at_once=1)
    busy = job(0, ucc="BUSY1")
    turns = [desk.enqueue(one) for one in (busy, job(1, ucc="PAUSE"), job(2, ucc="OTHER"))]
    await asyncio.sleep(0.01)
    desk.queues.pause("PAUSE", 60)
    desk.queues.release(busy)
    assert [True, False, True] == [turn.done() for turn in turns]
    desk.queues.close()


async def test_hanging_routine_calls_of_an_account_hold_no_risk_order_back():
    """They may have a quarter more of the account's calls, and no more than that."""
    desk = Desk(Gate(limited=False), at_once=6)
    routine = [desk.enqueue(job(n)) for n in range(64)]
    assert 6 == sum(turn.done() for turn in routine)
    risk = [desk.enqueue(job(n, "risk")) for n in range(100, 103)]
    assert [True, True, False] == [turn.done() for turn in risk]
    desk.queues.close()


async def test_hanging_routine_calls_of_other_accounts_hold_no_risk_order_back():
    """They may have an eighth more of the process's calls."""
    desk = Desk(Gate(limited=False), at_once=3, all_at_once=14)
    routine = [desk.enqueue(job(n, ucc=f"ROUT{n % 8}")) for n in range(64)]
    await asyncio.sleep(0.01)
    assert 14 == sum(turn.done() for turn in routine)
    risk = [desk.enqueue(job(100 + n, "risk", ucc=f"RISK{n}")) for n in range(3)]
    assert [True, True, False] == [turn.done() for turn in risk]
    desk.queues.close()


async def test_routine_turns_that_many_accounts_were_granted_at_once_leave_places_for_risk():
    """As many go as there are places, and a grant that comes when these are taken is used all the same."""
    gate = Gate(slow_seconds=0.01)
    gate.allowed = 100
    desk = Desk(gate, at_once=4, all_at_once=8)
    routine = [desk.enqueue(job(n, ucc=f"ROUT{n}")) for n in range(30)]
    await asyncio.gather(*routine[:8])
    gate.limited = False
    assert desk.enqueue(job(99, "risk", ucc="RISK1")).done()
    desk.queues.close()


@pytest.mark.parametrize("gate", [Gate(limited=False), Gate(wait_seconds=1000)], ids=["unlimited", "limited"])
async def test_a_risk_order_goes_at_once_while_the_routine_share_is_full(gate):
    """Where the rate allows it: one that comes, and one that becomes urgent while it waits."""
    gate.allowed = 5
    desk = Desk(gate, at_once=3)
    jobs = [job(n) for n in range(6)]
    turns = [desk.enqueue(one) for one in jobs]
    await asyncio.sleep(0.01)
    assert [True] * 3 + [False] * 3 == [turn.done() for turn in turns]
    jobs[5].lane = "risk"
    desk.queues.escalate(jobs[5])
    assert await asyncio.wait_for(turns[5], 5)
    desk.queues.release(jobs[5])
    assert await asyncio.wait_for(desk.enqueue(job(9, "risk")), 5)
    assert [False, False] == [turn.done() for turn in turns[3:5]]
    desk.queues.close()


async def test_the_kept_places_go_to_no_routine_order_when_a_risk_call_ends():
    """And every call that ends below them lets one routine order go."""
    desk = Desk(Gate(limited=False), at_once=3)
    jobs = [*(job(n) for n in range(5)), job(9, "risk")]
    turns = [desk.enqueue(one) for one in jobs]
    await asyncio.sleep(0.01)
    assert [True, True, True, False, False, True] == [turn.done() for turn in turns]
    desk.queues.release(jobs[5])
    await asyncio.sleep(0.01)
    assert not turns[3].done()
    for ended in (0, 1):
        desk.queues.release(jobs[ended])
        assert await asyncio.wait_for(turns[3 + ended], 5)


async def test_a_risk_order_that_comes_while_the_rate_is_asked_for_is_asked_for_at_once():
    """The answer "not yet" was for routine orders."""
    gate = Gate(slow_seconds=0.02, wait_seconds=1000)
    desk = Desk(gate)
    desk.enqueue(job(1))
    await asyncio.sleep(0)
    urgent = desk.enqueue(job(9, "risk"))
    await asyncio.sleep(0.005)
    assert 1 == gate.asked
    await asyncio.sleep(0.02)
    assert 2 == gate.asked
    assert not urgent.done()
    desk.queues.close()


async def test_a_grant_for_a_risk_order_that_is_gone_is_no_routine_orders_while_their_share_is_full():
    """It ended while the rate was asked for; the grant is given up."""
    gate = Gate()
    gate.allowed = 4
    desk = Desk(gate, at_once=3)
    turns = [desk.enqueue(job(n)) for n in range(4)]
    await asyncio.sleep(0.01)
    gate.slow_seconds = 0.01
    gone = job(9, "risk")
    desk.enqueue(gone)
    await asyncio.sleep(0)
    assert [gone] == desk.queues.take_out("AB123", {gone.order_number})
    await asyncio.sleep(0.03)
    assert (0, [True, True, True, False]) == (gate.allowed, [turn.done() for turn in turns])
    desk.queues.close()


async def test_a_place_that_an_account_is_not_granted_a_send_for_goes_to_the_next_one():
    """It was woken for the place, and its rate says not yet; no other call may end for a long time."""
    gate = Gate(limited=False, wait_seconds=1000)
    desk = Desk(gate, all_at_once=1)
    busy = job(0, ucc="BUSY1")
    turns = [desk.enqueue(one) for one in (busy, job(1, ucc="SLOW1"), job(2, ucc="OTHER"))]
    await asyncio.sleep(0.01)
    gate.slow = {"SLOW1"}
    desk.queues.release(busy)
    assert await asyncio.wait_for(turns[2], 5)
    assert not turns[1].done()
    desk.queues.close()


async def test_a_place_that_an_account_has_no_order_for_any_more_goes_to_the_next_one():
    """The order that it was woken for is taken out before it asks."""
    gate = Gate(limited=False)
    desk = Desk(gate, all_at_once=1)
    busy, gone = job(0, ucc="BUSY1"), job(1, ucc="SLOW1")
    turns = [desk.enqueue(one) for one in (busy, gone, job(2, ucc="OTHER"))]
    await asyncio.sleep(0.01)
    gate.slow = {"SLOW1"}
    desk.queues.release(busy)
    assert [gone] == desk.queues.take_out("SLOW1", {gone.order_number})
    assert await asyncio.wait_for(turns[2], 5)


async def test_a_place_that_a_risk_order_waited_for_goes_to_no_routine_order_of_its_account():
    """The risk order has ended meanwhile, and what is kept stays kept."""
    desk = Desk(Gate(limited=False), at_once=16, all_at_once=8)
    busy = [job(n, "risk", ucc="BUSY1") for n in range(8)]
    gone, routine = job(20, "risk"), job(21)
    turns = [desk.enqueue(one) for one in (*busy, gone, routine)]
    await asyncio.sleep(0.01)
    desk.queues.take_out("AB123", {gone.order_number})
    desk.queues.release(busy[0])
    await asyncio.sleep(0.01)
    assert not turns[9].done()
    desk.queues.release(busy[1])
    assert await asyncio.wait_for(turns[9], 5)


async def test_an_order_is_released_once():
    """A second release must not free a place that another order has."""
    desk = Desk(Gate(limited=False), at_once=1)
    first, second, third = jobs = [job(n) for n in range(3)]
    turns = [desk.enqueue(one) for one in jobs]
    desk.queues.release(first)
    desk.queues.release(first)
    assert await asyncio.wait_for(turns[1], 5)
    await asyncio.sleep(0.01)
    assert (True, False) == (second.is_in_flight, third.is_in_flight)


async def test_places_in_flight_go_round_the_accounts():
    """A big account's queue does not keep the last place from a small one's only order."""
    desk = Desk(Gate(limited=False), at_once=8, all_at_once=1)
    big = [job(n, ucc="BIG01") for n in range(9)]
    for one in big:
        desk.enqueue(one)
    mine = desk.enqueue(job(1, ucc="SMALL"))
    await asyncio.sleep(0.01)
    ended = 0
    while not mine.done():
        for one in big:
            if one.is_in_flight:
                desk.queues.release(one)
                ended += 1
        await asyncio.sleep(0.005)
    assert ended <= 2
    desk.queues.close()


async def test_a_place_goes_to_a_risk_order_of_any_account_first():
    """The places in flight know urgency, too."""
    desk = Desk(Gate(limited=False), all_at_once=1)
    busy = job(0, ucc="BUSY1")
    assert desk.enqueue(busy).done()
    assert desk.enqueue(job(3, "risk", ucc="BUSY2")).done()  # in the place that is kept for such
    second = desk.enqueue(job(1, ucc="ROUT1"))
    await asyncio.sleep(0.01)
    first = desk.enqueue(job(2, "risk", ucc="RISK1"))
    await asyncio.sleep(0.01)
    assert not first.done()
    desk.queues.release(busy)
    assert await asyncio.wait_for(first, 5)
    assert not second.done()
    desk.queues.close()


async def test_a_grant_that_came_late_is_given_up():
    """Sent late, it would meet the sends of the next second; so another grant is asked for."""
    gate = Gate(slow_seconds=0.1)
    gate.allowed = 2
    assert await asyncio.wait_for(Desk(gate).enqueue(job(1)), 5)
    assert (0, 2) == (gate.allowed, gate.asked)


async def test_a_queue_does_not_ask_again_before_the_time_it_was_told():
    """A question that is answered with "not yet" costs as much as a grant."""
    gate = Gate(wait_seconds=1000)
    gate.allowed = 1
    desk = Desk(gate)
    turns = [desk.enqueue(job(n)) for n in range(3)]
    await asyncio.sleep(0.05)
    assert ([True, False, False], 1) == ([turn.done() for turn in turns], gate.asked)
    gate.allowed = 1
    assert await asyncio.wait_for(desk.enqueue(job(9, "risk")), 5)  # but for a risk order, which may go at once
    desk.queues.close()
    assert [True, False, False] == [turn.done() for turn in turns]


async def test_each_order_ends_at_its_own_deadline():
    """In the order of their deadlines, whatever the order of their arrivals."""
    desk = Desk(Gate())
    await asyncio.wait_for(
        asyncio.gather(
            *(desk.enqueue(job(n, deadline_seconds=seconds)) for n, seconds in ((1, 0.15), (2, 0.05), (3, 0.1)))
        ),
        5,
    )
    assert [("2", False), ("3", False), ("1", False)] == [(number[-1], turn) for number, turn in desk.order]


async def test_a_retry_waits_until_its_pause_is_over():
    """Aside: the orders behind it go on meanwhile, and then it has its turn."""
    gate = Gate(limited=False)
    desk = Desk(gate)
    later = job(1)
    paused = desk.enqueue(later, not_before=time.time() + 0.05)
    assert (False, True) == (paused.done(), desk.enqueue(job(2)).done())
    assert await asyncio.wait_for(paused, 5)


async def test_a_retry_whose_deadline_comes_first_has_no_turn():
    """The pause does not outlive the order."""
    desk = Desk(Gate(limited=False))
    assert not await asyncio.wait_for(desk.enqueue(job(1, deadline_seconds=0.05), not_before=time.time() + 60), 5)


async def test_a_worker_without_a_lease_gives_no_turns_until_it_has_one():
    """A worker that slept through its lease finds out what it still holds before it sends."""
    entitled = [False]
    turn = Desk(Gate(limited=False), is_entitled=lambda: entitled[0]).enqueue(job(1))
    await asyncio.sleep(0.02)
    assert not turn.done()
    entitled[0] = True
    assert await asyncio.wait_for(turn, 5)


async def test_a_blocked_account_answers_for_a_moment_and_then_tries_again():
    """Waiting orders learn of it at once, those in a pause, too; after the moment, one call may try."""
    desk = Desk(Gate(), blocked_seconds=0.05)
    turn, paused = desk.enqueue(job(1)), desk.enqueue(job(2), not_before=time.time() + 60)
    await asyncio.sleep(0.01)
    verdict = Verdict(Action.BLOCKED, "100008", "unauthorized")
    desk.queues.block("AB123", verdict)
    assert verdict is desk.queues.blocked("AB123")
    assert [True, True] == await asyncio.wait_for(asyncio.gather(turn, paused), 5)
    await asyncio.sleep(0.06)
    assert desk.queues.blocked("AB123") is None


async def test_a_pause_that_the_broker_asked_for_holds_the_whole_account():
    """And no other account."""
    desk = Desk(Gate(limited=False))
    desk.queues.pause("AB123", 0.05)
    held, other = desk.enqueue(job(1)), desk.enqueue(job(2, ucc="CD456"))
    assert (False, True) == (held.done(), other.done())
    assert await asyncio.wait_for(held, 5)


async def test_a_withdrawn_order_has_no_turn_any_more():
    """Its place in the queue is the next order's."""
    gate = Gate()
    desk = Desk(gate)
    gone = desk.enqueue(job(1))
    await asyncio.sleep(0.01)
    desk.queues.withdraw()
    waits = desk.enqueue(job(2))
    gate.allowed = 1
    assert await asyncio.wait_for(waits, 5)
    assert not gone.done()


class Counting(Gate):
    """Remembers how many accounts each question was for."""

    def __init__(self):
        super().__init__()
        self.allowed, self.sizes = 10**6, []

    async def take(self, requests, *, ahead_seconds):
        self.sizes.append(len(requests))
        await asyncio.sleep(0)
        return await super().take(requests, ahead_seconds=ahead_seconds)


async def test_of_thousands_of_accounts_only_as_many_ask_at_once_as_can_be_sent_soon():
    gate = Counting()
    desk = Desk(gate, all_at_once=8)
    jobs = [job(number, ucc=f"AB{number:04}") for number in range(1000)]
    turns = [desk.enqueue(one) for one in jobs]
    for one, turn in zip(jobs, turns, strict=True):
        assert await asyncio.wait_for(turn, 20)
        desk.queues.release(one)
    assert (4, 1000) == (max(gate.sizes), gate.asked)


async def test_an_account_that_has_nothing_to_do_is_let_go_and_comes_back():
    desk = Desk(Gate(limited=False))
    for number in (1, 2):
        one = job(number)
        assert await desk.enqueue(one)
        desk.queues.forget_idle()
        assert 1 == len(desk.queues._accounts)  # it is in flight
        desk.queues.release(one)
        desk.queues.forget_idle()
        assert {} == desk.queues._accounts


async def test_an_account_that_is_paused_or_has_an_order_aside_is_not_let_go():
    desk = Desk(Gate(limited=False))
    desk.queues.pause("AB123", 60.0)
    desk.enqueue(job(1, ucc="CD456"), not_before=time.time() + 60)
    desk.queues.forget_idle()
    assert ["AB123", "CD456"] == sorted(desk.queues._accounts)
    desk.queues.close()


class Away(Counting):
    """Grants nothing while it is away: it raises, as the ledger does."""

    def __init__(self):
        super().__init__()
        self.is_away = False

    async def take(self, requests, *, ahead_seconds):
        if self.is_away:
            await asyncio.sleep(0.01)
            now = time.time()
            return [Turns((), now + 0.05) for _ in requests]
        return await super().take(requests, ahead_seconds=ahead_seconds)


async def test_after_a_ledger_was_away_no_more_accounts_ask_at_once_than_there_are_places():
    """All of them were due: a thousand calls began at once."""
    gate = Away()
    gate.is_away = True
    desk = Desk(gate, all_at_once=8)
    jobs = [job(number, ucc=f"AB{number:04}") for number in range(100)]
    turns = [desk.enqueue(one) for one in jobs]
    for one, turn in zip(jobs, turns, strict=True):
        turn.add_done_callback(partial(lambda one, _: desk.queues.release(one), one))
    await asyncio.sleep(0.3)
    gate.is_away = False
    assert all(await asyncio.wait_for(asyncio.gather(*turns), 20))
    assert 8 >= max(gate.sizes)


async def test_an_order_that_waits_may_be_given_more_time_and_does_not_end_before_that():
    desk, one = Desk(Gate()), job(1, deadline_seconds=0.1)
    one.waits_until = one.deadline_at
    heard = desk.enqueue(one)
    one.extend(one.deadline_at + 0.3)
    await asyncio.sleep(0.2)
    assert not heard.done()
    assert not await asyncio.wait_for(heard, 20)


async def test_a_forgotten_account_that_was_waiting_for_a_place_holds_up_no_other():
    """Its order had ended meanwhile; the place goes to the next one."""
    desk = Desk(Gate(limited=False), all_at_once=1)
    first, gone, last = (job(number, ucc=f"AB{number:04}") for number in range(3))
    assert await desk.enqueue(first)
    desk.enqueue(gone)
    waiting = desk.enqueue(last)
    assert [gone] == desk.queues.take_out(gone.ucc, [gone.order_number])
    desk.queues.forget_idle()
    desk.queues.release(first)
    assert await asyncio.wait_for(waiting, 20)
