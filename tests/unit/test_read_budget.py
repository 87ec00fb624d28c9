"""When an account's book may be read: reserved times, used when they come."""

import asyncio

from worker.ledger.read_budget import SharedReadBudget


class Reservations:
    """Answers in turn with these seconds, each after a delay on the way; counts what it was asked."""

    def __init__(self, *seconds, delay=0.0):
        self._seconds, self._delay = list(seconds), delay
        self.asked = []

    async def reserve(self, ucc):
        self.asked.append(ucc)
        await asyncio.sleep(self._delay)
        return self._seconds.pop(0)


async def test_a_time_that_comes_is_used():
    """One reservation a read, however long it is away."""
    reservations = Reservations(0.1)
    await SharedReadBudget(reservations.reserve).acquire("AB123")
    assert ["AB123"] == reservations.asked


async def test_a_time_that_may_be_over_is_given_up():
    """Used late, it would meet the reads of the second that follows; a slow ledger must do in the end."""
    reservations = Reservations(0.0, 0.0, 0.0, 0.0, delay=0.1)
    await SharedReadBudget(reservations.reserve).acquire("AB123")
    assert ["AB123"] * 3 == reservations.asked
