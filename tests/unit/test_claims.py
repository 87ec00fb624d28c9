"""Claims on a stand-in for Redis that runs the same Lua: what is taken, what waits, what is given back."""

import pytest

from neo_cancel import Status
from neo_cancel.scripts import HANDS_SECONDS
from tests.unit.ledger_fakes import UCC, Worker, name, order
from worker.ledger.keys import (
    BACKLOGS,
    ROUTINE_QUEUED,
    WATCH,
    WORKERS,
    backlog_key,
    held_key,
    named_key,
    taken_key,
    urgent_key,
)
from worker.ledger.server import Server
from worker.ledger.steps import NOTHING
from worker.observe.events import LeaseLost

BACKLOG = backlog_key("routine", UCC)


@pytest.fixture
def other(redis):
    return Worker(redis)


async def end(worker, job, status="cancelled"):
    """Write a final status and wait until it is written."""
    job.status = Status(status)
    worker.room.writer.finish(job)
    await worker.room.writer.flush()


# ---------------------------------------------------------------------- claiming


async def test_what_is_claimed_is_held_here_and_in_the_ledger(worker, redis):
    await worker.enqueue(order(1), order(2))
    jobs = await worker.claim(1, 2)
    assert [(name(1), 1, Status.SENDING), (name(2), 1, Status.SENDING)] == [(j.name, j.fence, j.status) for j in jobs]
    assert [name(1), name(2)] == await worker.names(held_key(worker.id)) == sorted(j.name for j in worker.room.held)
    assert [] == await worker.names(ROUTINE_QUEUED)


async def test_an_order_has_one_owner(worker, other):
    await worker.enqueue(order(1))
    assert 1 == len(await worker.claim(1))
    assert [] == await other.claim(1)
    assert worker.id == (await worker.record()).owner


async def test_a_message_that_comes_twice_takes_nothing_twice(worker):
    await worker.enqueue(order(1))
    await worker.claim(1)
    assert [] == await worker.claim(1)


async def test_a_claim_whose_answer_was_lost_is_taken_up_when_the_message_comes_again(worker):
    await worker.enqueue(order(1))
    [first] = await worker.claim(1)
    worker.room.held.let_go(first)
    [again] = await worker.claim(1)
    assert (first.fence, True) == (again.fence, worker.room.held.holds(again))


async def test_an_order_that_the_ledger_does_not_know_is_written_first(worker, redis):
    """Sent by hand, into the risk queue: its own message calls a worker for it."""
    assert [] == await worker.claim(1, lane="risk")
    assert (Status.QUEUED, "risk") == ((await worker.record()).status, (await worker.record()).lane)
    assert 1 == await redis.llen("risk")


async def test_what_is_claimed_through_the_risk_lane_is_urgent(worker):
    await worker.enqueue(order(1))
    [job] = await worker.claim(1, lane="risk")
    assert ("risk", "risk") == (job.lane, job.document["lane"])


async def test_a_risk_claim_of_an_order_in_slower_hands_tells_their_owner(worker, other, redis):
    await worker.enqueue(order(1))
    await worker.claim(1)
    assert [] == await other.claim(1, lane="risk")
    assert [name(1)] == await worker.names(urgent_key(worker.id))
    await worker.room.lease.renew()
    assert ([name(1)], 0) == (worker.urgent, await redis.exists(urgent_key(worker.id)))


async def test_a_risk_claim_of_an_order_in_the_same_hands_makes_it_urgent_at_once(worker):
    """A node that serves both lanes finds that it holds the order already."""
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    assert [] == await worker.claim(1)
    assert [] == worker.urgent
    assert [] == await worker.claim(1, lane="risk")
    assert ([job.name], 1) == (worker.urgent, len(worker.room.held))


async def test_what_there_is_no_room_for_waits_in_the_backlog(worker):
    await worker.enqueue(order(1), order(2), order(3))
    assert [name(1)] == [job.name for job in await worker.claim(1, 2, 3, at_most=1)]
    assert [name(2), name(3)] == await worker.names(BACKLOG)
    assert [BACKLOG] == await worker.names(BACKLOGS)


async def test_a_claim_counts_what_it_did_not_take(worker, other):
    """What another worker holds, in no way."""
    await worker.enqueue(*(order(last) for last in range(1, 6)))
    await end(worker, (await worker.claim(1))[0], "blocked")
    await other.claim(2)
    jobs, left, ended = await worker.claimed(1, 2, 3, 4, 5, at_most=1)
    assert ([name(3)], 2, {"blocked": 1}) == ([job.name for job in jobs], left, ended)


async def test_a_worker_that_drains_takes_nothing(worker):
    await worker.enqueue(order(1))
    assert [] == await worker.claim(1, at_most=NOTHING)
    assert [name(1)] == await worker.names(BACKLOG)


