"""What the ledger thinks a worker holds and it does not goes back, once it was missing at two looks."""

from tests.unit.ledger_fakes import ScriptedLedger, job, name
from worker.ledger.held import Held
from worker.ledger.reconciliation import Reconciliation


class PutBack:
    """In place of the requeuer."""

    def __init__(self):
        self.names = []

    async def requeue(self, owner, names, *, why):
        assert ("w1", "died") == (owner, why)
        self.names.append(list(names))
        return len(names)


class Rig:
    def __init__(self, *members):
        self.ledger, self.held, self.put_back = ScriptedLedger(), Held(), PutBack()
        self.members(*members)
        self.reconciliation = Reconciliation(self.ledger, self.held, self.put_back)

    def members(self, *names):
        self.ledger.members = {name.encode() for name in names}

    async def look(self, count=1):
        await self.reconciliation.compare("w1", count)


async def test_while_the_counts_agree_nothing_is_read():
    rig = Rig(name(1))
    rig.held.add(job(1))
    for _ in range(4):
        await rig.look()
    assert [] == rig.ledger.commands


async def test_a_difference_of_a_moment_is_no_loss():
    """Claims and writes are under way at any time."""
    rig = Rig(name(1))
    await rig.look(1)
    await rig.look(0)
    await rig.look(1)
    assert [] == rig.ledger.commands


async def test_what_is_missing_at_two_looks_goes_back():
    rig = Rig(name(1), name(2))
    rig.held.add(job(2))
    await rig.look(2)
    await rig.look(2)
    assert [[]] == rig.put_back.names
    await rig.look(2)
    assert [[], [name(1)]] == rig.put_back.names


async def test_what_went_back_is_not_put_back_again():
    rig = Rig(name(1))
    for _ in range(4):
        await rig.look()
    assert [[], [name(1)], []] == rig.put_back.names


async def test_what_is_missing_at_changing_looks_stays():
    """Each look finds another order missing: those are answers under way."""
    rig = Rig(name(1))
    await rig.look()
    await rig.look()
    rig.members(name(2))
    await rig.look()
    assert [[], []] == rig.put_back.names
