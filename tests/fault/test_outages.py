"""Redis goes and comes back, is full or read-only: nobody loses an order, doubles one or stops consuming."""

import random
import time

import pytest

from neo_cancel import LedgerRefusedError, LedgerUnavailableError, NeoCancelError
from tests.fault.rig import names_of
from worker.ops.embedded import free_port

RESTARTS = 5


def enqueue_until_accepted(producer, orders, accepted):
    """Enqueue until it is accepted; note when."""
    while True:
        try:
            producer.enqueue_many(orders)
        except (LedgerUnavailableError, LedgerRefusedError):
            time.sleep(0.1)
            continue
        accepted.append((time.monotonic(), names_of(orders)))
        return


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("appendfsync", "ends"),
    [("everysec", ["power cut"] * RESTARTS), ("always", ["kill", "stop", "kill", "stop", "kill"])],
    ids=["everysec, power cuts", "always, killed or stopped"],
)
def test_a_bulk_of_5000_outlives_five_restarts(make_stage, appendfsync, ends):
    """A power cut costs everysec its last second: what was accepted before that still ends in its true status."""
    ends = list(ends)
    stage = make_stage(appendfsync=appendfsync)
    dice = random.Random(5)
    orders = stage.make(5000)
    chunks = [orders[at : at + 100] for at in range(0, len(orders), 100)]
    stage.start_worker()
    accepted, cuts = [], []
    for number, chunk in enumerate(chunks):
        enqueue_until_accepted(stage.producer, chunk, accepted)
        if number % 10 == 5:
            stage.wait_some(names_of(chunk))
            size, sized_at = stage.server.written(), time.monotonic()
            enqueue_until_accepted(stage.producer, chunks[number + 1], accepted)
            stage.wait_more()
            how = ends.pop()
            stage.server.stop() if how == "stop" else stage.server.kill()
            if how == "power cut":
                stage.server.lose_last_writes(size)
                cuts.append((sized_at - 0.1, time.monotonic()))
            time.sleep(dice.random())  # the outage
            stage.server.start()
    in_doubt = {name for at, names in accepted if any(start <= at <= end for start, end in cuts) for name in names}
    kept = {name for _, names in accepted for name in names} - in_doubt
    assert len(kept) >= 4000
    stage.assert_true(sorted(kept))
    # Accepted again after they had been forgotten: dead for sure, only by whose cancel nobody can know any more.
    assert all(record.is_dead for record in stage.wait_final(sorted(in_doubt)))
    assert [] == ends
    assert [] == stage.workers.logged("internal error")


def fill_up(stage):
    used = stage.server.client.info("memory")["used_memory"]
    stage.server.client.config_set("maxmemory", used // 2)
    return lambda: stage.server.client.config_set("maxmemory", 0)


def make_read_only(stage):
    """What a failover looks like to those who still talk to the old master."""
    stage.server.client.replicaof("127.0.0.1", free_port())
    return lambda: stage.server.client.replicaof("NO", "ONE")


@pytest.mark.parametrize("spoil", [fill_up, make_read_only])
def test_a_server_that_refuses_writes_loses_and_doubles_nothing(stage, spoil):
    """The producer is told and repeats; workers hold on to what they know until it can be written."""
    stage.sandbox.add_fault("delay", on="cancel", ucc=stage.ucc, seconds=0.2)
    _, worker = stage.start_worker()
    orders = stage.make(400)
    first, second = orders[:300], orders[300:]
    stage.producer.enqueue_many(first)
    stage.until(lambda: len(stage.held(worker)) > 20, "a bulk under way")
    restore = spoil(stage)
    with pytest.raises(LedgerRefusedError):
        stage.producer.enqueue_many(second)
    calls = stage.calls()
    stage.until(lambda: stage.calls() >= calls + 10 or stage.workers.logged("ledger away"), "workers to notice")
    restore()
    stage.producer.enqueue_many(second)
    stage.assert_true(names_of(orders))
    assert sorted(names_of(orders)) == sorted(stage.endings())
    assert stage.calls() <= 450


def test_a_producer_that_finds_no_server_can_repeat(stage):
    orders = stage.make(60)
    stage.producer.enqueue_many(orders[:50])
    stage.server.kill()
    with pytest.raises(NeoCancelError):
        stage.producer.enqueue_many(orders)
    stage.server.start()
    handle = stage.producer.enqueue_many(orders)
    assert 50 == handle.attached
    stage.start_worker()
    stage.assert_true(names_of(orders))
    assert 60 == stage.calls()


def test_orders_on_probation_outlive_an_outage(stage):
    """Each says that it is to blame if the worker dies. While nobody hears that, it waits and is not forgotten."""
    stage.sandbox.add_fault("delay", on="any", ucc=stage.ucc, seconds=0.1)
    orders = stage.make(30)
    stage.producer.enqueue_many(orders)
    for key in (f"nc:order:{name}" for name in names_of(orders)):
        status, fence, owner, accepted, _, _, document = stage.server.client.get(key).split(b" ", 6)
        # As two deaths leave it.
        stage.server.client.set(key, b" ".join([status, fence, owner, accepted, b"1", b"2", document]), ex=3600)
    stage.start_worker()
    stage.wait_some(names_of(orders))
    stage.server.kill()
    time.sleep(1)
    stage.server.start()
    stage.assert_true(names_of(orders))
    assert [] == stage.dead_letters()