async def test_what_was_accepted_before_the_server_began_may_have_been_sent(redis):
    """A restart can cost the server its last second: the note that a cancel was sent, for example."""
    server = Server()
    worker = Worker(redis, server=server)
    await worker.enqueue(order(1), order(2))
    [before] = await worker.claim(1)
    server.started_ms = before.enqueued_ms + 1
    [after] = await worker.claim(2)
    assert (False, True) == (before.maybe_sent, after.maybe_sent)
    assert after.enqueued_ms / 1000 == after.first_sent_at


# ---------------------------------------------------------------------- the lease


async def test_a_worker_without_a_lease_takes_nothing_and_goes_on_under_a_new_name(worker, redis):
    await worker.enqueue(order(1), order(2))
    await worker.claim(1)
    former = worker.id
    await redis.zadd(WORKERS, {former: 0})
    [job] = await worker.claim(2)
    assert (1, False) == (worker.lost, worker.id == former)
    assert [name(2)] == [held.name for held in worker.room.held] == await worker.names(held_key(worker.id))
    assert LeaseLost(former, 1) in worker.events
    assert worker.room.held.holds(job)


@pytest.mark.parametrize("step", ["claim", "draw", "claim_watched"])
async def test_every_step_that_takes_orders_asks_for_the_lease(worker, redis, step):
    await worker.enqueue(order(1), to_backlog=step == "draw")
    await worker.room.lease.renew()
    await redis.zadd(WATCH, {name(1): 0})
    former = worker.id
    await redis.zadd(WORKERS, {former: 0})
    steps = {
        "claim": lambda: worker.claim(1),
        "draw": lambda: worker.room.claims.draw({BACKLOG: 1}),
        "claim_watched": lambda: worker.room.claims.claim_watched(1),
    }
    await steps[step]()
    assert [] == await worker.names(held_key(former))
    assert 1 == worker.lost


async def test_when_the_lease_is_lost_unwritten_endings_are_called_back_first(worker, redis):
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    job.status = Status.CANCELLED
    worker.room.writer.finish(job)
    worker.room.lease.lose()
    assert ([(name(1), False)], 1) == (worker.written, worker.lost)
    await worker.room.writer.flush()
    assert Status.SENDING == (await worker.record()).status


# ---------------------------------------------------------------------- backlogs


async def test_a_backlog_is_drawn_from_until_it_is_empty(worker):
    await worker.enqueue(order(1), order(2), order(3), to_backlog=True)
    [(left, jobs)] = await worker.room.claims.draw({BACKLOG: 2})
    assert (1, [name(1), name(2)]) == (left, [job.name for job in jobs])
    assert [BACKLOG] == await worker.names(BACKLOGS)
    [(left, jobs)] = await worker.room.claims.draw({BACKLOG: 2})
    assert (0, [name(3)], []) == (left, [job.name for job in jobs], await worker.names(BACKLOGS))


async def test_drawing_nothing_says_only_that_work_goes_on(worker, redis):
    await worker.enqueue(order(1), to_backlog=True)
    await redis.zadd(BACKLOGS, {BACKLOG: 1})
    assert [(1, [])] == await worker.room.claims.draw({BACKLOG: 0})
    assert await redis.zscore(BACKLOGS, BACKLOG) > 1


async def test_what_is_drawn_from_a_risk_backlog_is_urgent(worker):
    await worker.enqueue(order(1), to_backlog=True)
    await worker.enqueue(order(1, lane="risk"), to_backlog=True)
    [(_, [job])] = await worker.room.claims.draw({backlog_key("risk", UCC): 1})
    assert "risk" == job.lane


async def test_an_order_that_a_message_took_meanwhile_is_not_drawn(worker, other):
    await worker.enqueue(order(1), to_backlog=True)
    await other.claim(1)
    assert [(0, [])] == await worker.room.claims.draw({BACKLOG: 1})


async def test_a_backlog_is_adopted_when_no_worker_works_on_it(worker, redis):
    await worker.enqueue(order(1), to_backlog=True)
    assert await worker.room.claims.adopt_backlog(["routine"]) is None
    await worker.room.claims.leave_backlogs([BACKLOG])
    assert await worker.room.claims.adopt_backlog(["risk"]) is None
    assert BACKLOG == await worker.room.claims.adopt_backlog(["risk", "routine"])
    assert await worker.room.claims.adopt_backlog(["routine"]) is None


async def test_a_backlog_that_is_empty_already_is_not_written_anew(worker):
    await worker.room.claims.leave_backlogs([BACKLOG])
    await worker.room.claims.leave_backlogs([])
    assert [] == await worker.names(BACKLOGS)


# ---------------------------------------------------------------------- the watch list


