"""The orders of one account that wait for their turn."""

import math
import weakref

import pytest

from neo_cancel.record import Header
from worker.orders.job import Job
from worker.orders.waiting import RISK, ROUTINE, WaitingOrders

NOW = 1_000.0


def job(number, lane="routine", *, deadline=60.0, watched=False, attempts=0, maybe_sent=False, kind=Job):
    document = {"ucc": "AB123", "order_number": str(number), "variety": "regular", "lane": lane}
    about = {"deadline_seconds": deadline, "attempts": attempts}
    made = kind(Header("sending", 1, "w", int(NOW * 1000), maybe_sent, 0), document | about)
    made.is_watched = watched
    return made


def waiting(*jobs):
    orders = WaitingOrders()
    for one in jobs:
        orders.push(one)
    return orders


class WeakJob(Job):
    """A job that tells when it is gone."""

    __slots__ = ("__weakref__",)


def again(number, lane="routine", **about):
    return job(number, lane, attempts=1, **about)


def turns(orders):
    return [int(orders.pop().order_number) for _ in range(len(orders))]


@pytest.mark.parametrize(
    ("jobs", "order"),
    [
        pytest.param([job(1), job(2, "risk")], [2, 1], id="risk first"),
        pytest.param([job(1), job(2, deadline=9.0)], [2, 1], id="then the earlier deadline"),
        pytest.param([job(1), job(2), job(3)], [1, 2, 3], id="then the earlier arrival"),
        pytest.param([job(1, deadline=1.0, watched=True), job(2)], [2, 1], id="a watched order last"),
        pytest.param([job(1), job(2, "risk", watched=True)], [2, 1], id="a watched risk order before routine"),
        pytest.param(
            [again(1), again(2), *[job(number) for number in range(3, 10)]],
            [3, 4, 5, 1, 6, 7, 8, 2, 9],
            id="a retry after three first sends",
        ),
        pytest.param(
            [job(1, maybe_sent=True), job(2, maybe_sent=True), job(3)],
            [3, 1, 2],
            id="what may have been sent is a retry",
        ),
        pytest.param(
            [again(1), again(2, deadline=9.0), job(3), job(4, deadline=9.0)], [4, 3, 2, 1], id="each by its deadline"
        ),
        pytest.param([job(1), again(2, "risk"), job(3, "risk"), again(4)], [3, 2, 1, 4], id="in turn within risk, too"),
        pytest.param([again(1, watched=True), again(2), job(3)], [3, 2, 1], id="a watched order after a retry"),
    ],
)
def test_whose_turn_it_is(jobs, order):
    """Lane, deadline, arrival."""
    assert order == turns(waiting(*jobs))


@pytest.mark.parametrize(("many", "few", "expected"), [(again, job, [1, 2, 3, 5, 6, 7, 9]), (job, again, [4, 8, 12])])
def test_neither_first_sends_nor_retries_starve(many, few, expected):
    """However many of the others come with an earlier deadline: first sends have three turns in four, retries one."""
    orders, served = waiting(*[few(number) for number in range(99)]), []
    for number in range(100, 112):
        orders.push(many(number, deadline=1.0))
        orders.push(many(number + 50, deadline=1.0))
        served.append(int(orders.pop().order_number))
    theirs = [turn for turn, number in enumerate(served, start=1) if number < 100]
    assert expected == [turn for turn in theirs if turn <= expected[-1]]


def test_a_retry_goes_at_once_when_three_first_sends_went_before():
    """Also where no retry waited then; after it, first sends go."""
    orders = waiting(*[job(number) for number in range(1, 8)])
    assert ["1", "2", "3", "4"] == [orders.pop().order_number for _ in range(4)]
    for number in (8, 9):
        orders.push(again(number))
    assert [8, 5, 6, 7, 9] == turns(orders)


def test_first_sends_are_counted_apart():
    """Of those that may go now, in both lanes."""
    orders = waiting(job(1), job(2, "risk"), again(3), job(4, watched=True))
    orders.push(job(5), not_before=NOW + 5)
    assert (2, 4) == (orders.first_sends, len(orders))


