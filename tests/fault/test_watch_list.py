"""Orders that ended while they may still work: what is done about them until the trading day ends."""

import pytest
import redis

from neo_cancel.keys import WATCH, named_key
from neo_cancel.record import OrderRecord, Status, split
from tests.fault.rig import PATIENT, asked
from worker.ops.process import wait_until

THREE_DAYS_MS = 3 * 86_400_000


@pytest.fixture
def ledger(rig):
    with redis.Redis.from_url(rig.redis_url) as client:
        yield client


def later(events, record):
    """Wait for the event that tells of another status."""
    return next(news for news in events if news.key == record.key and news.status is not record.status)


@pytest.mark.parametrize("after_effect", [True, False])
def test_the_watch_list_replaces_unknown_by_proof(rig, producer, ucc, after_effect):
    """Silence and no book: unknown. When the broker is back: the truth, both times kept, a second event."""
    number = rig.make(ucc)
    rig.sandbox.add_fault("reset", on="cancel", ucc=ucc, after_effect=after_effect)
    rig.sandbox.add_fault("reset", on="reads", ucc=ucc)
    handle = producer.enqueue(asked(ucc, number, deadline=1.5))
    first = handle.wait(PATIENT)
    events = producer.events(timeout_seconds=PATIENT)
    rig.sandbox.clear_faults()
    proof = next(record for record in events if record.order_number == number and record.status is not Status.UNKNOWN)
    assert (Status.UNKNOWN, None, False) == (first.status, first.first_final_at, first.verified)
    assert (Status.CANCELLED, first.final_at, True) == (proof.status, proof.first_final_at, proof.verified)
    assert proof.final_at > proof.first_final_at
    assert "api" == rig.sandbox.lookup([number])[number]["cancelled_by"]


def test_the_watch_list_cancels_what_the_broker_was_silent_about(rig, producer, ucc):
    """No reply to any cancel and no book at all: when cancels are answered again, the broker's word ends it."""
    number = rig.make(ucc)
    rig.sandbox.add_fault("reset", on="cancel", ucc=ucc)
    rig.sandbox.add_fault("reply", on="reads", ucc=ucc, name="no book", status=404, body="no such page")
    first = producer.enqueue(asked(ucc, number, deadline=1.5)).wait(PATIENT)
    events = producer.events(timeout_seconds=PATIENT)
    rig.sandbox.clear_faults()
    rig.sandbox.add_fault("reply", on="reads", ucc=ucc, name="no book", status=404, body="no such page")
    ended = later(events, first)
    assert (Status.UNKNOWN, Status.CANCELLED, False) == (first.status, ended.status, ended.verified)
    assert "api" == rig.sandbox.lookup([number])[number]["cancelled_by"]


@pytest.mark.parametrize("variety", ["regular", "bracket", "cover"])
def test_the_watch_list_finds_out_that_there_is_no_such_order(rig, producer, ucc, variety):
    """Silence; then a readable book of other orders without it, and a broker that says no."""
    rig.make(ucc)
    rig.sandbox.add_fault("reset", on="cancel", ucc=ucc)
    rig.sandbox.add_fault("reset", on="reads", ucc=ucc)
    first = producer.enqueue(asked(ucc, "260722999999999", deadline=1.5, variety=variety)).wait(PATIENT)
    events = producer.events(timeout_seconds=PATIENT)
    rig.sandbox.clear_faults()
    ended = later(events, first)
    assert (Status.UNKNOWN, Status.NOT_FOUND, True) == (first.status, ended.status, ended.verified)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (Status.REFUSED, {"fault": "refuse_late", "reason": "RMS: circuit limit"}),
        (Status.BLOCKED, {"fault": "preset", "preset": "100008"}),
    ],
)
def test_refused_and_blocked_orders_are_watched_if_asked(rig, producer, ucc, status, fault):
    """An account may wish so: when the exchange's limit or the missing whitelist entry is gone, the order is cancelled."""
    rig.open_account(ucc, watch_refused=True)
    number = rig.make(ucc)
    rig.sandbox.add_faults([fault | {"on": "cancel", "ucc": ucc}])
    first = producer.enqueue(asked(ucc, number, deadline=2.0)).wait(PATIENT)
    events = producer.events(timeout_seconds=PATIENT)
    rig.sandbox.clear_faults()
    ended = later(events, first)
    assert (status, Status.CANCELLED, True) == (first.status, ended.status, ended.verified)
    assert (first.final_at, True) == (ended.first_final_at, ended.final_at > first.final_at)


