"""The lease: how long it lasts, what a heartbeat brings, and what happens when it is lost."""

import asyncio
import os

import pytest

from neo_cancel.scripts import ScriptCall, load_script
from tests.unit.ledger_fakes import ScriptedLedger, job, name
from worker.ledger.held import Held
from worker.ledger.keys import WORKERS, taken_key
from worker.ledger.lease import Lease, Validity
from worker.observe.events import LeaseLost, LeaseTaken

KEPT = [5000, 1, 0]
LOST = [5000, 0, 0]


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Compared:
    """In place of the reconciliation: remembers what it was asked to compare."""

    def __init__(self):
        self.counts = []

    async def compare(self, worker, count):
        self.counts.append((worker, count))


class Rig:
    """A lease on a scripted ledger, ten seconds long by a clock that the test sets."""

    def __init__(self, *answers):
        self.ledger, self.held, self.compared, self.clock = ScriptedLedger(*answers), Held(), Compared(), Clock()
        self.events, self.urgent, self.losses = [], [], []
        self.lease = Lease(
            self.ledger,
            self.held,
            self.compared,
            validity=Validity(10.0, self.clock),
            on_lost=lambda: self.losses.append(len(self.held)),
            on_asked=lambda job, is_risk, until: self.urgent.append((job, is_risk, until)),
            publish=self.events.append,
        )


def step(worker: str) -> ScriptCall:
    return ScriptCall(load_script("worker.ledger", "watch"), [], [worker])


# ---------------------------------------------------------------------- how long it lasts


def test_a_lease_is_valid_for_its_length_from_when_it_was_asked_for():
    clock = Clock()
    validity = Validity(10.0, clock)
    validity.renew(95.0)
    assert validity.is_valid
    clock.now = 105.0
    assert (False, True) == (validity.is_valid, validity.is_taken)


def test_a_lease_that_was_never_taken_or_is_lost_is_not_valid():
    validity = Validity(10.0, Clock())
    assert (False, False) == (validity.is_valid, validity.is_taken)
    validity.renew(100.0)
    validity.lose()
    assert (False, False) == (validity.is_valid, validity.is_taken)


def test_a_fresh_lease_is_steady_and_one_renewed_too_late_only_after_a_whole_lease():
    """After an outage the others must have the time of a lease to renew theirs before they are reaped."""
    clock = Clock()
    validity = Validity(10.0, clock)
    validity.renew(100.0)
    assert validity.is_steady
    clock.now = 111.0
    assert not validity.is_steady
    validity.renew(111.0)
    assert not validity.is_steady
    clock.now = 120.0
    validity.renew(120.0)
    assert not validity.is_steady
    clock.now = 121.0
    assert validity.is_steady


# ---------------------------------------------------------------------- the heartbeat


async def test_the_first_heartbeat_takes_the_lease_and_says_so():
    rig = Rig(KEPT)
    await rig.lease.renew()
    assert rig.lease.is_valid
    assert [LeaseTaken(rig.lease.worker, os.getpid())] == rig.events
    assert [rig.lease.worker, 10_000, 1] == rig.ledger.calls[0].arguments
    assert (5000.0, [(rig.lease.worker, 0)]) == (rig.ledger.offset, rig.compared.counts)


async def test_later_heartbeats_renew_it_silently():
    rig = Rig(KEPT, KEPT)
    await rig.lease.renew()
    await rig.lease.renew()
    assert 1 == len(rig.events)
    assert 0 == rig.ledger.calls[1].arguments[2]


async def test_many_that_ask_at_once_take_one_lease():
    rig = Rig(KEPT, KEPT, KEPT)
    await asyncio.gather(*(rig.lease.renew() for _ in range(3)))
    assert 1 == len(rig.events)


async def test_a_held_order_that_became_urgent_is_told_and_one_that_has_gone_is_not():
    rig = Rig([5000, 1, 1, name(1).encode(), name(2).encode()])
    mine = job(1)
    rig.held.add(mine)
    await rig.lease.renew()
    assert [(mine, True, 0.0)] == rig.urgent


async def test_recovery_may_reap_while_the_lease_is_steady():
    rig = Rig(KEPT)
    assert not rig.lease.may_reap
    await rig.lease.renew()
    assert rig.lease.may_reap


async def test_signing_off_ends_the_lease_at_once_and_blames_no_order():
    rig = Rig()
    await rig.lease.sign_off()
    worker = rig.lease.worker
    assert [("DEL", taken_key(worker)), ("ZADD", WORKERS, 0, worker)] == rig.ledger.commands


# ---------------------------------------------------------------------- losing it


async def test_a_lost_lease_leaves_nothing_held_and_a_new_name():
    rig = Rig(KEPT, LOST)
    await rig.lease.renew()
    before = rig.lease.worker
    rig.held.add(job(1))
    await rig.lease.renew()
    assert LeaseLost(before, 1) == rig.events[-1]
    assert ([0], False) == (rig.losses, rig.lease.is_valid)
    assert before != rig.lease.worker


async def test_a_late_answer_about_the_former_name_changes_nothing():
    rig = Rig(KEPT, LOST, LOST)
    await rig.lease.renew()
    await asyncio.gather(rig.lease.renew(), rig.lease.renew())
    assert 1 == len(rig.losses)


# ---------------------------------------------------------------------- taking orders under it


async def test_what_takes_orders_first_waits_for_a_lease():
    rig = Rig(KEPT, [b"record"])
    assert [b"record"] == await rig.lease.take(step)
    assert ["renew", "watch"] == rig.ledger.scripts()


async def test_what_finds_no_lease_is_done_again_under_a_new_name():
    rig = Rig(KEPT, None, KEPT, [b"record"])
    await rig.lease.renew()
    before = rig.lease.worker
    assert [b"record"] == await rig.lease.take(step)
    assert [before, rig.lease.worker] == [call.arguments[0] for call in rig.ledger.calls if call.script.name == "watch"]
    assert 1 == len(rig.losses)


async def test_an_answer_to_the_former_name_is_not_used():
    """The lease was lost while the step was under way: what it took belongs to recovery."""
    rig = Rig(KEPT, lambda _: rig.lease.lose() or [b"taken by the former"], KEPT, [b"taken by the new"])
    await rig.lease.renew()
    assert [b"taken by the new"] == await rig.lease.take(step)
    assert 1 == len(rig.losses)


@pytest.mark.parametrize("answer", [[], 0, b""])
async def test_an_empty_answer_is_an_answer(answer):
    rig = Rig(KEPT, answer)
    assert answer == await rig.lease.take(step)
    assert [] == rig.losses
