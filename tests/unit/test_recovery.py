"""A recovery pass: dead workers' orders, lost messages, and none before the ledger is steady."""

import pytest

from neo_cancel import Status
from tests.unit.ledger_fakes import Worker, name, order
from worker.ledger.keys import COUNTERS, WORKERS, held_key
from worker.observe.events import Recovered


@pytest.fixture
async def worker(redis):
    made = Worker(redis)
    await made.room.lease.renew()
    return made


async def die(redis, dead):
    """Let a worker's lease run out."""
    await redis.zadd(WORKERS, {dead.id: 1})


async def test_where_nothing_is_lost_a_pass_does_nothing(worker, redis):
    assert 0 == await worker.room.recovery.run_pass()
    assert await redis.hget(COUNTERS, "recovered") is None


async def test_orders_of_a_dead_worker_go_back_and_are_counted(worker, redis):
    dead = Worker(redis)
    await dead.enqueue(order(1), order(2))
    await redis.delete("routine")
    await dead.claim(1, 2)
    await die(redis, dead)
    assert 2 == await worker.room.recovery.run_pass()
    assert (Status.QUEUED, [], b"2") == (
        (await worker.record()).status,
        await worker.names(held_key(dead.id)),
        await redis.hget(COUNTERS, "recovered"),
    )
    assert [Recovered("died", 2, worker=dead.id)] == [e for e in worker.events if isinstance(e, Recovered)]
    assert [worker.id] == await worker.names(WORKERS)


async def test_what_a_dead_worker_took_last_is_suspect(worker, redis):
    dead = Worker(redis)
    await dead.enqueue(order(1), order(2))
    await redis.delete("routine")
    await dead.claim(1)
    await dead.room.claims.clear_suspects()
    await dead.claim(2)
    await die(redis, dead)
    await worker.room.recovery.run_pass()
    assert [0, 1] == [(await worker.record(last)).crashes for last in (1, 2)]


async def test_where_earlier_deaths_point_at_one_of_them_it_alone_is_suspect(worker, redis):
    """The order that most deaths point at is the likeliest to have killed this worker, too."""
    dead = Worker(redis)
    await dead.enqueue(order(1), order(2))
    await redis.delete("routine")
    await dead.claim(1, 2)
    await redis.set(f"nc:order:{name(1)}", (await redis.get(f"nc:order:{name(1)}")).replace(b" 0 {", b" 1 {", 1))
    await die(redis, dead)
    await worker.room.recovery.run_pass()
    assert [2, 0] == [(await worker.record(last)).crashes for last in (1, 2)]


async def test_a_dead_worker_that_held_nothing_is_forgotten(worker, redis):
    dead = Worker(redis)
    await dead.room.lease.renew()
    await die(redis, dead)
    assert (0, [worker.id]) == (await worker.room.recovery.run_pass(), await worker.names(WORKERS))


async def test_a_worker_without_a_lease_reaps_nobody(redis):
    dead, fresh = Worker(redis), Worker(redis)
    await dead.enqueue(order(1))
    await dead.claim(1)
    await redis.delete("routine")
    await die(redis, dead)
    assert (0, [name(1)]) == (await fresh.room.recovery.run_pass(), await fresh.names(held_key(dead.id)))


async def test_an_order_whose_message_is_gone_gets_another_one(worker, redis):
    await worker.enqueue(order(1))
    await redis.delete("routine")
    await redis.rpush("nc:front:routine", "1000 99999999999999")
    assert 1 == await worker.room.recovery.run_pass()
    assert 1 == await redis.llen("routine")
    assert Recovered("lost", 1, lane="routine") in worker.events


async def test_a_message_that_was_read_a_moment_ago_is_not_lost(redis):
    worker = Worker(redis, pickup=60.0)
    await worker.room.lease.renew()
    await worker.enqueue(order(1))
    await redis.delete("routine")
    for _ in range(3):
        assert 0 == await worker.room.recovery.run_pass()
