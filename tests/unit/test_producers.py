"""Both producers on a stand-in for Redis that runs the same Lua: one text tests the twins."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest

from neo_cancel import (
    AsyncCancelProducer,
    CancelOrder,
    CancelProducer,
    LedgerRefusedError,
    LedgerUnavailableError,
    OpenBulk,
    Status,
    UnknownOrderError,
    WaitTimeoutError,
)
from neo_cancel.aio.ledger import AsyncLedger
from neo_cancel.keys import EVENTS, WORKERS, batch_key, named_key
from neo_cancel.sync.ledger import Ledger
from neo_cancel.waiting import Pending
from tests.unit.blocking import Blocking

URL = "redis://user:s3same@stand-in.invalid"
NAME = "AB123:251015000123451"


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def client(server) -> Iterator[fakeredis.FakeRedis]:
    with fakeredis.FakeRedis(server=server) as made:
        yield made


@pytest.fixture(params=["sync", "async"])
def producer(request, server) -> Iterator[Any]:
    """Make a producer whose Redis is the stand-in."""
    if request.param == "sync":
        with CancelProducer(URL) as made:
            made._ledger = Ledger(fakeredis.FakeRedis(server=server), made.address)
            yield made.connect()
        return
    with asyncio.Runner() as runner:
        twin = AsyncCancelProducer(URL)
        twin._ledger = AsyncLedger(fakeredis.FakeAsyncRedis(server=server), twin.address)
        with Blocking(twin, runner) as made:
            yield made.connect()


@pytest.fixture
def end(client) -> Callable[..., None]:
    """Make an order final, as a worker does: its record, and an event."""

    def one(name: str, status: str = "cancelled", **fields: Any) -> None:
        ucc, _, number = name.partition(":")
        document = json.dumps({"ucc": ucc, "order_number": number, **fields})
        client.set(named_key(name), f"{status} 1 - {time.time() * 1000:.0f} 1 0 {document}")
        client.xadd(EVENTS, {"ended": f"{name} {status}"})

    return one


def order(number: int = 1, **fields: Any) -> CancelOrder:
    return CancelOrder(ucc="AB123", order_number=f"25101500012345{number}", **fields)


def test_an_accepted_order_is_in_the_ledger_and_in_its_lane(producer, client):
    handle = producer.enqueue(order(lane="risk", reason="stop"))
    assert ("queued", "stop") == (handle.status().status, handle.status().reason)
    assert (1, 0) == (client.llen("risk"), client.llen("routine"))


def test_a_second_request_attaches_and_a_dead_order_is_answered(producer, client, end):
    producer.enqueue_many([order(1), order(2)])
    end(NAME, filled_quantity=5)
    bulk = producer.enqueue_many([order(n) for n in (1, 2, 3, 3)])
    assert (3, 1, 1, 1) == (len(bulk), bulk.duplicates, bulk.attached, bulk.answered)
    assert 5 == producer.order("AB123", order(1).order_number).wait(1).filled_quantity
    assert 2 == client.llen("routine")


def test_a_bulk_is_found_by_its_id_with_each_order_once(producer, client):
    """A chunk whose answer got lost was sent again and stands in the list twice."""
    bulk = producer.enqueue_many([order(1), order(2)])
    client.rpush(batch_key(bulk.batch), NAME)
    again = producer.bulk(bulk.batch)
    assert (bulk.names, 0, 0, 0) == (again.names, again.duplicates, again.attached, again.answered)


def test_records_come_in_the_order_of_the_bulk_with_none_for_one_that_is_gone(producer, client, end):
    bulk = producer.enqueue_many([order(1), order(2), order(3)])
    end(NAME, "filled")
    client.delete(named_key(bulk.names[1]))
    assert ["filled", None, "queued"] == [record and str(record.status) for record in bulk.records()]
    status = bulk.status()
    assert (3, 1, 1) == (status.asked, status.missing, status.pending)


@pytest.mark.parametrize(
    "ask", [lambda p: p.look_up("AB123", "1"), lambda p: p.bulk("b"), lambda p: p.order("A", "1").wait(0.01)]
)
def test_what_the_ledger_does_not_know_is_an_error(producer, ask):
    with pytest.raises(UnknownOrderError):
        ask(producer)


def test_each_order_is_a_result_once(producer, end):
    bulk = producer.enqueue_many([order(1), order(2)])
    for name in (*bulk.names, NAME):
        end(name)
    assert sorted(bulk.names) == sorted(record.key for record in bulk)
    assert bulk.wait(1).is_complete
    assert Status.CANCELLED == producer.order("AB123", order().order_number).wait(1).status


def test_a_wait_goes_on_from_event_to_event_until_its_time_is_up(producer, client, end):
    bulk = producer.enqueue_many([order(1), order(2)])
    results = bulk.results(0.3)
    end(NAME)
    assert NAME == next(results).key
    client.xadd(EVENTS, {"ended": "ZZ999:251015000123459 filled"})
    assert [] == list(results)


def test_a_wait_that_is_not_over_says_so(producer):
    with pytest.raises(WaitTimeoutError, match=f"order {NAME} is still queued after 0.01 s"):
        producer.enqueue(order()).wait(0.01)
    with pytest.raises(WaitTimeoutError, match=r"1 of 1 orders are not final after 0\.01 s"):
        producer.enqueue_many([order()]).wait(0.01)


def test_a_wait_for_a_bulk_ends_when_records_are_past_their_time_to_live(producer, client, end):
    bulk = producer.enqueue_many([order(1), order(2)])
    end(NAME)
    client.delete(named_key(bulk.names[1]))
    status = bulk.wait(1)
    assert (1, False) == (status.missing, status.is_complete)


class Still(Pending):
    """A waiter for whom nothing has moved for long."""

    def is_still(self) -> bool:
        return True


@pytest.mark.parametrize(("lease_ms", "text"), [(-1000, "no worker is alive"), (60_000, "workers alive: 1")])
def test_a_wait_in_which_nothing_moves_counts_the_leases_that_hold(producer, client, caplog, lease_ms, text):
    """A lease that ran out is a dead worker's; one that signed off has 0."""
    client.zadd(WORKERS, {"w1": time.time() * 1000 + lease_ms, "w2": 0})
    producer._ledger.warn_if_still(Still([NAME], None))
    assert [True] == [text in message for message in caplog.messages]


