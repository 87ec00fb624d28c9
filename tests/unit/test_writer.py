"""Final statuses are gathered into few writes, repeated until the ledger has them, and called back once."""

import asyncio

from redis.exceptions import ResponseError

from neo_cancel.record import Status
from tests.unit.ledger_fakes import job, name
from worker.ledger.held import Held
from worker.ledger.writer import Writer
from worker.observe.events import LedgerAway


class Records:
    """In place of the records: answers what the test set, and remembers each step."""

    def __init__(self):
        self.steps, self.failures, self.foreign, self.gate = [], [], set(), None

    async def write_final(self, jobs):
        self.steps.append([job.name for job in jobs])
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return [job.name not in self.foreign for job in jobs]


class Notes:
    def __init__(self):
        self.forgotten = []

    def forget(self, job):
        self.forgotten.append(job.name)


class Rig:
    def __init__(self, *, gather_seconds=0.0):
        self.records, self.held, self.notes, self.written, self.events = Records(), Held(), Notes(), [], []
        self.writer = Writer(
            self.records,
            self.held,
            self.notes,
            gather_seconds=gather_seconds,
            on_written=lambda job, is_ours: self.written.append((job.name, is_ours, self.held.holds(job))),
            publish=self.events.append,
        )

    def finish(self, *lasts):
        for last in lasts:
            ended = job(last)
            ended.status = Status.CANCELLED
            self.held.add(ended)
            self.writer.finish(ended)


async def test_an_order_is_called_back_when_it_is_written_and_no_longer_held():
    rig = Rig()
    rig.finish(1)
    await rig.writer.flush()
    assert ([(name(1), True, False)], [name(1)]) == (rig.written, rig.notes.forgotten)


async def test_what_ends_together_shares_a_write():
    rig = Rig()
    rig.finish(1, 2, 3)
    await rig.writer.flush()
    assert [[name(1), name(2), name(3)]] == rig.records.steps


async def test_what_ends_between_two_writes_shares_the_next_one():
    rig = Rig(gather_seconds=0.05)
    rig.finish(1)
    await rig.writer.flush()
    rig.finish(2)
    await asyncio.sleep(0)
    rig.finish(3)
    await rig.writer.flush()
    assert [[name(1)], [name(2), name(3)]] == rig.records.steps


async def test_no_write_holds_more_than_two_hundred():
    rig = Rig()
    rig.finish(*range(450))
    await rig.writer.flush()
    assert [200, 200, 50] == [len(step) for step in rig.records.steps]


async def test_what_a_newer_owner_has_is_called_back_as_not_ours():
    rig = Rig()
    rig.records.foreign = {name(2)}
    rig.finish(1, 2)
    await rig.writer.flush()
    assert [(name(1), True), (name(2), False)] == [entry[:2] for entry in rig.written]


async def test_a_write_that_the_ledger_refuses_is_repeated():
    rig = Rig()
    rig.records.failures = [ResponseError("OOM script not allowed")]
    rig.finish(1, 2)
    await rig.writer.flush()
    assert [LedgerAway("ResponseError", doing="final statuses", orders=2)] == rig.events
    assert [[name(1), name(2)]] * 2 == rig.records.steps
    assert [name(1), name(2)] == [entry[0] for entry in rig.written]


async def test_when_the_lease_is_lost_what_is_not_written_yet_is_called_back_as_not_ours():
    rig = Rig(gather_seconds=3600)
    rig.finish(1)
    await rig.writer.flush()
    rig.finish(2, 3)
    await asyncio.sleep(0)
    rig.writer.drop()
    assert [(name(2), False), (name(3), False)] == [entry[:2] for entry in rig.written[1:]]
    assert 1 == len(rig.records.steps)
    rig.writer._writing.cancel()


async def test_what_is_being_written_when_the_lease_is_lost_is_called_back_once():
    rig = Rig()
    rig.records.gate = asyncio.Event()
    rig.finish(1)
    await asyncio.sleep(0)
    rig.writer.drop()
    rig.records.gate.set()
    await rig.writer.flush()
    assert [name(1)] == [entry[0] for entry in rig.written]


async def test_flushing_waits_for_what_is_being_written():
    rig = Rig()
    await rig.writer.flush()
    rig.records.gate = asyncio.Event()
    rig.finish(1)
    flushing = asyncio.ensure_future(rig.writer.flush())
    await asyncio.sleep(0)
    assert not flushing.done()
    rig.records.gate.set()
    await flushing
    assert 1 == len(rig.written)


async def test_a_newer_claim_of_the_same_order_stays_held():
    rig = Rig()
    rig.records.gate = asyncio.Event()
    rig.finish(1)
    await asyncio.sleep(0)
    newer = job(1, fence=2)
    rig.held.add(newer)
    rig.records.gate.set()
    await rig.writer.flush()
    assert rig.held.holds(newer)
