"""Places in flight: how many calls a process makes at once, and whose the next one is."""

from worker.orders.places import Places
from worker.orders.waiting import RISK, ROUTINE


class Queue:
    """Notes in `woken` when it gets a place; it wants one or not."""

    def __init__(self, name, woken, *, wants=True):
        self.name, self.woken, self.wants = name, woken, wants

    def wake(self):
        self.woken.append(self.name)
        return self.wants


def taken(count):
    places = Places(count)
    for _ in range(count):
        places.take()
    return places


def test_places_are_contended_when_none_is_free_or_a_queue_waits():
    """A queue that comes later must not take what another one waits for."""
    places = taken(2)
    assert (True, 0) == (places.are_contended, places.free)
    places.wait(Queue("A", []).wake, ROUTINE)
    places.free += 1
    assert places.are_contended


def test_all_places_are_free_when_no_call_is_in_flight():
    """Before the first one and after the last one."""
    places = taken(2)
    assert not places.are_all_free
    for _ in range(2):
        places.give_back()
    assert (True, False) == (places.are_all_free, places.are_contended)


def test_a_place_goes_to_the_queue_that_waited_longest_and_to_risk_first():
    """One queue for each place."""
    places, woken = taken(3), []
    for name, urgency in [("A", ROUTINE), ("B", ROUTINE), ("C", RISK)]:
        places.wait(Queue(name, woken).wake, urgency)
    for count in range(1, 4):
        places.give_back()
        assert ["C", "A", "B"][:count] == woken


def test_a_queue_that_wants_no_place_any_more_leaves_it_to_the_next():
    """Its orders have ended meanwhile."""
    places, woken = taken(1), []
    for name, wants in [("A", False), ("B", True), ("C", True)]:
        places.wait(Queue(name, woken, wants=wants).wake, ROUTINE)
    places.give_back()
    assert ["A", "B"] == woken


def test_a_queue_waits_once():
    """However often it asks."""
    places, woken = taken(2), []
    wake = Queue("A", woken).wake
    for _ in range(2):
        places.wait(wake, ROUTINE)
    for _ in range(2):
        places.give_back()
    assert ["A"] == woken


def test_a_blocked_account_answers_without_a_place():
    """More are in flight than there are places, until they are given back."""
    places = taken(1)
    places.take()
    assert (-1, True) == (places.free, places.are_contended)
    for _ in range(2):
        places.give_back()
    assert places.are_all_free
