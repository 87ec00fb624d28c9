"""The ledger's steps, fast, on a stand-in for Redis that runs the same Lua."""

import json

import fakeredis
import pytest

from neo_cancel import CancelOrder
from neo_cancel.ledger import RISK_QUEUED, ROUTINE_QUEUED, WORKERS, enqueue_call, load_script, named_key
from neo_cancel.record import OrderRecord


@pytest.fixture
def server():
    with fakeredis.FakeRedis() as client:
        yield client


def order(number: int = 1, **fields) -> CancelOrder:
    return CancelOrder(ucc="AB123", order_number=f"25101500012345{number}", **fields)


def enqueue(server, *orders: CancelOrder) -> list[int]:
    call = enqueue_call(orders, batch="b1", ttl_seconds=60)
    return server.eval(load_script("enqueue").text, len(call.keys), *call.keys, *call.arguments)


def claim(server, *names: str, lane: str = "routine", worker: str = "w1") -> list[bytes]:
    server.zadd(WORKERS, {worker: 1})
    fixed = [f"nc:held:{worker}", RISK_QUEUED, ROUTINE_QUEUED, f"nc:taken:{worker}"]
    keys = [*fixed, *map(named_key, names)]
    return server.eval(load_script("claim").text, len(keys), *keys, worker, lane, "")


def test_enqueueing_writes_record_queue_entry_message_and_batch_in_one_step(server):
    assert [0, 0] == enqueue(server, order(1), order(2))
    assert 1 == server.llen("routine")
    assert 2 == server.zcard(ROUTINE_QUEUED)
    assert [b"AB123:251015000123451", b"AB123:251015000123452"] == server.lrange("nc:batch:b1", 0, -1)
    record = OrderRecord.decode(server.get("nc:order:AB123:251015000123451"))
    assert ("queued", 0, None, "b1") == (record.status, record.fence, record.owner, record.batch)


def test_the_message_carries_the_time_of_acceptance(server):
    """Recovery tells a waiting message from a lost one by this number."""
    enqueue(server, order())
    message = json.loads(server.lindex("routine", 0))
    record = OrderRecord.decode(server.get("nc:order:AB123:251015000123451"))
    assert record.enqueued_at == message["headers"]["enqueued_ms"] / 1000


def test_a_second_request_attaches_without_a_second_message(server):
    enqueue(server, order())
    assert [1] == enqueue(server, order())
    assert 1 == server.llen("routine")


def test_an_order_asked_for_again_as_risk_is_called_in_the_risk_lane(server):
    enqueue(server, order())
    assert [1] == enqueue(server, order(lane="risk"))
    assert (1, 1) == (server.llen("routine"), server.llen("risk"))


def test_a_claim_takes_an_order_once(server):
    enqueue(server, order())
    first = claim(server, "AB123:251015000123451")
    assert first[0].startswith(b"sending 1 w1 ")
    assert [b""] == claim(server, "AB123:251015000123451", worker="w2")
    assert 0 == server.zcard(ROUTINE_QUEUED)


def test_an_order_the_ledger_does_not_know_is_called_missing(server):
    assert [b"missing"] == claim(server, "AB123:251015000123459")


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        *[(dead, 2) for dead in ("cancelled", "already_cancelled", "filled", "gone")],
        *[(ended, 0) for ended in ("not_found", "refused", "blocked", "expired", "unknown")],
        *[(working, 1) for working in ("queued", "sending", "verifying", "waiting")],
    ],
)
def test_a_further_request_depends_on_what_is_known(server, status, answer):
    """Dead orders are answered, working ones attached to, and whatever may still work is tried again."""
    document = json.dumps(order().to_wire())
    server.set("nc:order:AB123:251015000123451", f"{status} 3 - 1000 1 2 {document}")
    assert [answer] == enqueue(server, order())
    record = OrderRecord.decode(server.get("nc:order:AB123:251015000123451"))
    assert ("queued" if answer == 0 else status) == record.status
    assert (3, True) == (record.fence, record.maybe_sent)