def test_an_order_that_is_gone_is_not_looked_for_any_more():
    """Nor kept in memory, though its deadline would have come last."""
    orders = waiting(job(1))
    for number in range(100, 200):
        orders.push(job(number, "risk", deadline=float(number), kind=WeakJob))
    gone = [weakref.ref(orders.pop()) for _ in range(100)]
    assert 2 > sum(one() is not None for one in gone)
    assert (NOW + 60, 1) == (orders.next_time(), len(orders))
    orders.pop()
    assert (math.inf, True, 0) == (orders.next_time(), orders.is_empty, sum(one() is not None for one in gone))


def test_an_order_that_may_not_go_yet_has_no_turn():
    """It waits aside until its pause is over, and is handed out in the order of the pauses."""
    orders, late, soon = WaitingOrders(), job(1), job(2)
    orders.push(late, not_before=NOW + 5)
    orders.push(soon, not_before=NOW + 2)
    assert (0, False, False) == (len(orders), bool(orders), orders.is_empty)
    assert [[], [soon], [late]] == [orders.take_due(NOW + after) for after in (1, 2, 9)]
    assert orders.is_empty


def test_what_is_late_is_taken_out_wherever_it_waits():
    """At its deadline, in the order of the turns; those aside come after those that may go."""
    orders = waiting(job(1, deadline=10.0), job(2, "risk", deadline=10.0), job(3))
    orders.push(aside := job(4, deadline=10.0), not_before=NOW + 30)
    late = orders.take_late(NOW + 10)
    assert ["2", "1", "4"] == [one.order_number for one in late]
    assert aside in late
    assert [3] == turns(orders)


def test_orders_are_taken_out_by_number_and_the_rest_keep_their_turns():
    """Also those that wait aside."""
    orders = waiting(*[job(number) for number in range(9, 0, -1)])
    orders.push(job(10), not_before=NOW + 30)
    assert {"7", "2", "10"} == {one.order_number for one in orders.take_out({"2", "7", "10", "99"})}
    assert [9, 8, 6, 5, 4, 3, 1] == turns(orders)
    assert orders.is_empty


def test_everything_can_be_taken_out_and_listed():
    """Ready or aside."""
    orders = waiting(job(1))
    orders.push(job(2), not_before=NOW + 30)
    listed = orders.everyone
    assert (listed, True) == (orders.take_all(), orders.is_empty)


@pytest.mark.parametrize(
    ("jobs", "pauses", "expected"),
    [
        ([], [], math.inf),
        ([job(1), job(2, deadline=9.0)], [], NOW + 9),
        ([job(1)], [NOW + 5, NOW + 3], NOW + 3),
    ],
)
def test_the_clock_is_looked_at_when_something_happens_next(jobs, pauses, expected):
    """The earliest deadline or end of a pause."""
    orders = waiting(*jobs)
    for pause in pauses:
        orders.push(job(pause), not_before=pause)
    assert expected == orders.next_time()


@pytest.mark.parametrize(
    ("jobs", "urgency", "count"),
    [([job(1), job(2)], ROUTINE, 2), ([job(1), job(2, "risk")], RISK, 1), ([job(1, "risk"), job(2, "risk")], RISK, 2)],
)
def test_how_many_turns_are_worth_asking_for(jobs, urgency, count):
    """Risk orders alone while one is first."""
    orders = waiting(*jobs)
    assert (urgency, count) == (orders.first_urgency, orders.count(orders.first_urgency))


def test_an_order_that_became_urgent_moves_up():
    """Once; one that waits aside or not at all is not moved."""
    urgent, aside = job(3), job(4)
    orders = waiting(job(1), job(2), urgent)
    orders.push(aside, not_before=NOW + 30)
    urgent.lane = aside.lane = "risk"
    assert [True, False, False, False] == [orders.escalate(one) for one in (urgent, urgent, aside, job(5, "risk"))]
    assert [3, 1, 2] == turns(orders)


def test_of_many_orders_that_become_urgent_each_is_found_by_itself():
    """And none twice; those that go first are the urgent ones."""
    jobs = [job(at) for at in range(1, 401)]
    orders = waiting(*jobs)
    for one in jobs[::2]:
        one.lane = "risk"
        assert orders.escalate(one)
        assert not orders.escalate(one)
    assert (200, 200) == (orders.count(RISK), orders.count(ROUTINE))
    assert [*jobs[::2], *jobs[1::2]] == [orders.pop() for _ in jobs]
