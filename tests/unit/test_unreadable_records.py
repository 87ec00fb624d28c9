"""Records that cannot be read: each harms its own order alone, wherever a worker comes across it."""

import asyncio

import pytest

from neo_cancel import Status
from tests.unit.ledger_fakes import Worker, name, number, order
from worker.ledger.keys import WATCH, WORKERS, named_key
from worker.orders.job import Job, UnreadableRecordError


async def end(worker, *jobs, status="cancelled"):
    for job in jobs:
        job.status = Status(status)
        worker.room.writer.finish(job)
    await worker.room.writer.flush()


@pytest.mark.parametrize("broken", ["unknown 3 - 5 1 0 {no json}", "unknown 3 - 5 1 0 {}"])
async def test_a_record_on_the_watch_list_that_cannot_be_read_holds_up_no_other(worker, redis, broken):
    for last in (1, 2):
        await worker.enqueue(order(last))
        await end(worker, *await worker.claim(last), status="unknown")
    await redis.set(named_key(name(1)), broken)
    await redis.zadd(WATCH, {name(1): 1, name(2): 1})
    assert [name(2)] == [job.name for job in await worker.room.claims.claim_watched(5)]
    assert name(1) in await worker.names(WATCH)


async def test_a_final_status_is_written_although_another_order_s_record_cannot_be_read(worker, redis):
    """The script failed, and all final statuses of the worker waited for ever."""
    await worker.enqueue(order(1), order(2))
    jobs = await worker.claim(1, 2)
    await redis.set(named_key(name(1)), b"\xff\xfe")
    await end(worker, *jobs)
    assert [(name(1), True), (name(2), True)] == worker.written


async def test_a_record_that_is_another_order_s_is_worked_on_for_neither(worker, redis):
    """It would have cancelled an order that nothing asked for."""
    await worker.enqueue(order(1), order(3))
    await redis.set(named_key(name(3)), (await redis.get(named_key(name(1)))).replace(number(1).encode(), b"9" * 15))
    assert [name(1)] == [job.name for job in await worker.claim(1, 3)]
    assert Status.UNKNOWN == (await worker.record(3)).status


async def test_a_key_of_another_kind_in_a_dead_worker_s_hands_does_not_keep_recovery_busy(worker, redis):
    """Recovery looked at it again and again, for ever."""
    await worker.enqueue(order(1))
    await worker.claim(1)
    await redis.delete(named_key(name(1)))
    await redis.rpush(named_key(name(1)), "a list")
    other = Worker(redis)
    await other.room.lease.renew()
    await redis.zadd(WORKERS, {worker.id: 1})
    await asyncio.wait_for(other.room.recovery.run_pass(), 10)
    assert Status.UNKNOWN == (await other.record()).status


WRONG = [
    '"deadline_seconds": null', '"deadline_seconds": NaN', '"deadline_seconds": -1', '"deadline_seconds": 1e400',
    '"lane": "soon"', '"variety": []', '"amo": "YES"', '"attempts": "3"', '"first_sent_at": "now"', '"trading_symbol": 5',
    '"ucc": 7',
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_field_of_a_wrong_type_makes_a_record_unreadable(wrong):
    """Else it would stop the work far from here, and the other orders of its worker with it."""
    good = '{"ucc": "AB123", "order_number": "251015000100001", "variety": "regular", "lane": "risk", "deadline_seconds": 5.0'
    assert "regular" == Job.decode(f"sending 1 w 5 0 0 {good}}}".encode(), name(1)).variety
    with pytest.raises(UnreadableRecordError):
        Job.decode(f"sending 1 w 5 0 0 {good}, {wrong}}}".encode(), name(1))
