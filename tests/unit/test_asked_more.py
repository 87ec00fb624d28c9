"""An order that is asked for again while it is worked on: the more urgent lane and the later deadline hold, whatever happens."""

import json
import time

import pytest

from neo_cancel import CancelOrder, Status
from neo_cancel.keys import named_key
from neo_cancel.record import OrderRecord, split
from tests.accepting import accept_call
from tests.unit.ledger_fakes import UCC, Worker, name, number, order
from worker.ledger.keys import BACKLOGS, EVENTS, ROUTINE_QUEUED, WATCH, backlog_key

RISK_BACKLOG = backlog_key("risk", UCC)


@pytest.fixture
def other(redis):
    return Worker(redis)


async def ask(worker, **fields) -> int:
    [answer] = await worker.client.call(accept_call([order(1, **fields)], ttl_seconds=600))
    return answer


async def ended(worker, job, status="expired", **facts):
    job.status = Status(status)
    job.update(**facts)
    worker.room.writer.finish(job)
    await worker.room.writer.flush()


async def terms(worker):
    """The lane and the deadline of the record."""
    record = await worker.record()
    return record.lane, round(record.deadline_seconds)


@pytest.mark.parametrize(
    ("first", "again", "expected"),
    [
        ({"deadline_seconds": 3}, {"lane": "risk", "deadline_seconds": 300}, ("risk", 300)),
        ({"deadline_seconds": 300}, {"lane": "risk", "deadline_seconds": 3}, ("risk", 300)),
        ({"deadline_seconds": 3}, {"deadline_seconds": 300}, ("routine", 300)),
        ({"lane": "risk", "deadline_seconds": 3}, {"deadline_seconds": 300}, ("risk", 300)),
        ({"lane": "risk", "deadline_seconds": 300}, {"deadline_seconds": 3}, ("risk", 300)),
    ],
)
async def test_the_record_of_an_order_that_waits_takes_what_is_more(worker, first, again, expected):
    assert [0, 1] == [await ask(worker, **first), await ask(worker, **again)]
    assert expected == await terms(worker)
    [job] = await worker.claim(1)
    assert expected == (job.lane, round(job.deadline_at - job.accepted_at))


async def test_asking_a_hundred_times_makes_the_record_no_longer(worker, redis):
    await ask(worker, deadline_seconds=3)
    await ask(worker, deadline_seconds=100)
    length = await redis.strlen(named_key(name(1)))
    for seconds in range(101, 200):
        await ask(worker, deadline_seconds=seconds)
    assert (length, ("routine", 199)) == (await redis.strlen(named_key(name(1))), await terms(worker))


async def test_the_worker_that_holds_the_order_is_told_with_its_next_heartbeat(worker):
    await ask(worker, deadline_seconds=3)
    [job] = await worker.claim(1)
    await ask(worker, deadline_seconds=300)
    await worker.room.lease.renew()
    assert ([], 300) == (worker.urgent, round(worker.until[0] - job.accepted_at))
    await ask(worker, lane="risk", deadline_seconds=1)
    await worker.room.lease.renew()
    assert [job.name] == worker.urgent


async def test_a_note_of_a_worker_that_does_not_know_it_takes_nothing_back(worker):
    """Killed after that, the order would go back to the routine queue, with three seconds to go."""
    await ask(worker, deadline_seconds=3)
    [job] = await worker.claim(1)
    await ask(worker, lane="risk", deadline_seconds=300)
    worker.room.notes.note(job, Status.WAITING, "pace")
    for _ in range(2):
        await worker.room.notes.write()
    assert (Status.WAITING, ("risk", 300)) == ((await worker.record()).status, await terms(worker))


async def test_an_order_of_a_worker_that_dies_goes_back_to_the_faster_queue(worker, other, redis):
    await ask(worker, deadline_seconds=3)
    await worker.claim(1)
    await ask(worker, lane="risk", deadline_seconds=300)
    await redis.delete("risk", "routine")
    await other.room.lease.renew()
    await redis.zadd("nc:workers", {worker.id: 1})
    assert 1 == await other.room.recovery.run_pass()
    assert (1, 0) == (await redis.llen("risk"), await redis.llen("routine"))


@pytest.mark.parametrize("status", ["expired", "unknown", "refused", "blocked"])
async def test_an_end_for_a_deadline_that_holds_no_more_puts_the_order_back(worker, other, redis, status):
    """It ended `expired`, unwatched, although it was asked for with 300 s to go."""
    await ask(worker, deadline_seconds=3)
    [job] = await worker.claim(1)
    job.attempts = 2
    await ask(worker, lane="risk", deadline_seconds=300)
    await ended(worker, job, status, final_at=5.0)
    record = await worker.record()
    assert (Status.QUEUED, None, True, None) == (record.status, record.owner, record.maybe_sent, record.final_at)
    assert ([name(1)], [RISK_BACKLOG]) == (await worker.names(RISK_BACKLOG), await worker.names(BACKLOGS))
    assert (0, []) == (await redis.exists(EVENTS), await worker.names(WATCH))
    assert RISK_BACKLOG == await other.room.claims.adopt_backlog(["risk"])
    [(_, [again])] = await other.room.claims.draw({RISK_BACKLOG: 5})
    assert (job.name, True, 300) == (again.name, again.is_risk, round(again.deadline_at - again.accepted_at))


