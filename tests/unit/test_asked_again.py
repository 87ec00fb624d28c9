"""An order that is asked for again on a later trading day: its number may be another order's by now."""

import random
import re
import time

import fakeredis
import pytest

from neo_cancel import CancelOrder, Status
from neo_cancel.keys import WATCH, named_key
from neo_cancel.record import DEAD, OrderRecord
from neo_cancel.scripts import load_script
from tests.accepting import accept_call
from worker.ledger.keys import WORKERS
from worker.ledger.steps import Asked, Entry, claim_call, record_call
from worker.orders.trading_day import is_day_over

ORDER = CancelOrder(ucc="AB123", order_number="251015000123451")
NAME = f"{ORDER.ucc}:{ORDER.order_number}"
DAY_MS = 86_400_000
OLD = '{"ucc": "AB123", "order_number": "251015000123451", "attempts": 3, "first_sent_at": 5.5, "verified": true}'


@pytest.fixture
def server():
    with fakeredis.FakeRedis() as client:
        client.zadd(WORKERS, {"w1": 1, "w2": 1})
        yield client


def run(server, call):
    return server.eval(call.script.text, len(call.keys), *call.keys, *call.arguments)


def ask(server):
    return run(server, accept_call([ORDER], batch=None, ttl_seconds=60))[0]


def claim(server, worker):
    return run(server, claim_call(worker, "routine", [Asked(ORDER.ucc, [NAME], 1)]))[0]


def left_by(server, status, *, days_ago, owner="-", fence=4):
    """Write what an earlier job left, accepted so many days ago."""
    accepted_ms = int(time.time() * 1000) - days_ago * DAY_MS
    server.set(named_key(NAME), f"{status} {fence} {owner} {accepted_ms} 1 2 {OLD}", ex=60)


def record(server):
    return OrderRecord.decode(server.get(named_key(NAME)))


@pytest.mark.parametrize("status", sorted(DEAD))
def test_a_proof_answers_on_its_own_trading_day(server, status):
    left_by(server, status, days_ago=0)
    assert (2, status) == (ask(server), record(server).status)
    assert 0 == server.llen("routine")


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.SENDING, Status.VERIFYING, Status.WAITING}))
@pytest.mark.parametrize("days_ago", [2, 6])
def test_on_a_later_day_the_order_begins_anew_and_keeps_the_fence_alone(server, status, days_ago):
    left_by(server, status, days_ago=days_ago)
    server.zadd(WATCH, {NAME: 1})
    assert (0, 1) == (ask(server), server.llen("routine"))
    fresh = record(server)
    assert (Status.QUEUED, 4, False, 0) == (fresh.status, fresh.fence, fresh.maybe_sent, fresh.crashes)
    assert (0, None, False) == (fresh.attempts, fresh.first_sent_at, fresh.verified)
    assert time.time() - fresh.enqueued_at < 60


@pytest.mark.parametrize("status", [Status.SENDING, Status.UNKNOWN])
def test_a_writer_of_the_old_day_cannot_overwrite_the_new_one(server, status):
    """Nor can it before the new order is claimed: its record has no owner, though the same fence."""
    left_by(server, status, days_ago=2, owner="w1" if status is Status.UNKNOWN else "-")
    ask(server)
    old = Entry(named_key(NAME), 4, f"cancelled 4 - 1 1 0 {OLD}")
    assert [0] == run(server, record_call("w1", [old], ttl_seconds=60))
    claim(server, "w2")
    assert [0] == run(server, record_call("w1", [old], ttl_seconds=60))
    assert (5, "w2") == (record(server).fence, record(server).owner)


def test_what_a_worker_holds_since_yesterday_is_attached_to(server):
    left_by(server, "sending", days_ago=2, owner="w1")
    assert (1, 4, "w1") == (ask(server), record(server).fence, record(server).owner)


def test_the_scripts_know_the_end_of_a_trading_day_as_the_workers_do(server):
    """Within a second of midnight in India and of 16:00, and anywhere else."""
    function = re.search(r"local function is_day_over.*?\nend", load_script("neo_cancel", "enqueue").text, re.DOTALL)
    text = f"{function[0]} return is_day_over(ARGV[1], tonumber(ARGV[2])) and 1 or 0"
    draw = random.Random(11)
    for _ in range(300):
        accepted = draw.randrange(20_000) * DAY_MS + draw.choice([66_600_000, 37_800_000]) + draw.randint(-1000, 1000)
        now = accepted + draw.choice([draw.randrange(3 * DAY_MS), DAY_MS + draw.randint(-9, 9) * 3_600_000])
        assert is_day_over(accepted / 1000, now / 1000) == bool(server.eval(text, 0, accepted, now))
