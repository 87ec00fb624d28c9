"""The producer against a real server: accepted once, answered truly, and honest about a server that is ill."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import pytest
import redis

from neo_cancel import (
    CancelOrder,
    CancelProducer,
    InvalidOrderError,
    LedgerRefusedError,
    LedgerUnavailableError,
    UnknownOrderError,
    WaitTimeoutError,
)

NAME = "AB123:251015000123456"


def order(number: int = 123456, *, ucc: str = "AB123", **fields) -> CancelOrder:
    return CancelOrder(ucc=ucc, order_number=f"251015{number:09}", **fields)


@pytest.fixture
def producer(redis_url) -> Iterator[CancelProducer]:
    with CancelProducer(redis_url=redis_url) as made:
        yield made.connect()


@pytest.fixture
def client(redis_url) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as made:
        yield made


def test_an_accepted_order_is_in_the_ledger_and_in_the_queue(producer, client):
    record = producer.enqueue(order(strategy="s1", reason="why")).status()
    assert ("queued", "s1", "why", 60.0) == (record.status, record.strategy, record.reason, record.deadline_seconds)
    assert abs(time.time() - record.enqueued_at) < 60
    assert 1 == client.llen("routine")


def test_a_second_request_attaches_to_the_first(producer, client, settle, redis_url):
    first, second = producer.enqueue(order()), producer.enqueue(order())
    assert 1 == client.llen("routine")
    settle(redis_url)(NAME)
    assert first.wait(1) == second.wait(1)


@pytest.mark.parametrize("status", ["cancelled", "already_cancelled", "filled", "gone"])
def test_a_dead_order_is_answered_from_the_ledger(producer, client, settle, redis_url, status):
    producer.enqueue(order())
    settle(redis_url)(NAME, status, filled_quantity=5)
    record = producer.enqueue(order()).wait(1)
    assert (status, 5) == (record.status, record.filled_quantity)
    assert 1 == client.llen("routine")


@pytest.mark.parametrize("status", ["unknown", "refused", "blocked", "expired", "not_found"])
def test_an_order_that_may_still_work_is_enqueued_again(producer, client, settle, redis_url, status):
    """The new job knows that a cancel may have been sent before, and what came before is no final status of it."""
    producer.enqueue(order())
    settle(redis_url)(NAME, status, first_sent_at=time.time())
    handle = producer.enqueue(order(reason="again"))
    assert 2 == client.llen("routine")
    record = handle.status()
    assert ("queued", True, "again", None) == (record.status, record.maybe_sent, record.reason, record.final_at)
    with pytest.raises(WaitTimeoutError):
        handle.wait(0.1)


def test_more_urgency_calls_the_risk_lane(producer, client):
    producer.enqueue(order())
    producer.enqueue(order(lane="risk"))
    producer.enqueue(order())
    assert (1, 1) == (client.llen("routine"), client.llen("risk"))


def test_a_bulk_counts_what_became_of_its_orders_at_the_door(producer, settle, redis_url):
    producer.enqueue_many([order(1), order(2)])
    settle(redis_url)("AB123:251015000000001")
    bulk = producer.enqueue_many([order(n) for n in (1, 2, 3, 3)])
    assert (3, 1, 1, 1) == (len(bulk), bulk.duplicates, bulk.attached, bulk.answered)
    again = producer.bulk(bulk.batch)
    assert bulk.names == again.names
    assert {"cancelled": 1, "queued": 2} == dict(again.status().counts)


def test_results_come_as_orders_become_final(producer, settle, redis_url):
    bulk = producer.enqueue_many([order(n) for n in range(3)])
    one, results = settle(redis_url), bulk.results(10)
    for name in reversed(bulk.names):
        one(name)
        assert name == next(results).key
    assert [] == list(results)
    assert bulk.wait(1).is_complete


def test_a_wait_that_is_not_over_says_so_and_the_order_goes_on(producer):
    with pytest.raises(WaitTimeoutError, match=f"order {NAME} is still queued"):
        producer.enqueue(order()).wait(0.1)
    with pytest.raises(WaitTimeoutError, match="2 of 2 orders are not final"):
        producer.enqueue_many([order(1), order(2)]).wait(0.1)


def test_events_name_the_orders_of_every_producer(producer, settle, redis_url):
    producer.enqueue_many([order(n) for n in range(3)])
    for number in range(3):
        settle(redis_url)(f"AB123:2510150000000{number:02}", "filled")
    seen = list(islice(producer.events(since="0-0", timeout_seconds=5), 3))
    assert ["filled"] * 3 == [record.status for record in seen]
    assert [] == list(producer.events(timeout_seconds=0.1))


@pytest.mark.parametrize(
    "ask", [lambda p: p.look_up("AB123", "1"), lambda p: p.bulk("b"), lambda p: p.order("A", "1").wait(1)]
)
def test_what_the_ledger_does_not_know_is_an_error(producer, ask):
    with pytest.raises(UnknownOrderError):
        ask(producer)


def test_a_bulk_with_one_bad_order_writes_nothing(producer, client):
    with pytest.raises(InvalidOrderError):
        producer.enqueue_many([order(), "251015000123456"])
    with pytest.raises(InvalidOrderError):
        producer.enqueue_many([])
    assert 0 == client.dbsize()


def test_a_server_that_lost_the_scripts_gets_them_again(producer, client):
    for number in range(3):
        client.script_flush()
        bulk = producer.enqueue_many([order(number * 10_000 + n, ucc=f"ACC{n % 30}") for n in range(100)])
        assert (100, 0) == (len(bulk), bulk.attached)
    assert 300 == bulk.status().asked + 200
    assert 9 == client.llen("routine")


def test_a_bulk_of_ten_thousand_costs_few_commands_and_round_trips(producer, client):
    """Counted by the server: two commands an order at most, one call a chunk, and reads far below one an order."""
    orders = [order(number, ucc=f"ACC{number % 100:03}") for number in range(10_000)]
    client.config_resetstat()
    bulk = producer.enqueue_many(orders)
    stats, commands = client.info("stats"), client.info("commandstats")
    assert 20 == commands["cmdstat_evalsha"]["calls"] == client.llen("routine")
    assert stats["total_commands_processed"] <= 20_000
    assert stats["total_reads_processed"] <= 2_000
    client.config_resetstat()
    assert 10_000 == bulk.status().pending
    assert client.info("stats")["total_commands_processed"] <= 15
    client.flushall()


@contextmanager
def config(client: redis.Redis, name: str, value: str, back: str) -> Iterator[None]:
    client.config_set(name, value)
    try:
        yield
    finally:
        client.config_set(name, back)


def test_a_full_memory_refuses_and_the_repetition_doubles_nothing(producer, client):
    with config(client, "maxmemory", "1", "0"), pytest.raises(LedgerRefusedError, match="refuses"):
        producer.enqueue(order())
    assert 0 == client.exists("routine")
    producer.enqueue(order())
    assert 1 == client.llen("routine")


def test_a_read_only_replica_refuses(producer, client, unused_port):
    client.execute_command("REPLICAOF", "127.0.0.1", unused_port)
    try:
        with pytest.raises(LedgerRefusedError, match="refuses"):
            producer.enqueue_many([order(1), order(2)])
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")


FORMS = ["redis://user:s3same@127.0.0.1:{0}/0", "sentinel://u:s3same@127.0.0.1:{0},127.0.0.1:{0}/m"]


def told_by_every_call(url: str) -> list[LedgerUnavailableError]:
    caught = []
    with CancelProducer(redis_url=url) as producer:
        calls = [
            lambda: producer.enqueue(order()),
            lambda: producer.order("AB123", "251015000123456").wait(),
            lambda: next(producer.events()),
            producer.connect,
        ]
        for call in calls:
            with pytest.raises(LedgerUnavailableError) as error:
                call()
            caught.append(error.value)
    return caught


@pytest.mark.parametrize("form", FORMS)
def test_a_server_that_is_not_there_is_told_at_once(unused_port, form):
    for error in told_by_every_call(form.format(unused_port)):
        assert f"127.0.0.1:{unused_port}" in str(error)
        assert "s3same" not in f"{error} {error.__cause__} {error.__cause__!r}"


@pytest.mark.parametrize("form", FORMS)
def test_a_server_that_never_answers_is_told_by_every_call(silent_port, form):
    for error in told_by_every_call(form.format(silent_port)):
        assert f"127.0.0.1:{silent_port}" in str(error)
        assert "s3same" not in f"{error} {error.__cause__} {error.__cause__!r}"


def test_a_wrong_password_is_refused_and_not_shown(redis_url):
    with CancelProducer(redis_url=redis_url.replace("//", "//user:s3same@")) as producer:
        with pytest.raises(LedgerRefusedError, match="refuses the login") as caught:
            producer.enqueue(order())
        assert "s3same" not in f"{caught.value} {caught.value.__cause__!r}"
