"""Progress notes are written a lease later, and only of orders that still wait."""

import pytest

from neo_cancel.record import Status
from tests.unit.ledger_fakes import job
from worker.ledger.held import Held
from worker.ledger.notes import Notes


class Records:
    """In place of the records: remembers what was written in each step."""

    def __init__(self):
        self.steps = []
        self.during_write = lambda: None

    async def write_progress(self, jobs):
        self.steps.append([(job.order_number[-1], str(job.status)) for job in jobs])
        self.during_write()


class Rig:
    def __init__(self, count=1):
        self.records, self.held = Records(), Held()
        self.notes = Notes(self.records, self.held)
        self.jobs = [job(last) for last in range(1, count + 1)]
        for held in self.jobs:
            self.held.add(held)

    async def write(self, times=2):
        for _ in range(times):
            await self.notes.write()


async def test_a_note_is_written_at_the_second_call():
    rig = Rig()
    rig.notes.note(rig.jobs[0], Status.WAITING, "pace")
    await rig.write(1)
    assert [] == rig.records.steps
    await rig.write(1)
    assert [[("1", "waiting")]] == rig.records.steps
    assert "pace" == rig.jobs[0].document["waiting_for"]


async def test_what_is_written_is_where_the_order_stands_then():
    rig = Rig()
    rig.notes.note(rig.jobs[0], Status.WAITING, "pace")
    await rig.write(1)
    rig.notes.note(rig.jobs[0], Status.VERIFYING)
    await rig.write(2)
    assert [[("1", "verifying")]] == rig.records.steps
    assert "waiting_for" not in rig.jobs[0].document


async def test_a_watched_order_keeps_saying_how_it_ended():
    rig = Rig()
    rig.jobs[0].is_watched, rig.jobs[0].status = True, Status.UNKNOWN
    rig.notes.note(rig.jobs[0], Status.VERIFYING)
    await rig.write()
    assert (Status.UNKNOWN, []) == (rig.jobs[0].status, rig.records.steps)


async def test_what_has_ended_or_is_not_held_any_more_is_not_written():
    rig = Rig(3)
    for noted in rig.jobs:
        rig.notes.note(noted, Status.WAITING)
    rig.held.let_go(rig.jobs[0])
    rig.jobs[1].status = Status.CANCELLED
    await rig.write()
    assert [[("3", "waiting")]] == rig.records.steps


async def test_what_ends_during_a_long_write_is_left_out_of_the_next_step():
    rig = Rig(201)
    for noted in rig.jobs:
        rig.notes.note(noted, Status.WAITING)
    rig.records.during_write = lambda: rig.held.let_go(rig.jobs[200])
    await rig.write()
    assert [200] == [len(step) for step in rig.records.steps]


@pytest.mark.parametrize("how", ["forget", "clear"])
@pytest.mark.parametrize("writes_before", [0, 1])
async def test_a_forgotten_note_is_not_written(how, writes_before):
    rig = Rig()
    rig.notes.note(rig.jobs[0], Status.WAITING)
    await rig.write(writes_before)
    rig.notes.forget(rig.jobs[0]) if how == "forget" else rig.notes.clear()
    await rig.write()
    assert [] == rig.records.steps
