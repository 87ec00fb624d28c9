"""The accounts file and a real worker: its rates hold from the first send on, and its changes while a bulk is under way."""

import time
from functools import partial

import pytest

from neo_cancel import CancelOrder, Status
from tests.fault.rig import PATIENT, Rig
from worker.ops.process import wait_until
from worker.sandbox.journal import busiest_second
from worker.sandbox.process import running_sandbox

SEEN_SECONDS = 1.2
"""A change holds from then on: it is seen within half a second, then calls under way end."""

wait = partial(wait_until, timeout_seconds=PATIENT)


@pytest.fixture
def rig(redis_url, tmp_path):
    with running_sandbox() as sandbox:
        yield Rig(sandbox, redis_url, tmp_path)


def orders(rig, ucc, count, lane="routine"):
    """Make open orders; answer the wish to cancel them."""
    made = rig.sandbox.generate_orders(ucc, count)
    return [CancelOrder(ucc=ucc, order_number=order["order_number"], lane=lane, deadline_seconds=170) for order in made]


def sent(rig, since=None):
    """When cancels came to the broker, in seconds."""
    return [call["monotonic"] for call in rig.sandbox.requests(endpoint="cancel", since=since)]


def test_a_fresh_worker_never_sends_above_an_account_s_own_rate(rig):
    """One account was there when the worker started, the other is written just before its first order."""
    rig.open_account("AB123", orders_per_second=2)
    with rig.worker(NEO_CANCEL_ORDERS_PER_SECOND="8") as producer:
        rig.open_account("CD456", orders_per_second=2)
        wishes = [order for ucc in ("AB123", "CD456") for order in orders(rig, ucc, 8, lane="risk")]
        status = producer.enqueue_many(wishes).wait(PATIENT)
    assert {Status.CANCELLED: 16} == dict(status.counts)
    assert {"AB123": 2, "CD456": 2} == rig.sandbox.stats()["busiest_second"]


@pytest.mark.parametrize("lane", ["routine", "risk"])
def test_a_rate_that_is_lowered_while_a_bulk_is_under_way_holds_within_a_second(rig, lane):
    rig.open_account("AB123", orders_per_second=8)
    with rig.worker() as producer:
        bulk = producer.enqueue_many(orders(rig, "AB123", 24, lane=lane))
        wait(lambda: len(sent(rig)) >= 6, "some to be sent")
        rig.put("AB123", rig.accounts["AB123"] | {"orders_per_second": 2})
        since = time.time() + SEEN_SECONDS
        status = bulk.wait(PATIENT)
    after = sent(rig, since)
    assert {Status.CANCELLED: 24} == dict(status.counts)
    assert len(after) > 4
    assert busiest_second(after) <= 2


@pytest.mark.parametrize("blank", [True, False], ids=["blanked", "removed"])
def test_orders_of_an_account_whose_session_ends_wait_for_another(rig, blank):
    """Nothing is sent meanwhile, and none is lost. The old session still works: only the file ends its use."""
    rig.open_account("AB123", orders_per_second=20)
    account = rig.accounts["AB123"]
    with rig.worker() as producer:
        bulk = producer.enqueue_many(orders(rig, "AB123", 80))
        wait(lambda: len(sent(rig)) >= 6, "some to be sent")
        rig.accounts = {"AB123": account | {"sid": "", "auth": ""}} if blank else {}
        rig.write()
        wait(lambda: any(record.waiting_for == "session" for record in bulk.records()), "an order without a session")
        before = len(sent(rig))
        wait(lambda: sum(record.waiting_for == "session" for record in bulk.records()) >= 5, "more without a session")
        assert before == len(sent(rig))
        rig.put("AB123", account)
        status = bulk.wait(PATIENT)
    assert {Status.CANCELLED: 80} == dict(status.counts)
    assert [] == rig.logged("accounts file not readable")


def test_a_session_that_is_rotated_is_used_though_the_old_one_still_works(rig):
    """The new one is at another broker with the same orders, where its calls can be told from those of the old one."""
    rig.open_account("AB123", orders_per_second=8)
    wishes = orders(rig, "AB123", 12)
    with running_sandbox() as other, rig.worker() as producer:
        session = other.create_account("AB123")
        other.create_orders([{"ucc": "AB123", "order_number": order.order_number} for order in wishes])
        bulk = producer.enqueue_many(wishes)
        wait(lambda: len(sent(rig)) >= 3, "some to be sent")
        rig.put("AB123", {"base_url": session.base_url, "sid": session.sid, "auth": session.auth})
        wait(lambda: len(other.requests(endpoint="cancel")) > 0, "a call with the new session")
        bulk.wait(PATIENT)
    assert {200} == {call["status"] for call in rig.sandbox.requests(endpoint="cancel")}
