"""How many orders a worker takes into its hands."""

import math

import pytest

from neo_cancel.parcels import CHUNK_SIZE
from worker.dispatch.capacity import Capacity

PLACE = ("routine", "AB123")


class World:
    """Rates of accounts, and how many of their orders wait for a turn."""

    def __init__(self) -> None:
        self.rates: dict[str, float] = {}
        self.waiting: dict[str, int] = {}

    def capacity(self, most=100):
        return Capacity(most, lambda ucc: self.rates.get(ucc, 0.0), lambda ucc: self.waiting.get(ucc, 0))


def test_an_account_without_a_rate_has_all_the_room():
    capacity = World().capacity()
    for _ in range(30):
        capacity.enter("routine", "AB123")
    assert 70 == capacity.free("routine", "AB123")
    capacity.leave("routine", "AB123")
    assert 71 == capacity.free("routine", "AB123")


def test_what_is_being_claimed_counts():
    capacity = World().capacity()
    with capacity.coming({PLACE: 60}):
        assert 40 == capacity.free("routine", "AB123")
    assert 100 == capacity.free("routine", "AB123")


def test_there_is_never_less_than_none():
    capacity = World().capacity()
    with capacity.coming({PLACE: 160}):
        assert 0 == capacity.free("routine", "AB123")


def test_routine_orders_do_not_keep_risk_orders_out():
    """Each lane has its own capacity, and each account."""
    capacity = World().capacity()
    for _ in range(100):
        capacity.enter("routine", "AB123")
    assert (0, 100, 100) == (
        capacity.free("routine", "AB123"), capacity.free("risk", "AB123"), capacity.free("routine", "CD456")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "waiting", "free"), [(8.0, 0, 24), (8.0, 10, 14), (8.0, 50, 0), (0.5, 0, 5), (80.0, 0, 100)]
)
def test_an_account_with_a_rate_has_room_for_a_few_seconds_of_routine_orders(rate, waiting, free):
    """What waits for proof only takes no capacity of those that wait for their turn."""
    world = World()
    world.rates["AB123"], world.waiting["AB123"] = rate, waiting
    capacity = world.capacity()
    assert (free, 100) == (capacity.free("routine", "AB123"), capacity.free("risk", "AB123"))


def full(world, lane="routine"):
    """A place without capacity."""
    capacity = world.capacity()
    for _ in range(100):
        capacity.enter(lane, "AB123")
    return capacity


def test_the_call_comes_when_there_is_room_enough_to_take_more_and_only_once():
    capacity, calls = full(World()), []
    assert math.inf == capacity.wait(*PLACE, lambda: calls.append(capacity.free(*PLACE)))
    for _ in range(100):
        capacity.leave(*PLACE)
    assert [CHUNK_SIZE] == calls


def test_where_there_is_room_nothing_is_waited_for():
    capacity, calls = World().capacity(), []
    assert 0.0 == capacity.wait(*PLACE, lambda: calls.append(1))
    capacity.enter(*PLACE)
    capacity.leave(*PLACE)
    assert [] == calls


def test_at_a_rate_capacity_comes_with_time_which_nothing_tells():
    """Twelve orders of 24 must go before it is worth taking more."""
    world = World()
    world.rates["AB123"], world.waiting["AB123"] = 8.0, 24
    assert 1.5 == world.capacity().wait(*PLACE, lambda: None)


def test_a_limit_may_be_lifted_while_capacity_is_waited_for():
    """The accounts file is read again under way."""
    world, calls = World(), []
    world.rates["AB123"] = 8.0
    capacity = full(world)
    capacity.wait(*PLACE, lambda: calls.append(1))
    world.rates["AB123"] = 0.0
    for _ in range(CHUNK_SIZE):
        capacity.leave(*PLACE)
    assert [1] == calls


def test_a_wait_that_is_forgotten_is_not_called_back():
    capacity, calls = full(World()), []
    capacity.wait(*PLACE, lambda: calls.append(1))
    capacity.forget(*PLACE)
    for _ in range(100):
        capacity.leave(*PLACE)
    assert [] == calls


def test_places_that_are_empty_again_are_not_kept():
    """Ten thousand accounts that had one order each would stay for ever."""
    capacity = World().capacity()
    with capacity.coming({PLACE: 1}):
        capacity.enter(*PLACE)
        capacity.leave(*PLACE)
    assert ({}, {}) == (capacity._held, capacity._coming)