def test_refused_orders_are_left_alone_otherwise(rig, producer, ucc, ledger):
    """A definite no is an answer, and nobody asked for more."""
    rig.sandbox.add_fault("preset", on="cancel", ucc=ucc, preset="1113")
    record = producer.enqueue(asked(ucc, rig.make(ucc))).wait(PATIENT)
    assert (Status.REFUSED, None) == (record.status, ledger.zscore(WATCH, record.key))


def test_what_the_broker_refused_for_good_is_read_and_not_asked_for_again(rig, producer, ucc):
    """Watched by request: its end is noticed, and no second cancel is sent meanwhile."""
    rig.open_account(ucc, watch_refused=True)
    number = rig.make(ucc)
    rig.sandbox.add_fault("preset", on="cancel", ucc=ucc, preset="1113")
    first = producer.enqueue(asked(ucc, number)).wait(PATIENT)
    events = producer.events(timeout_seconds=PATIENT)
    reads = len(rig.sandbox.requests(ucc=ucc))
    wait_until(lambda: len(rig.sandbox.requests(ucc=ucc)) >= reads + 3, "looks at it", timeout_seconds=PATIENT)
    rig.sandbox.set_state(number, "complete")
    ended = later(events, first)
    assert (Status.REFUSED, Status.FILLED) == (first.status, ended.status)
    assert 1 == len(rig.sandbox.requests(ucc=ucc, endpoint="cancel"))


def test_the_watch_ends_with_the_trading_day(rig, producer, ucc, ledger):
    """Two orders that stay unknown; one was accepted three days ago: it is looked at once more, and no cancel is sent."""
    old, new = rig.make(ucc), rig.make(ucc)
    rig.sandbox.add_fault("reset", on="cancel", ucc=ucc)
    rig.sandbox.add_fault("reset", on="reads", ucc=ucc)
    handles = [producer.enqueue(asked(ucc, number, deadline=1.5)) for number in (old, new)]
    assert [Status.UNKNOWN] * 2 == [handle.wait(PATIENT).status for handle in handles]
    old_name = f"{ucc}:{old}"
    wait_until(lambda: make_older(ledger, old_name), "a moment in which nobody looks at it", timeout_seconds=PATIENT)
    cancels = cancels_of(rig, ucc, old)
    wait_until(
        lambda: ledger.zscore(WATCH, old_name) is None and record_of(ledger, old_name).owner is None,
        "the last look",
        timeout_seconds=PATIENT,
    )
    before = cancels_of(rig, ucc, new)
    wait_until(lambda: cancels_of(rig, ucc, new) > before, "the other one to be watched on", timeout_seconds=PATIENT)
    assert (Status.UNKNOWN, cancels) == (record_of(ledger, old_name).status, cancels_of(rig, ucc, old))
    assert ledger.zscore(WATCH, old_name) is None


def cancels_of(rig, ucc, number):
    return sum(call["order_number"] == number for call in rig.sandbox.requests(ucc=ucc, endpoint="cancel"))


def record_of(ledger, name):
    return OrderRecord.decode(ledger.get(named_key(name)))


def make_older(ledger, name):
    """Write the record as if the order had been accepted days ago; not while a worker holds it."""
    with ledger.pipeline() as pipeline:
        pipeline.watch(named_key(name))
        value = pipeline.get(named_key(name))
        header, _ = split(value)
        if header.owner is not None:
            return False
        words = value.split(b" ", 6)
        words[3] = str(header.enqueued_ms - THREE_DAYS_MS).encode()
        pipeline.multi()
        pipeline.set(named_key(name), b" ".join(words), keepttl=True)
        try:
            pipeline.execute()
        except redis.WatchError:
            return False
        return True
