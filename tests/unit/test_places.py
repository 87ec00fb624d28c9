"""Places in flight: how many calls a process makes at once, and whose the next one is."""

import pytest

from neo_cancel.record import Header
from worker.orders.job import Job
from worker.orders.places import Places
from worker.orders.waiting import RISK, ROUTINE


class Queue:
    """Notes in `woken` when it gets a place; it wants one or not."""

    def __init__(self, name, woken, *, wants=True):
        self.name, self.woken, self.wants = name, woken, wants

    def wake(self):
        self.woken.append(self.name)
        return self.wants


def job(lane="routine"):
    document = {"ucc": "AB123", "order_number": "1", "variety": "regular", "lane": lane, "deadline_seconds": 60.0}
    return Job(Header("sending", 1, "w", 0, maybe_sent=False, crashes=0), document)


def taken(count, *, kept=0, lane="routine"):
    """Answer places of which so many are taken, and by which orders."""
    places, jobs = Places(count, kept), [job(lane) for _ in range(count)]
    for one in jobs:
        places.take(one)
    return places, jobs


def test_places_are_contended_when_none_is_free_or_a_queue_waits():
    """A queue that comes later must not take what another one waits for."""
    places, jobs = taken(2)
    assert (True, 0) == (places.are_contended(ROUTINE), places.free_for(ROUTINE))
    places.wait(Queue("A", [], wants=True).wake, ROUTINE)
    places.wait(Queue("B", [], wants=True).wake, ROUTINE)
    places.give_back(jobs[0])
    assert (True, False) == (places.are_contended(ROUTINE), places.are_contended(RISK))


def test_all_places_are_free_when_no_call_is_in_flight():
    """Before the first one and after the last one."""
    places, jobs = taken(2)
    assert not places.are_all_free
    for one in jobs:
        places.give_back(one)
    assert (True, False) == (places.are_all_free, places.are_contended(ROUTINE))


def test_a_place_goes_to_the_queue_that_waited_longest_and_to_risk_first():
    """One queue for each place."""
    (places, jobs), woken = taken(3), []
    for name, urgency in [("A", ROUTINE), ("B", ROUTINE), ("C", RISK)]:
        places.wait(Queue(name, woken).wake, urgency)
    for count, one in enumerate(jobs, start=1):
        places.give_back(one)
        assert ["C", "A", "B"][:count] == woken


def test_a_queue_that_wants_no_place_any_more_leaves_it_to_the_next():
    """Its orders have ended meanwhile."""
    (places, jobs), woken = taken(1), []
    for name, wants in [("A", False), ("B", True), ("C", True)]:
        places.wait(Queue(name, woken, wants=wants).wake, ROUTINE)
    places.give_back(*jobs)
    assert ["A", "B"] == woken


def test_a_queue_waits_once():
    """However often it asks."""
    (places, jobs), woken = taken(2), []
    wake = Queue("A", woken).wake
    for _ in range(2):
        places.wait(wake, ROUTINE)
    for one in jobs:
        places.give_back(one)
    assert ["A"] == woken


def test_a_blocked_account_answers_without_a_place():
    """More are in flight than there are places, until they are given back."""
    places, jobs = taken(1)
    jobs.append(job())
    places.take(jobs[1])
    assert (-1, True) == (places.free_for(ROUTINE), places.are_contended(ROUTINE))
    for one in jobs:
        places.give_back(one)
    assert places.are_all_free


def test_routine_orders_leave_places_to_risk_orders():
    """A routine queue gets none of them, also when a risk call ends."""
    (places, _), woken, urgent = taken(6, kept=2), [], job("risk")
    assert (0, 2) == (places.free_for(ROUTINE), places.free_for(RISK))
    places.take(urgent)
    places.wait(Queue("A", woken).wake, ROUTINE)
    places.give_back(urgent)
    assert ([], True, False) == (woken, places.are_contended(ROUTINE), places.are_contended(RISK))


@pytest.mark.parametrize(("lane", "free"), [("routine", 2), ("risk", 0)])
def test_what_is_kept_is_there_whatever_is_in_flight(lane, free):
    """Turns that the rate limiter granted to many accounts at once may be more than there are places."""
    places, jobs = taken(6, kept=2, lane=lane)
    for _ in range(6):
        jobs.append(job(lane))
        places.take(jobs[-1])
    assert (-6, free) == (places.free_for(ROUTINE), max(places.free_for(RISK), 0))
    for one in jobs:
        one.lane = "risk"  # in flight
        places.give_back(one)
    assert (True, 8) == (places.are_all_free, places.free_for(RISK))
    for _ in range(12):
        places.take(job())
    assert 2 == places.free_for(RISK)


def test_only_half_as_many_accounts_ask_for_a_turn_at_once_as_may_be_in_flight():
    """What is granted to thousands at once cannot be sent in time, and is lost."""
    places, woken = Places(4), []
    places.count_asked(2)
    assert (False, True) == (places.may_ask(ROUTINE), places.may_ask(RISK))
    for name in "AB":
        places.wait(Queue(name, woken).wake, ROUTINE)
    places.count_asked(-1)
    assert ["A"] == woken
