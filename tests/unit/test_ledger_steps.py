"""The ledger's steps, fast, on a stand-in for Redis that runs the same Lua."""

import json
import time

import fakeredis
import pytest

from neo_cancel import CancelOrder
from neo_cancel.record import OrderRecord
from tests.accepting import accept_call
from worker.ledger.keys import ROUTINE_QUEUED, WORKERS, backlog_key, front_key
from worker.ledger.steps import Asked, PutBack, claim_call, lost_call, requeue_call


@pytest.fixture
def server():
    with fakeredis.FakeRedis() as client:
        yield client


def order(number: int = 1, **fields) -> CancelOrder:
    return CancelOrder(ucc="AB123", order_number=f"25101500012345{number}", **fields)


def run(server, call):
    return server.eval(call.script.text, len(call.keys), *call.keys, *call.arguments)


def enqueue(server, *orders: CancelOrder) -> list[int]:
    return run(server, accept_call(orders, batch="b1", ttl_seconds=60))


def claim(server, *names: str, lane: str = "routine", worker: str = "w1", at_most: int = 100) -> list[bytes]:
    server.zadd(WORKERS, {worker: 1})
    return run(server, claim_call(worker, lane, [Asked("AB123", names, at_most)]))


def put_back(server, number: int, *, fence: int = 1, owner: str = "w1", crashes: int = 0, to_end: bool = False) -> int:
    """Put one order back into the routine queue, as recovery does for a dead worker."""
    orders = [PutBack("AB123", order(number).order_number, fence, json.dumps(order(number).to_wire()))]
    call = requeue_call(lane="routine", owner=owner, orders=orders, why="died", crashes=crashes, to_end=to_end)
    return run(server, call)


def lost(server) -> list[bytes]:
    """Name whose message is gone, with no patience for messages on their way."""
    return run(server, lost_call("routine", pickup_ms=0, at_most=100))


def waiting(server) -> list[tuple[list[int], int]]:
    """Read the routine queue from its front: the last digits of each message's orders, and its time."""
    read = []
    for message in map(json.loads, reversed(server.lrange("routine", 0, -1))):
        wires = json.loads(message["body"])[0][0]["orders"]
        read.append(([int(wire["order_number"][-1]) for wire in wires], message["headers"]["enqueued_ms"]))
    return read


def queued_at(server, *times_ms: int) -> None:
    """Write one order after the other, 1 and on, as if each had been enqueued at its time."""
    for number, at in enumerate(times_ms, start=1):
        enqueue(server, order(number))
        message = json.loads(server.lpop("routine"))
        message["headers"]["enqueued_ms"] = at
        server.lpush("routine", json.dumps(message))
        server.zadd(ROUTINE_QUEUED, {f"AB123:{order(number).order_number}": at})


def take(server, number: int, worker: str = "w1") -> None:
    """Read the message at the front and claim its order."""
    server.rpop("routine")
    assert claim(server, f"AB123:{order(number).order_number}", worker=worker)[0].startswith(b"sending ")


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


@pytest.mark.parametrize(("status", "answer"), [("blocked", b"blocked"), ("filled", b"filled"), ("waiting", b"")])
@pytest.mark.parametrize("owner", ["-", "w2"])
def test_of_an_order_that_has_ended_a_claim_answers_the_status(server, status, owner, answer):
    """Also while another worker watches it; of one that is only in other hands it answers nothing."""
    document = json.dumps(order().to_wire())
    server.set("nc:order:AB123:251015000123451", f"{status} 3 {owner} 1000 1 0 {document}")
    assert [answer] == claim(server, "AB123:251015000123451", lane="risk")


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
    server.set("nc:order:AB123:251015000123451", f"{status} 3 - {time.time() * 1000:.0f} 1 2 {document}")
    assert [answer] == enqueue(server, order())
    record = OrderRecord.decode(server.get("nc:order:AB123:251015000123451"))
    assert ("queued" if answer == 0 else status) == record.status
    assert (3, True) == (record.fence, record.maybe_sent)


def test_what_is_put_back_is_read_before_what_nobody_had(server):
    """And it speaks for the time of the message it was put before: times never fall from the front to the end."""
    queued_at(server, 1000, 2000, 3000)
    take(server, 1)
    put_back(server, 1)
    assert [([1], 2000), ([2], 2000), ([3], 3000)] == waiting(server)
    assert [] == lost(server)