async def test_an_end_that_the_worker_reached_knowing_all_that_was_asked_stays(worker, redis):
    """Else an order that the broker refuses would come back until its deadline."""
    await ask(worker, deadline_seconds=3)
    await ask(worker, lane="risk", deadline_seconds=300)
    [job] = await worker.claim(1)
    await ended(worker, job, "refused")
    assert (Status.REFUSED, 1) == ((await worker.record()).status, await redis.xlen(EVENTS))


@pytest.mark.parametrize("status", ["cancelled", "filled", "gone", "already_cancelled", "not_found"])
async def test_a_proof_stays_whatever_was_asked_for_meanwhile(worker, status):
    await ask(worker, deadline_seconds=3)
    [job] = await worker.claim(1)
    await ask(worker, lane="risk", deadline_seconds=300)
    await ended(worker, job, status)
    assert status == (await worker.record()).status


@pytest.mark.parametrize(
    ("first", "again", "answer"),
    [
        ({}, {"variety": "bracket"}, 3),
        ({}, {"trading_symbol": "INFY-EQ"}, 1),
        ({"trading_symbol": "INFY-EQ"}, {}, 1),
        ({"trading_symbol": "INFY-EQ"}, {"trading_symbol": "TCS-EQ"}, 3),
        ({"trading_symbol": "INFY-EQ"}, {"trading_symbol": "INFY-EQ", "amo": True}, 3),
    ],
)
async def test_a_request_that_contradicts_the_one_under_way_is_told_so(worker, first, again, answer):
    await ask(worker, **first)
    assert answer == await ask(worker, **again)


async def test_what_a_strategy_writes_cannot_pass_for_what_was_asked_meanwhile(worker):
    await ask(worker, deadline_seconds=30, reason='x, "asked": {"lane": "risk", "until_ms": 9999999999999}}')
    await ask(worker, deadline_seconds=300)
    assert ("routine", 300) == await terms(worker)
    assert 'x, "asked": {' == (await worker.record()).reason[:13]


@pytest.mark.parametrize("asked", ['{"lane": "risk"}', "5", "null", '{"until_ms": "x", "lane": 1}'])
def test_what_is_no_such_entry_changes_nothing(asked):
    document = json.dumps(CancelOrder(ucc=UCC, order_number="251015000123456", deadline_seconds=30).to_wire())
    _, read = split(f'queued 0 - 1 0 0 {document[:-1]}, "asked": {asked}}}'.encode())
    assert ("routine", 30) == (read["lane"], read["deadline_seconds"])


async def test_nothing_waits_in_a_queue_for_an_order_that_only_got_more_time(worker, redis):
    await ask(worker, deadline_seconds=3)
    await ask(worker, deadline_seconds=300)
    assert (1, [name(1)]) == (await redis.llen("routine"), await worker.names(ROUTINE_QUEUED))
    assert Status.QUEUED == OrderRecord.decode(await redis.get(named_key(name(1)))).status


async def test_an_end_by_a_worker_whose_claim_the_server_forgot_takes_no_new_request_back(worker, redis):
    """The record was lost with the server's last second; the order was asked for again before its old worker gave up."""
    await ask(worker, deadline_seconds=3)
    [job] = await worker.claim(1)
    await redis.delete(named_key(name(1)))
    await ask(worker, lane="risk", deadline_seconds=300)
    await ended(worker, job, "expired")
    assert (Status.QUEUED, ("risk", 300)) == ((await worker.record()).status, await terms(worker))


async def test_a_final_record_says_all_that_was_asked_for(worker):
    await ask(worker, deadline_seconds=3)
    [job] = await worker.claim(1)
    await ask(worker, lane="risk", deadline_seconds=300)
    await ended(worker, job, "cancelled")
    assert ("risk", 300) == await terms(worker)


async def test_asking_again_shortens_no_life(worker, redis):
    """A producer whose records live for a second had another one's deleted, with what became of it."""
    await ask(worker)
    [job] = await worker.claim(1)
    await ended(worker, job, "refused")
    hasty = accept_call([order(1)], batch=None, ttl_seconds=1)
    await worker.client.call(hasty)
    assert await redis.ttl(named_key(name(1))) > 500


async def test_asking_again_prolongs_a_life(worker, redis):
    await worker.client.call(accept_call([order(1)], batch=None, ttl_seconds=1))
    await ask(worker)
    assert await redis.ttl(named_key(name(1))) > 500


async def test_a_record_with_an_odd_time_of_sending_holds_up_no_request(worker, redis):
    document = json.dumps({"ucc": UCC, "order_number": number(1), "first_sent_at": None})
    await redis.set(named_key(name(1)), f"unknown 3 - {int(time.time() * 1000)} 1 0 {document}")
    assert 0 == await ask(worker)
    assert Status.QUEUED == (await worker.record()).status