def test_events_of_every_order_from_the_beginning(producer, end):
    for number in (1, 2):
        end(f"AB123:25101500012345{number}", "filled")
    assert ["filled", "filled"] == [record.status for record in producer.events(since="0-0", timeout_seconds=0.01)]


def test_events_from_now_on_leave_out_what_was_before(producer, end):
    end(NAME)
    assert [] == list(producer.events(timeout_seconds=0.01))


def test_an_order_that_was_enqueued_again_since_its_event_is_left_out(producer, client, end):
    end(NAME, "refused")
    producer.enqueue(order())
    assert [] == list(producer.events(since="0-0", timeout_seconds=0.01))


def test_a_server_that_lost_the_scripts_gets_them_again(producer, client):
    client.script_flush()
    assert 0 == producer.enqueue_many([order(1), order(2)]).attached
    assert 1 == client.llen("routine")


CALLS: list[Callable[[Any], object]] = [
    lambda p: p.connect(),
    lambda p: p.enqueue(order()),
    lambda p: p.enqueue_many([order()]),
    lambda p: p.look_up("AB123", "1"),
    lambda p: p.bulk("b"),
    lambda p: p.read_records([NAME]),
    lambda p: p.order("AB123", "1").wait(),
    lambda p: next(p.events()),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_is_away_is_an_error_of_every_call(producer, server, call):
    server.connected = False
    with pytest.raises(LedgerUnavailableError, match=r"Redis at redis://stand-in\.invalid cannot be reached") as caught:
        call(producer)
    assert "s3same" not in str(caught.value)


def test_what_the_server_refuses_is_an_error(producer, client):
    client.set("routine", "not a list")
    with pytest.raises(LedgerRefusedError, match="refuses"):
        producer.enqueue(order())


def test_a_bulk_that_is_cut_off_names_itself_and_what_was_accepted(producer, client):
    """The risk order comes first and is taken; Redis refuses the other lane."""
    client.set("routine", "not a list")
    orders = [order(1), order(2, lane="risk")]
    with pytest.raises(LedgerRefusedError, match="refuses") as caught:
        producer.enqueue_many(orders)
    error = caught.value
    assert 1 == error.accepted
    assert (order(2).order_number,) == tuple(name[6:] for name in producer.bulk(error.batch).names)
    assert f"bulk {error.batch} was cut off: 1 of 2 orders are accepted for certain" in str(error)
    assert "repeat the whole bulk, nothing doubles" in str(error)
    client.delete("routine")
    assert 1 <= producer.enqueue_many(orders).attached
    assert 1 == client.llen("risk")


def test_a_bulk_that_reaches_no_server_names_itself_too(producer, server):
    server.connected = False
    with pytest.raises(LedgerUnavailableError, match="0 of 1 orders are accepted") as caught:
        producer.enqueue_many([order()])
    assert (36, 0) == (len(caught.value.batch), caught.value.accepted)


def test_the_pieces_of_a_bulk_have_one_id(producer, client):
    bulk = OpenBulk()
    names = [*producer.enqueue_piece([order(1), order(2)], bulk), *producer.enqueue_piece([order(2), order(3)], bulk)]
    assert (3, 4, 1) == (len(set(names)), bulk.accepted, bulk.counts["attached"])
    assert tuple(dict.fromkeys(names)) == producer.bulk(bulk.batch).names


def test_the_messages_of_an_account_are_counted_over_all_pieces(producer, client):
    """Beyond eight, the orders wait in the account's backlog."""
    bulk = OpenBulk()
    for piece in range(5):
        orders = [CancelOrder(ucc="AB123", order_number=f"25101500{piece}{n:06}") for n in range(120)]
        producer.enqueue_piece(orders, bulk)
    assert (9, 260) == (client.llen("routine"), client.llen("nc:backlog:routine:AB123"))


def test_handles_name_their_orders(producer):
    bulk = producer.enqueue_many([order(1), order(2)])
    assert f"OrderHandle({NAME})" == repr(producer.enqueue(order())).removeprefix("Async")
    assert f"BulkHandle({bulk.batch}, 2 orders)" == repr(bulk).removeprefix("Async")
    one = producer.enqueue_many([order(3)])
    assert f"BulkHandle({one.batch}, 1 order)" == repr(one).removeprefix("Async")
