"""Work in the background goes on after an error, and says which work it was."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from worker.ledger.periodic import every
from worker.observe.events import InternalError, LedgerAway


class Work:
    """Raises the errors it was given, one a time, and ends with the test's own."""

    def __init__(self, *errors):
        self.errors = list(errors)

    async def __call__(self):
        if not self.errors:
            raise asyncio.CancelledError
        if (error := self.errors.pop(0)) is not None:
            raise error


async def run(*errors):
    """Do the work until its errors are used up; answer what was published."""
    events = []
    with pytest.raises(asyncio.CancelledError):
        await every(0.0, Work(*errors), events.append, doing="recovery")
    return events


async def test_work_without_an_error_says_nothing():
    assert [] == await run(None, None)


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (RedisConnectionError("gone"), LedgerAway("ConnectionError", doing="recovery")),
        (OSError("no route"), LedgerAway("OSError", doing="recovery")),
        (KeyError("x"), InternalError("KeyError('x')", doing="recovery")),
    ],
)
async def test_an_error_is_published_and_the_next_time_comes(error, event):
    assert [event, event] == await run(error, None, error)