async def test_a_watched_order_is_taken_when_its_look_is_due(worker, redis):
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    await end(worker, job, "unknown")
    assert ([name(1)], []) == (await worker.names(WATCH), await worker.room.claims.claim_watched(5))
    await redis.zadd(WATCH, {name(1): 1})
    [watched] = await worker.room.claims.claim_watched(5)
    assert (True, Status.UNKNOWN, 2) == (watched.is_watched, watched.status, watched.fence)
    assert [] == await worker.names(WATCH)


async def test_what_has_ended_for_good_is_not_watched(worker, redis):
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    await end(worker, job, "cancelled")
    await redis.zadd(WATCH, {name(1): 1})
    assert ([], []) == (await worker.room.claims.claim_watched(5), await worker.names(WATCH))


# ---------------------------------------------------------------------- suspects


async def test_what_was_taken_is_suspect_until_it_is_cleared(worker):
    await worker.enqueue(order(1), order(2))
    await worker.claim(1, 2)
    assert [name(1), name(2)] == await worker.names(taken_key(worker.id))
    await worker.room.claims.clear_suspects()
    assert [] == await worker.names(taken_key(worker.id))


async def test_clearing_without_a_suspect_asks_nothing(worker, redis):
    await redis.rpush(taken_key(worker.id), "left alone")
    await worker.room.claims.clear_suspects()
    assert ["left alone"] == await worker.names(taken_key(worker.id))


async def test_one_order_can_be_the_only_suspect(worker, redis):
    await worker.enqueue(order(1), order(2))
    jobs = await worker.claim(1, 2)
    await worker.room.claims.suspect(jobs[1])
    assert [name(2)] == await worker.names(taken_key(worker.id))
    assert 0 < await redis.ttl(taken_key(worker.id)) <= HANDS_SECONDS


async def test_an_order_that_two_deaths_point_at_is_no_suspect_when_it_is_taken(worker, redis):
    await worker.enqueue(order(1))
    words = (await redis.get(named_key(name(1)))).split(b" ", 6)
    words[5] = b"2"
    await redis.set(named_key(name(1)), b" ".join(words))
    [job] = await worker.claim(1)
    assert (2, []) == (job.crashes, await worker.names(taken_key(worker.id)))


# ---------------------------------------------------------------------- writing and giving back


async def test_a_final_status_is_written_and_called_back(worker):
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    await end(worker, job)
    assert ([(name(1), True)], Status.CANCELLED) == (worker.written, (await worker.record()).status)
    assert [] == await worker.names(held_key(worker.id))


async def test_a_final_status_does_not_overwrite_a_newer_owner_s(worker, other, redis):
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    await worker.room.claims.release([job])
    [newer] = await other.claim(1)
    worker.room.held.add(job)
    await end(worker, job)
    assert [(name(1), False)] == worker.written
    assert (Status.SENDING, newer.fence) == ((await worker.record()).status, (await worker.record()).fence)


async def test_a_note_is_written_where_others_can_read_it(worker):
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    worker.room.notes.note(job, Status.WAITING, "pace")
    for _ in range(2):
        await worker.room.notes.write()
    record = await worker.record()
    assert (Status.WAITING, "pace", worker.id) == (record.status, record.waiting_for, record.owner)


async def test_what_is_released_can_be_claimed_at_once(worker, other, redis):
    await worker.enqueue(order(1), order(2))
    jobs = await worker.claim(1, 2)
    jobs[0].attempts = 1
    await worker.room.claims.release(jobs)
    assert ([], 0) == (await worker.names(held_key(worker.id)), len(worker.room.held))
    assert 2 == await redis.llen("routine")
    taken = await other.claim(1, 2)
    assert [(2, True), (2, False)] == [(job.fence, job.maybe_sent) for job in taken]


async def test_a_watched_order_that_is_released_keeps_its_end_and_what_its_watch_sent(worker, redis):
    """Or the next watch would take our own cancel for somebody else's."""
    await worker.enqueue(order(1))
    await end(worker, (await worker.claim(1))[0], "unknown")
    await redis.zadd(WATCH, {name(1): 1})
    [watched] = await worker.room.claims.claim_watched(5)
    watched.attempts, watched.first_sent_at = 1, 1_784_700_000.0
    await worker.room.claims.release([watched])
    record = await worker.record()
    assert (Status.UNKNOWN, True, 1_784_700_000.0) == (record.status, record.maybe_sent, record.first_sent_at)
    assert ([name(1)], [], 0) == (
        await worker.names(WATCH),
        await worker.names(held_key(worker.id)),
        len(worker.room.held),
    )
    assert [] == await worker.names(ROUTINE_QUEUED)


async def test_what_ends_while_it_is_released_is_not_let_go_twice(worker, redis):
    await worker.enqueue(order(1))
    [job] = await worker.claim(1)
    job.status = Status.CANCELLED
    worker.room.writer.finish(job)
    await worker.room.claims.release([job])
    assert ([(name(1), True)], Status.CANCELLED) == (worker.written, (await worker.record()).status)
    assert [] == await worker.names(ROUTINE_QUEUED)
