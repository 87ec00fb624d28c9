"""How many orders a worker takes into its hands."""

import asyncio

import pytest

from neo_cancel.messages import CHUNK_SIZE
from worker.dispatch.capacity import Capacity


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
    with capacity.coming("routine", "AB123", 60):
        assert 40 == capacity.free("routine", "AB123")
    assert 100 == capacity.free("routine", "AB123")


def test_there_is_never_less_than_none():
    capacity = World().capacity()
    with capacity.coming("routine", "AB123", 160):
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


async def test_who_waits_for_room_is_told_when_there_is_some():
    capacity = World().capacity()
    for _ in range(100):
        capacity.enter("routine", "AB123")
    waiting = asyncio.create_task(capacity.wait("routine", "AB123", 30))
    for _ in range(CHUNK_SIZE):
        assert not waiting.done()
        capacity.leave("routine", "AB123")
        await asyncio.sleep(0)
    await asyncio.wait_for(waiting, 5)


async def test_turns_that_nobody_tells_of_are_looked_for():
    """At a rate, capacity comes with time."""
    world = World()
    world.rates["AB123"], world.waiting["AB123"] = 8.0, 12
    waiting = asyncio.create_task(world.capacity().wait("routine", "AB123", 30))
    await asyncio.sleep(0.01)
    world.waiting["AB123"] = 6
    await asyncio.wait_for(waiting, 20)


async def test_the_wait_ends_all_the_same():
    """Whoever draws must say now and then that it is alive."""
    capacity = World().capacity()
    for _ in range(100):
        capacity.enter("routine", "AB123")
    await asyncio.wait_for(capacity.wait("routine", "AB123", 0.05), 5)
    assert 0 == capacity.free("routine", "AB123")


async def test_a_limit_may_be_lifted_while_capacity_is_waited_for():
    """The accounts file is read again under way."""
    world = World()
    world.rates["AB123"] = 8.0
    capacity = world.capacity()
    for _ in range(100):
        capacity.enter("routine", "AB123")
    waiting = asyncio.create_task(capacity.wait("routine", "AB123", 30))
    await asyncio.sleep(0.01)
    world.rates["AB123"] = 0.0
    for _ in range(CHUNK_SIZE):
        capacity.leave("routine", "AB123")
        await asyncio.sleep(0)
    await asyncio.wait_for(waiting, 20)