def test_who_was_put_back_first_is_not_called_lost_behind_who_was_put_back_later(server):
    """The later one was accepted later: a message with its time would declare those behind it lost."""
    queued_at(server, 1000, 2000, 3000)
    take(server, 1)
    take(server, 2, worker="w2")
    put_back(server, 1)
    put_back(server, 2, owner="w2")
    assert [[2], [1], [3]] == [numbers for numbers, _ in waiting(server)]
    assert sorted(at for _, at in waiting(server)) == [at for _, at in waiting(server)]
    assert [] == lost(server)


def test_a_message_that_was_put_back_and_vanished_is_missed_as_soon_as_the_queue_moves_on(server):
    """Long before the queue is worked off."""
    queued_at(server, 1000, 2000, 3000)
    take(server, 1)
    put_back(server, 1)
    server.rpop("routine")
    assert [] == lost(server)  # as old as the front: it may still be on its way
    take(server, 2)
    assert [b"AB123:251015000123451"] == lost(server)


def test_before_an_empty_queue_what_is_put_back_waits_from_now_on(server):
    queued_at(server, 1000)
    take(server, 1)
    put_back(server, 1)
    assert waiting(server)[0][1] == server.zscore(ROUTINE_QUEUED, "AB123:251015000123451") > 1_000_000


def test_a_message_by_hand_at_the_front_says_no_time(server):
    """Then the time of acceptance does: it is hardly later than that of whoever still waits."""
    queued_at(server, 1000, 2000)
    take(server, 1)
    server.rpush("routine", '{"headers": {}, "body": "[[{\\"orders\\": []}]]"}')
    accepted = json.loads(claim(server, "AB123:251015000123451")[0].split(b" ")[3])
    put_back(server, 1)
    assert accepted == json.loads(server.lindex("routine", -1))["headers"]["enqueued_ms"]


def test_what_goes_to_the_end_is_read_last(server):
    queued_at(server, 1000, 2000)
    take(server, 1)
    put_back(server, 1, to_end=True)
    assert [[2], [1]] == [numbers for numbers, _ in waiting(server)]
    assert [] == lost(server)


def test_a_message_that_was_just_read_is_not_lost(server):
    """Its orders are about to be claimed, although the front has moved beyond them."""
    queued_at(server, 1000, 2000)
    look = lost_call("routine", pickup_ms=60_000, at_most=100)
    server.rpush(front_key("routine"), "5000 1000")
    server.rpop("routine")
    assert [] == run(server, look)
    server.delete(front_key("routine"))
    assert [] == run(server, look)
    assert [b"AB123:251015000123451"] == lost(server)


@pytest.mark.parametrize(("crashes", "place"), [(0, 0), (1, 0), (2, 2)])
def test_in_a_backlog_too_what_a_worker_had_goes_first(server, crashes, place):
    """Unless two deaths point at it."""
    queued_at(server, 1000, 2000, 3000)
    take(server, 1)
    put_back(server, 1, crashes=crashes)
    backlog = backlog_key("routine", "AB123")
    for number in (2, 3, 1):
        claim(server, f"AB123:{order(number).order_number}", at_most=-1)
    assert place == server.lrange(backlog, 0, -1).index(b"AB123:251015000123451")


@pytest.mark.parametrize(
    ("crashes", "at_most", "is_taken"), [(0, 0, True), (1, 0, True), (2, 0, False), (0, -1, False)]
)
def test_what_may_have_been_sent_is_taken_without_room(server, crashes, at_most, is_taken):
    """Nobody knows what became of it, and a look takes no turn; what two deaths point at waits for its turn all the same."""
    queued_at(server, 1000, 2000)
    take(server, 1)
    put_back(server, 1, crashes=crashes)
    names = [f"AB123:{order(number).order_number}" for number in (2, 1)]
    fresh, returned = claim(server, *names, worker="w2", at_most=at_most)
    assert (False, is_taken) == (fresh != b"backlog", returned != b"backlog")
    left = server.lrange(backlog_key("routine", "AB123"), 0, -1)
    assert {
        name.encode() for name, answer in zip(names, (fresh, returned), strict=True) if answer == b"backlog"
    } == set(left)
