"""The ledger as a state machine: producers, workers, recovery, lost messages, spoilt records, deaths at every step."""

import asyncio
import json
import os

import redis.asyncio
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test

from tests.property.ledger_model import KINDS_OF_SPOILING
from tests.property.ledger_names import LANES, NAMES, WATCHED
from tests.property.ledger_trouble import LedgerTrouble
from tests.property.ledger_worker import Worker
from worker.ledger.keys import WORKERS

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "60"))


class LedgerMachine(LedgerTrouble):
    """All that may happen, in any order; what must always be so is looked at after each step."""

    @initialize()
    def begin(self) -> None:
        self.ask(NAMES, "routine")
        self.deliver(0, at_most=100)
        self.everything_goes_to_the_disk_sooner_or_later()

    @invariant()
    def no_message_is_older_than_one_in_front_of_it(self) -> None:
        """Whoever is older than the message at the front is taken for lost."""
        for lane in LANES:
            waiting = [json.loads(message) for message in self.server.lrange(lane, 0, -1)]
            times = [message["headers"]["enqueued_ms"] for message in reversed(waiting)]
            assert times == sorted(times)

    @invariant()
    def a_record_says_the_most_urgent_lane_and_the_latest_deadline_asked_for(self) -> None:
        for record in self.records():
            wish = self.model.wishes[record.key]
            assert wish.is_met(is_risk=record.lane == "risk", until=record.deadline_at), (wish, record)

    @invariant()
    def what_is_final_stays_and_fences_only_rise(self) -> None:
        for record in self.records():
            before = self.seen.get(record.key)
            if before is not None:
                assert before.fence <= record.fence, (before, record)
                if before.is_final and before.status not in WATCHED:
                    assert before == record
            self.seen[record.key] = record

    @invariant()
    def nothing_is_worked_on_that_was_not_asked_for(self) -> None:
        assert {job.name for worker in self.workers for job in worker.tasks} <= set(NAMES)

    def teardown(self) -> None:
        try:
            if self.model.accepted:
                self.settle()
        finally:
            self.run(self.client.aclose())
            self.runner.close()
            # What a worker whose process ended holds is nobody's any more.
            self.server.flushall()
            self.server.close()


def test_no_order_of_steps_loses_an_order_or_changes_a_proof(redis_url):
    """Requests, claims, results, deaths, sleepers that wake up, recovery, lost messages, spoilt records, deleted keys."""
    run_state_machine_as_test(
        lambda: LedgerMachine(redis_url),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


async def test_a_lease_that_many_ask_for_is_lost_once(redis_url):
    """A late answer about the old name must not cost the new one what it took meanwhile."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        worker = Worker(client)
        await worker.room.lease.renew()
        await client.zadd(WORKERS, {worker.id: 0})
        await asyncio.gather(*(worker.room.lease.renew() for _ in range(8)))
        assert 1 == len(worker.lost)


def test_there_are_many_ways_to_spoil_a_record():
    """Each gives a text of its own."""
    record = b'queued 3 - 1764000000000 0 0 {"ucc": "AB123", "order_number": "251015000123450", "lane": "routine"}'
    assert len(KINDS_OF_SPOILING) == len({spoil(record) for spoil in KINDS_OF_SPOILING})
