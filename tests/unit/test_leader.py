"""A leader's tick: one of all workers does a job, once a period; each job has a lock of its own."""

import pytest

from tests.unit.ledger_fakes import Worker
from worker.ledger.keys import leader_key
from worker.ledger.leader import LeaderJob


class Work:
    def __init__(self, error=None):
        self.times, self.error = 0, error

    async def __call__(self):
        self.times += 1
        if self.error is not None:
            raise self.error


async def test_one_of_all_workers_does_a_job(redis):
    work = Work()
    ticks = [await Worker(redis).room.leader.tick(LeaderJob("sweep", 60.0, work)) for _ in range(3)]
    assert ([True, False, False], 1) == (ticks, work.times)


async def test_the_lock_names_the_worker_and_is_gone_when_the_next_period_begins(redis):
    worker = Worker(redis)
    await worker.room.leader.tick(LeaderJob("sweep", 60.0, Work()))
    assert worker.id.encode() == await redis.get(leader_key("sweep"))
    assert 53_000 < await redis.pttl(leader_key("sweep")) <= 54_000


async def test_in_the_next_period_another_worker_may_do_it(redis):
    work = Work()
    await Worker(redis).room.leader.tick(LeaderJob("sweep", 60.0, work))
    await redis.delete(leader_key("sweep"))
    assert await Worker(redis).room.leader.tick(LeaderJob("sweep", 60.0, work))
    assert 2 == work.times


async def test_jobs_do_not_wait_for_each_other(redis):
    sweep, halt = Work(), Work()
    leader = Worker(redis).room.leader
    assert await leader.tick(LeaderJob("sweep", 60.0, sweep))
    assert await leader.tick(LeaderJob("halt", 60.0, halt))
    assert (1, 1) == (sweep.times, halt.times)


async def test_what_the_work_raises_reaches_the_caller_and_keeps_the_lock(redis):
    """A job that fails at once in every worker must not run as often as there are workers."""
    leader = Worker(redis).room.leader
    with pytest.raises(RuntimeError, match="no book"):
        await leader.tick(LeaderJob("sweep", 60.0, Work(RuntimeError("no book"))))
    assert not await leader.tick(LeaderJob("sweep", 60.0, Work()))


async def test_a_period_of_almost_nothing_has_a_lock_that_redis_accepts(redis):
    assert await Worker(redis).room.leader.tick(LeaderJob("sweep", 0.0001, Work()))
