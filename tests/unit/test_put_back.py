"""What goes back into a queue goes on, whatever its record says by now; and what is drawn twice is one order."""

import json

import pytest

from neo_cancel import Status
from tests.unit.ledger_fakes import UCC, name, order
from worker.consuming.envelope import Message, read
from worker.ledger.keys import backlog_key

RISK, ROUTINE = backlog_key("risk", UCC), backlog_key("routine", UCC)


@pytest.mark.parametrize(
    "facts",
    [{"deadline_seconds": 90_000.0}, {"amo": True}, {"trading_symbol": "what the book says"}, {"reason": "x" * 999}],
)
async def test_an_order_whose_record_breaks_a_producer_s_rules_can_be_claimed_again(worker, redis, facts):
    """A deadline that was extended beyond a day, or what the book corrected: it came back as a dead letter, for ever."""
    await worker.enqueue(order(1))
    await redis.delete("routine")
    [job] = await worker.claim(1)
    job.update(**facts)
    await worker.room.claims.release([job])
    message = read(json.loads(await redis.rpop("routine")))
    assert isinstance(message, Message)
    assert () == message.value.refusals
    [again] = (await worker.room.claims.claim("routine", message.value.orders, {UCC: 10})).jobs
    assert facts.items() <= again.document.items()


async def test_an_order_that_stands_in_both_backlogs_is_drawn_once(worker):
    """A bulk that was repeated as risk: forty orders became eighty jobs, and each was sent twice."""
    await worker.enqueue(*[order(last) for last in range(1, 41)], to_backlog=True)
    await worker.enqueue(*[order(last, lane="risk") for last in range(1, 41)], to_backlog=True)
    drawn = await worker.room.claims.draw({RISK: 50, ROUTINE: 50})
    jobs = [job for _, some in drawn for job in some]
    assert ([name(last) for last in range(1, 41)], 40) == (sorted(job.name for job in jobs), len(worker.room.held))
    assert all(job.is_risk for job in jobs)


async def test_a_claim_whose_answer_overtakes_a_draw_s_takes_the_order_once(worker):
    await worker.enqueue(order(1), to_backlog=True)
    await worker.room.lease.renew()
    [(_, [job])] = await worker.room.claims.draw({ROUTINE: 5})
    assert [] == worker.room.claims._take_news([type(job).decode(job.encode(worker.id))], "risk")
    assert Status.SENDING is job.status
