"""Orders that are not final and wait nowhere: found and put back, however that came to be. On the same Lua as the server's."""

import pytest

from neo_cancel import Status
from neo_cancel.keys import named_key
from tests.unit.ledger_fakes import UCC, Worker, name, number, order
from worker.ledger.keys import (
    BACKLOGS,
    DEAD_LETTERS,
    EVENTS,
    ORDER_PREFIX,
    ROUTINE_QUEUED,
    SWEEP,
    WATCH,
    WORKERS,
    backlog_key,
    held_key,
)
from worker.ledger.sweep import Sweep
from worker.observe.events import Recovered, Refused

BACKLOG = backlog_key("routine", UCC)


class Walk:
    """A sweep by a clock of the test's."""

    def __init__(self, worker: Worker) -> None:
        self.now = 0.0
        self.sweep = Sweep(
            worker.client, worker.room.claims._requeuer, clock=lambda: self.now, publish=worker.events.append
        )

    async def run(self, *, meanwhile=None) -> int:
        """Walk over all records, let five seconds pass, and put back what was found."""
        await self.sweep.walk()
        assert 0 == await self.sweep.put_back()  # not before it was seen twice
        if meanwhile is not None:
            await meanwhile()
        self.now += 5.0
        return await self.sweep.put_back()


@pytest.fixture
def walk(worker):
    return Walk(worker)


async def test_an_order_without_a_place_in_a_queue_is_put_back(worker, walk, redis):
    """However it lost it: here a neighbour deleted the set."""
    await worker.enqueue(order(1), order(2))
    await redis.delete("routine", ROUTINE_QUEUED)
    assert 2 == await walk.run()
    assert (1, [name(1), name(2)]) == (await redis.llen("routine"), await worker.names(ROUTINE_QUEUED))
    assert [Recovered("stray", 2)] == [event for event in worker.events if isinstance(event, Recovered)]
    assert 0 == await walk.run()


async def test_an_order_of_a_worker_that_does_not_hold_it_is_put_back_as_one_that_may_have_been_sent(
    worker, walk, redis
):
    await worker.enqueue(order(1))
    await worker.claim(1)
    await redis.srem(held_key(worker.id), name(1))
    assert 1 == await walk.run()
    record = await worker.record()
    assert (Status.QUEUED, None, True) == (record.status, record.owner, record.maybe_sent)


async def test_an_order_of_a_worker_that_was_forgotten_is_put_back(worker, walk, redis):
    await worker.enqueue(order(1))
    await worker.claim(1)
    await redis.delete(WORKERS, held_key(worker.id))
    assert 1 == await walk.run()
    assert Status.QUEUED == (await worker.record()).status


async def test_an_order_that_left_its_backlog_is_put_back(worker, walk, redis):
    await worker.enqueue(order(1), order(2), to_backlog=True)
    await redis.lpop(BACKLOG)
    assert 1 == await walk.run()
    assert [name(1)] == await worker.names(ROUTINE_QUEUED)


async def test_what_waits_or_is_held_or_has_ended_is_left_alone(worker, walk, redis):
    await worker.enqueue(order(1))
    await worker.enqueue(order(2), to_backlog=True)
    await worker.enqueue(order(3), order(4))
    _, ended = await worker.claim(3, 4)
    ended.status = Status.UNKNOWN
    worker.room.writer.finish(ended)
    await worker.room.writer.flush()
    assert (0, 2) == (await walk.run(), await redis.llen("routine") - 1)


async def test_an_order_that_was_on_its_way_is_no_stray(worker, walk, redis):
    """Its message had been read, and the claim came a moment later."""
    await worker.enqueue(order(1))
    await redis.zrem(ROUTINE_QUEUED, name(1))
    assert 0 == await walk.run(meanwhile=lambda: worker.claim(1))
    assert Status.SENDING == (await worker.record()).status


async def test_in_a_long_backlog_only_some_orders_are_looked_for(worker, walk, redis):
    """And those that are not are taken to be there."""
    await worker.enqueue(*[order(at) for at in range(1, 31)], to_backlog=True)
    await redis.delete(BACKLOG)
    await redis.rpush(BACKLOG, *[f"{UCC}:{at}" for at in range(5001)])
    assert 20 == await walk.run()


BROKEN = [
    b"queued 0 -",
    b"queued 0 - 1 0 0 no json",
    b"\xff",
    b"sending 3 gone 5 0 0 {}",
    b'cancelled 3 - 5 1 0 {"ucc": "AB1',
    b"",
]


@pytest.mark.parametrize("broken", BROKEN)
async def test_an_order_whose_record_cannot_be_read_ends_unknown_and_is_watched(worker, walk, redis, broken):
    await redis.set(named_key(name(1)), broken)
    await walk.run()
    record = await worker.record()
    assert (Status.UNKNOWN, True, number(1)) == (record.status, record.maybe_sent, record.order_number)
    assert ([name(1)], 1, 1) == (await worker.names(WATCH), await redis.llen(DEAD_LETTERS), await redis.xlen(EVENTS))
    assert 1 == sum(isinstance(event, Refused) for event in worker.events)
    assert 0 == await walk.run()


async def test_keys_that_are_no_orders_are_left_alone(worker, walk, redis):
    await redis.set(f"{ORDER_PREFIX}note", b"queued")
    await redis.set(f"{ORDER_PREFIX}x:y", b"queued")
    await walk.run()
    assert 0 == await redis.llen(DEAD_LETTERS)


async def test_a_key_of_another_kind_in_an_order_s_place_is_a_record_that_cannot_be_read(worker, walk, redis):
    """The order may have been accepted: a draw from its backlog finds no record, and would drop it."""
    await redis.rpush(named_key(name(1)), "a list")
    await walk.run()
    assert (Status.UNKNOWN, [name(1)]) == ((await worker.record()).status, await worker.names(WATCH))


async def test_a_backlog_that_no_worker_knows_of_is_one_again(worker, walk, redis):
    """However long it is, none of its orders needs to go through a queue."""
    await worker.enqueue(order(1), order(2), to_backlog=True)
    await redis.delete(BACKLOGS, "routine")
    assert 0 == await walk.run()
    assert BACKLOG == await worker.room.claims.adopt_backlog(["routine"])


async def test_a_watched_order_of_a_worker_that_was_forgotten_is_watched_again(worker, walk, redis):
    """It has ended, and would have stayed `unknown` in the hands of a worker that is no more."""
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    job.status = Status.UNKNOWN
    worker.room.writer.finish(job)
    await worker.room.writer.flush()
    await redis.zadd(WATCH, {name(1): 1})
    await worker.room.claims.claim_watched(1)
    await redis.delete(WORKERS, held_key(worker.id))
    assert (1, [name(1)]) == (await walk.run(), await worker.names(WATCH))


async def test_the_next_worker_goes_on_where_the_last_one_stopped(worker, walk, redis):
    for at in range(3000):
        await redis.set(f"{ORDER_PREFIX}{UCC}:{at:010}", b"cancelled 1 - 1 0 0 {}")
    await walk.sweep.walk()
    stopped = await redis.get(SWEEP)
    assert b"0" != stopped
    walks = 1
    other = Walk(worker)
    while await redis.get(SWEEP) != b"0":
        await other.sweep.walk()
        walks += 1
    assert 6 >= walks
    assert 0 == await redis.zcard(BACKLOGS)
