"""The ledger as a state machine: many workers, producers, recovery, lost and doubled messages, deaths at every step."""

import asyncio
import json
import os
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

import redis
import redis.asyncio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from neo_cancel import CancelOrder
from neo_cancel.record import DEAD, HARMLESS, WORKING, OrderRecord, Status
from neo_cancel.scripts import ScriptCall
from tests.accepting import accept_call
from worker.ledger.assembly import LedgerCallbacks, LedgerOptions, LedgerRoom
from worker.ledger.client import LedgerClient
from worker.ledger.keys import (
    BACKLOGS,
    RISK_QUEUED,
    ROUTINE_QUEUED,
    WATCH,
    WORKERS,
    backlog_key,
    held_key,
    named_key,
)
from worker.ledger.server import Server
from worker.ledger.steps import Asked, PutBack, claim_call, requeue_call
from worker.observe.events import publisher
from worker.orders.job import Job

LANES = ("risk", "routine")
NUMBERS = ["251015000123450", "251015000123451"]
WORKERS_AT = st.integers(0, 1)
A_LIFETIME = 3600.0
WATCHED = (Status.UNKNOWN, Status.REFUSED)
EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "60"))


QUIET = publisher()


class Worker:
    """One process: its part of the ledger, and the jobs its tasks still work on, whatever the ledger thinks of that."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self.tasks: list[Job] = []
        self.written: dict[Job, asyncio.Future[bool]] = {}
        self.lost: list[str] = []
        self.client = LedgerClient(client, Server(), QUIET)
        room = LedgerRoom(
            self.client,
            LedgerOptions(lease=A_LIFETIME, gather=0, time_to_live=60, watch_interval=A_LIFETIME, pickup=0),
            LedgerCallbacks(
                is_watched=lambda ucc, status: status in WATCHED,
                on_asked=lambda job, is_risk, until: None,
                on_written=lambda job, is_ours: self.written.pop(job).set_result(is_ours),
                on_lost=self.on_lost,
            ),
            QUIET,
        )
        self.lease, self.claims, self.notes, self.writer = room.lease, room.claims, room.notes, room.writer
        self.recovery = room.recovery

    def on_lost(self) -> None:
        self.tasks.clear()
        self.lost.append(self.lease.worker)

    async def take(self, message: bytes, *, at_most: int = 100) -> None:
        chunk = json.loads(json.loads(message)["body"])[0][0]
        orders = [CancelOrder.from_wire(wire) for wire in chunk["orders"]]
        if not orders:
            [(_, jobs)] = await self.claims.draw({backlog_key(chunk["lane"], chunk["ucc"]): 2})
            self.tasks += jobs
            return
        claimed = await self.claims.claim(chunk["lane"], {chunk["ucc"]: orders}, {chunk["ucc"]: at_most})
        self.tasks += claimed.jobs

    async def finish(self, job: Job) -> bool:
        written = self.written[job] = asyncio.get_running_loop().create_future()
        self.writer.finish(job)
        return await written


class LedgerMachine(RuleBasedStateMachine):
    """Every rule is something that really happens between two others; the invariants hold after each."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.server = redis.Redis.from_url(url)
        self.server.flushall()
        self.runner = asyncio.Runner()
        self.client = redis.asyncio.Redis.from_url(url)
        self.workers = [self.start_worker() for _ in range(2)]
        self.accepted: set[str] = set()
        self.disk: deque[tuple[set[str], list[tuple[bytes, int, bytes]]]] = deque(maxlen=6)
        self.looks: list[tuple[str, ScriptCall]] = []
        self.seen: dict[str, OrderRecord] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def start_worker(self) -> Worker:
        worker = Worker(self.client)
        self.run(worker.lease.renew())
        return worker

    def record(self, name: str) -> OrderRecord:
        return OrderRecord.decode(self.server.get(named_key(name)))

    # ------------------------------------------------------------------ producers

    @initialize()
    def begin(self) -> None:
        self.enqueue_numbers(NUMBERS, "routine")
        self.deliver(0, at_most=100)
        self.everything_goes_to_the_disk_sooner_or_later()

    @rule(numbers=st.lists(st.sampled_from(NUMBERS), min_size=1, unique=True), lane=st.sampled_from(LANES))
    def enqueue(self, numbers: Sequence[str], lane: str) -> None:
        self.enqueue_numbers(numbers, lane)

    @rule(numbers=st.lists(st.sampled_from(NUMBERS), min_size=1, unique=True), lane=st.sampled_from(LANES))
    def enqueue_into_the_backlog(self, numbers: Sequence[str], lane: str) -> None:
        self.enqueue_numbers(numbers, lane, to_backlog=True)

    def enqueue_numbers(self, numbers: Sequence[str], lane: str, *, to_backlog: bool = False) -> None:
        call = accept_call(
            [CancelOrder(ucc="AB123", order_number=number, lane=lane) for number in numbers],
            batch=None,
            ttl_seconds=60,
            to_backlog=to_backlog,
        )
        self.server.eval(call.script.text, len(call.keys), *call.keys, *call.arguments)
        for name in (f"AB123:{number}" for number in numbers):
            self.accepted.add(name)
            # A new request may start a new job; the proof of a dead order stays.
            if name in self.seen and self.seen[name].status not in DEAD:
                del self.seen[name]

    # ------------------------------------------------------------------ messages

    def pop(self) -> bytes | None:
        found = self.server.rpop("risk") or self.server.rpop("routine")
        return found if isinstance(found, bytes) else None

    @rule(at=WORKERS_AT, at_most=st.sampled_from([100, 100, 100, 1, 0]))
    def deliver(self, at: int, at_most: int) -> None:
        if message := self.pop():
            self.run(self.workers[at].take(message, at_most=at_most))

    @rule(at=WORKERS_AT, numbers=st.sampled_from([NUMBERS[:1], NUMBERS[1:], NUMBERS]))
    def ask_again_and_deliver_at_once(self, at: int, numbers: Sequence[str]) -> None:
        self.enqueue_numbers(numbers, "risk")
        self.deliver(at, at_most=100)

    @rule(kind=st.sampled_from(["doubled", "dropped"]), lane=st.sampled_from(LANES))
    def upset_messages(self, kind: str, lane: str) -> None:
        if kind == "dropped":
            self.server.rpop(lane)
        elif message := self.server.lindex(lane, 0):
            self.server.lpush(lane, message)

    # ------------------------------------------------------------------ the server

    @invariant()
    def everything_goes_to_the_disk_sooner_or_later(self) -> None:
        keys = self.server.keys()
        with self.server.pipeline() as reads:
            for key in keys:
                reads.pttl(key).dump(key)
            read = reads.execute()
        self.disk.append((set(self.accepted), list(zip(keys, read[::2], read[1::2], strict=True))))

    @rule(back=st.integers(1, 5))
    def lose_the_last_steps(self, back: int) -> None:
        """Restart after a power cut. What was accepted last may be forgotten, and so may claims and results."""
        self.restore(back)

    @rule(at=WORKERS_AT)
    def claim_and_lose_the_claim(self, at: int) -> None:
        self.ask_again_and_deliver_at_once(at, NUMBERS)
        self.restore(0)

    def restore(self, back: int) -> None:
        accepted, kept = self.disk[max(0, len(self.disk) - 1 - back)]
        with self.server.pipeline() as writes:
            writes.flushall()
            for key, ttl_ms, value in kept:
                writes.restore(key, max(0, ttl_ms), value)
            writes.execute()
        self.accepted, self.seen = set(accepted), {}

    # ------------------------------------------------------------------ workers

    @rule(at=WORKERS_AT, number=st.sampled_from(NUMBERS))
    def claim_and_never_hear_of_it(self, at: int, number: str) -> None:
        worker = self.workers[at].lease.worker
        self.run(
            self.workers[at].client.call(claim_call(worker, "routine", [Asked("AB123", [f"AB123:{number}"], 100)]))
        )

    @rule(at=WORKERS_AT, lane=st.sampled_from(LANES))
    def draw(self, at: int, lane: str) -> None:
        [(_, jobs)] = self.run(self.workers[at].claims.draw({backlog_key(lane, "AB123"): 2}))
        self.workers[at].tasks += jobs

    @rule(at=WORKERS_AT)
    def look_at_the_watch_list(self, at: int) -> None:
        if due := dict.fromkeys(self.server.zrange(WATCH, 0, -1), 1):
            self.server.zadd(WATCH, due)
        self.workers[at].tasks += self.run(self.workers[at].claims.claim_watched(2))

    def has_tasks(self) -> bool:
        return any(worker.tasks for worker in self.workers)

    def busy(self, at: int) -> Worker:
        return self.workers[at] if self.workers[at].tasks else self.workers[1 - at]

    @precondition(lambda self: self.has_tasks())
    @rule(at=WORKERS_AT)
    def note(self, at: int) -> None:
        worker = self.busy(at)
        for job in worker.tasks:
            worker.notes.note(job, Status.VERIFYING)
        for _ in range(2):
            self.run(worker.notes.write())

    @precondition(lambda self: self.has_tasks())
    @rule(
        at=WORKERS_AT,
        which=st.integers(0, 5),
        status=st.sampled_from([Status.UNKNOWN, Status.UNKNOWN, Status.REFUSED, Status.NOT_FOUND, Status.CANCELLED]),
    )
    def finish(self, at: int, which: int, status: Status) -> None:
        worker = self.busy(at)
        job = worker.tasks.pop(which % len(worker.tasks))
        if job.name not in self.accepted:  # forgotten: the result alone is left of it
            job.status = status
            self.run(worker.finish(job))
            self.accepted.add(job.name)
            return
        before = self.record(job.name)
        is_ours = before.fence == job.fence and before.owner == worker.lease.worker
        was_asked = before.lane == "risk" != job.lane or before.deadline_at > job.deadline_at + 0.001
        is_ours |= before.fence < job.fence and before.status not in DEAD
        job.status = status
        written = self.run(worker.finish(job))
        assert is_ours == written
        after = self.record(job.name)
        # Asked for again, which the worker did not know: its end is none for that, and the order is put back.
        is_put_back = was_asked and before.status in WORKING and status not in HARMLESS
        ends_as = Status.QUEUED if is_put_back else status
        assert (after == before) if not written else (after.status, after.owner) == (ends_as, None)
        if written and (before.status in WATCHED or before.fence < job.fence):
            # Unknown is what proof may replace; and the server may have forgotten that the order was asked for again.
            self.seen.pop(job.name, None)

    @precondition(lambda self: self.has_tasks())
    @rule(at=WORKERS_AT)
    def watch_what_ended_unknown(self, at: int) -> None:
        self.finish(at, 0, Status.UNKNOWN)
        self.look_at_the_watch_list(at)

    @rule(at=WORKERS_AT)
    def release(self, at: int) -> None:
        worker = self.workers[at]
        jobs = [job for job in worker.tasks if not job.is_watched]
        worker.tasks[:] = [job for job in worker.tasks if job.is_watched]
        self.run(worker.claims.release(jobs))

    @rule(at=WORKERS_AT)
    def renew(self, at: int) -> None:
        self.run(self.workers[at].lease.renew())

    @rule(at=WORKERS_AT)
    def let_the_lease_run_out(self, at: int) -> None:
        """Freeze it: it believes in its lease, and works on as soon as it wakes up."""
        self.server.zadd(WORKERS, {self.workers[at].lease.worker: 1}, xx=True)

    @rule(at=WORKERS_AT)
    def die(self, at: int) -> None:
        self.let_the_lease_run_out(at)
        self.workers[at] = self.start_worker()

    @rule(number=st.sampled_from(NUMBERS), why=st.sampled_from(["died", "lost"]), to_end=st.booleans())
    def look_before_putting_back(self, number: str, why: str, to_end: bool) -> None:
        """Recovery reads an order, and something else comes between that and its next step."""
        if f"AB123:{number}" in self.accepted:
            record = self.record(f"AB123:{number}")
            ends = self.server.zscore(WORKERS, record.owner or "-")
            if (record.owner is None) == (why == "lost") and (record.owner is None or ends == 0):
                orders = [PutBack("AB123", number, record.fence, json.dumps({"ucc": "AB123", "order_number": number}))]
                owner = record.owner or "-"
                call = requeue_call(lane=record.lane, owner=owner, orders=orders, why=why, crashes=0, to_end=to_end)
                self.looks.append((f"AB123:{number}", call))

    @precondition(lambda self: self.looks)
    @rule()
    def put_back_late(self) -> None:
        name, call = self.looks.pop(0)
        if name in self.accepted:
            self.server.eval(call.script.text, len(call.keys), *call.keys, *call.arguments)

    @rule()
    def find_the_dead(self) -> None:
        """The first half of a recovery pass: the lease is lost for good, its orders are still to be moved."""
        if leases := self.server.zrangebyscore(WORKERS, 0, 1):
            self.server.zadd(WORKERS, dict.fromkeys(leases, 0))

    @rule(at=WORKERS_AT)
    def recover(self, at: int) -> None:
        self.run(self.workers[at].recovery.run_pass())

    def settle(self) -> None:
        """With one living worker left, recovery and the messages it writes bring every order to its end."""
        if leases := dict.fromkeys(self.server.zrange(WORKERS, 0, -1), 1):
            self.server.zadd(WORKERS, leases)
        worker = self.workers[0] = self.start_worker()
        self.workers[1].tasks.clear()
        for _ in range(30):
            self.recover(0)
            self.run(worker.lease.renew())
            for lane in LANES:
                while message := self.server.rpop(lane):
                    self.run(worker.take(message))
                self.draw(0, lane)
            self.look_at_the_watch_list(0)
            while worker.tasks:
                self.finish(0, 0, Status.CANCELLED)
            if not self.unfinished() and not self.leftovers():
                break
        assert ([], 0) == (self.unfinished(), self.leftovers())

    def unfinished(self) -> list[OrderRecord]:
        return [record for record in self.records() if not record.is_final]

    def leftovers(self) -> int:
        return sum(self.server.zcard(key) for key in (RISK_QUEUED, ROUTINE_QUEUED, BACKLOGS, WATCH))

    # ------------------------------------------------------------------ what is always so

    @invariant()
    def every_order_is_somewhere(self) -> None:
        places = self.places()
        for record in self.records():
            if record.owner is not None:
                assert record.key in places[record.owner], record
            elif record.status is Status.QUEUED:
                assert record.key in places["queued"] | places["backlogs"], record
            elif record.status in WATCHED:
                is_dead_letter = (record.text or "").startswith("dead letter")
                assert is_dead_letter or record.key in places["watched"], record
            else:
                assert record.is_final, record

    def records(self) -> list[OrderRecord]:
        names = sorted(self.accepted)
        values = self.server.mget([named_key(name) for name in names]) if names else []
        return [OrderRecord.decode(value) for value in values]

    def places(self) -> dict[str, set[str]]:
        """Read who is where: in registered workers' hands, by worker, or in one of the lists."""
        with self.server.pipeline() as reads:
            workers = [worker.decode() for worker in self.server.zrange(WORKERS, 0, -1)]
            for key in (RISK_QUEUED, ROUTINE_QUEUED, WATCH, BACKLOGS):
                reads.zrange(key, 0, -1)
            for lane in LANES:
                reads.lrange(backlog_key(lane, "AB123"), 0, -1)
            for worker in workers:
                reads.smembers(held_key(worker))
            read = [{member.decode() for member in some} for some in reads.execute()]
        drawn = zip(LANES, read[4:6], strict=True)
        in_backlog = [names for lane, names in drawn if backlog_key(lane, "AB123") in read[3]]
        places = {"queued": read[0] | read[1], "watched": read[2], "backlogs": set().union(*in_backlog)}
        return places | dict(zip(workers, read[6:], strict=True))

    @invariant()
    def no_message_is_older_than_one_in_front_of_it(self) -> None:
        """Whoever is older than the message at the front is taken for lost."""
        for lane in LANES:
            waiting = [json.loads(message) for message in self.server.lrange(lane, 0, -1)]
            times = [message["headers"]["enqueued_ms"] for message in reversed(waiting)]
            assert times == sorted(times)

    @invariant()
    def what_is_final_stays_and_fences_only_rise(self) -> None:
        for record in self.records():
            before = self.seen.get(record.key)
            if before is not None:
                assert before.fence <= record.fence, (before, record)
                if before.is_final and before.status not in WATCHED:
                    assert before == record
            self.seen[record.key] = record

    def teardown(self) -> None:
        try:
            if self.accepted:
                self.settle()
        finally:
            self.run(self.client.aclose())
            self.runner.close()
            # What a worker whose process ended holds is nobody's any more.
            self.server.flushall()
            self.server.close()


def test_no_order_of_steps_loses_an_order_or_changes_a_proof(redis_url):
    """Claims, notes, results, releases, deaths, sleepers that wake up, recovery, lost and doubled messages, in any order."""
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
        await worker.lease.renew()
        await client.zadd(WORKERS, {worker.lease.worker: 0})
        await asyncio.gather(*(worker.lease.renew() for _ in range(8)))
        assert 1 == len(worker.lost)
