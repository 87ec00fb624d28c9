"""What the unit tests of the ledger's room share: a stand-in for Redis that runs the same Lua, and a worker on it."""

from collections.abc import AsyncIterator

import fakeredis
import pytest

from tests.unit.ledger_fakes import Worker


@pytest.fixture
async def redis() -> AsyncIterator[fakeredis.FakeAsyncRedis]:
    async with fakeredis.FakeAsyncRedis() as client:
        yield client


@pytest.fixture
def worker(redis: fakeredis.FakeAsyncRedis) -> Worker:
    return Worker(redis)
