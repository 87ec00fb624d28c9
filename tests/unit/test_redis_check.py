"""What is wrong with a Redis, in lines that say what to do."""

import pytest

from worker.ledger.check import complaints, redis_complaints
from worker.ops.embedded import free_port

GOOD = {"maxmemory_policy": "noeviction", "aof_enabled": 1}


def test_a_server_that_loses_nothing_is_not_complained_about():
    assert [] == complaints("redis://host", GOOD)


@pytest.mark.parametrize(
    ("facts", "to_do"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "set `maxmemory-policy noeviction`"),
        ({"aof_enabled": 0}, "set `appendonly yes` and `appendfsync everysec`"),
    ],
)
def test_a_server_that_may_lose_something_is_named_with_what_to_do(facts, to_do):
    [line] = complaints("redis://host", GOOD | facts)
    assert line.startswith("Redis at redis://host ")
    assert line.endswith(to_do)


def test_a_server_that_is_away_is_named_without_its_password():
    [line] = redis_complaints(f"redis://user:s3same@127.0.0.1:{free_port()}/0")
    assert "does not answer (ConnectionError): start it; workers wait for it" in line
    assert "s3same" not in line
