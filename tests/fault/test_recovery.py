"""Workers die, sleep and are sent away, messages vanish and double: every order still ends once, and truly."""

import json
import os
import signal

import pytest

from tests.fault.rig import names_of
from worker.ledger.keys import WORKERS


def names_in(message):
    chunk = json.loads(json.loads(message)["body"])[0][0]
    return [f"{wire['ucc']}:{wire['order_number']}" for wire in chunk["orders"]]


def busy_worker(stage, orders, worker, at_least=20):
    stage.producer.enqueue_many(orders)
    stage.until(lambda: len(stage.held(worker)) >= at_least, "a worker in the middle of the bulk")
    return stage.held(worker)


def test_orders_of_a_killed_worker_move_again(stage):
    stage.slow_the_broker()
    child, worker = stage.start_worker()
    orders = stage.make(200)
    held = busy_worker(stage, orders, worker)
    stage.start_worker()
    held = stage.held(worker) or held
    fences = {record.key: record.fence for record in stage.records(held)}
    stage.workers.kill(child)
    stage.until(
        lambda: all(record.is_final or record.fence > fences[record.key] for record in stage.records(held)),
        "the orders to move",
    )
    stage.assert_true(names_of(orders))


def test_a_message_lost_from_an_empty_queue_is_noticed(stage):
    """Celery pops a message a moment before it notes it: a worker killed in between loses it."""
    orders = stage.make(3)
    stage.producer.enqueue_many(orders)
    assert stage.server.client.rpop("routine") is not None
    stage.start_worker()
    stage.assert_true(names_of(orders))
    assert 3 == stage.counter("recovered")


def test_orders_of_a_killed_worker_go_first_behind_a_long_queue(stage):
    """Nobody reads the routine queue while they are put back, so the queue itself shows whose turn it is."""
    stage.slow_the_broker(5)
    child, worker = stage.start_worker()
    orders = stage.make(2100)
    held = set(busy_worker(stage, orders[:100], worker, at_least=100))
    stage.workers.kill(child)
    stage.sandbox.clear_faults()
    stage.producer.enqueue_many(orders[100:])
    stage.start_worker(lanes=["risk"])
    stage.until(lambda: stage.held(worker) == [], "recovery")
    waiting = [names_in(message) for message in reversed(stage.server.client.lrange("routine", 0, -1))]
    first = [name for names in waiting for name in names][:100]
    assert held == set(first)
    stage.start_worker()
    stage.assert_true(names_of(orders))
    # Neither a vanished message nor a long queue was imagined.
    assert 100 == stage.counter("recovered")


def test_orders_of_a_killed_worker_go_first_in_a_backlog(make_stage):
    """The next worker has no room for them, and more than a thousand others wait for it."""
    stage = make_stage(NEO_CANCEL_ACCOUNT_ORDERS_AT_ONCE="100")
    stage.slow_the_broker(5)
    child, worker = stage.start_worker()
    orders = stage.make(1200)
    busy_worker(stage, orders, worker, at_least=100)
    backlog = f"nc:backlog:routine:{stage.ucc}"
    stage.until(lambda: stage.server.client.llen(backlog) == 1100, "the backlog")
    _, second = stage.start_worker()
    held = set(stage.held(worker))
    stage.workers.kill(child)

    def are_first() -> bool:
        front = {name.decode() for name in stage.server.client.lrange(backlog, 0, len(held) - 1)}
        return held <= front | set(stage.held(second))

    stage.until(are_first, "them to be in hands again or at the front")
    stage.sandbox.clear_faults()
    stage.assert_true(names_of(orders))


def test_a_long_backlog_is_no_loss(stage):
    """The routine queue has no worker. A lost risk message beside it proves that recovery looked, for long enough."""
    waiting, lost = stage.make(2000), stage.make(1)[0]
    stage.producer.enqueue_many(waiting)
    stage.producer.enqueue(type(lost)(ucc=lost.ucc, order_number=lost.order_number, lane="risk"))
    assert stage.server.client.rpop("risk") is not None
    stage.start_worker(lanes=["risk"])
    stage.wait_final(names_of([lost]))
    # Eight messages, the one that wakes somebody up for the backlog, and nothing else.
    assert (9, 1) == (stage.server.client.llen("routine"), stage.counter("recovered"))


def test_a_slow_worker_s_backlog_is_not_enqueued_again(make_stage):
    """Messages leave the queue as slowly as their orders end, so the newest waits for seconds."""
    stage = make_stage(NEO_CANCEL_ORDERS_PER_SECOND="60", NEO_CANCEL_ACCOUNT_ORDERS_AT_ONCE="100")
    orders = stage.make(400)
    stage.producer.enqueue_many(orders)
    stage.start_worker(threads=2)
    stage.assert_true(names_of(orders))
    assert (0, 400) == (stage.counter("recovered"), stage.calls())


def test_a_sleeper_that_wakes_up_changes_nothing(make_stage):
    """Stopped for three leases, it lost its orders: it sends no cancel for them and overwrites no status."""
    stage = make_stage(NEO_CANCEL_ORDERS_PER_SECOND="30")
    child, worker = stage.start_worker()
    orders = stage.make(90)
    held = busy_worker(stage, orders, worker)
    stage.start_worker()
    stage.workers.freeze(child)
    held = stage.held(worker)
    fences = {record.key: record.fence for record in stage.records(held)}
    stage.until(lambda: stage.server.client.zscore(WORKERS, worker) is None, "the sleeper to be buried", 10)
    records = stage.wait_final(names_of(orders))
    calls = stage.calls()
    stage.workers.thaw(child)
    stage.until(lambda: len(stage.leases()) == 2, "the sleeper to come back under a new name")
    assert records == stage.records(names_of(orders))
    assert calls == stage.calls()
    assert all(stage.record(name).fence > fences[name] for name in held)
    assert sorted(names_of(orders)) == sorted(stage.endings())
    stage.assert_true(names_of(orders))


def test_a_sleeper_leaves_orders_under_way_elsewhere_alone(make_stage):
    """It wakes up while the new owner still works on what it lost."""
    stage = make_stage(NEO_CANCEL_ORDERS_PER_SECOND="15")
    child, worker = stage.start_worker()
    orders = stage.make(150)
    busy_worker(stage, orders, worker, at_least=30)
    stage.start_worker()
    stage.workers.freeze(child)
    stage.until(lambda: stage.server.client.zscore(WORKERS, worker) is None, "the sleeper to be buried", 10)
    stage.workers.thaw(child)
    stage.assert_true(names_of(orders))
    assert sorted(names_of(orders)) == sorted(stage.endings())
    # At most what was on the wire when it fell asleep was sent twice.
    assert stage.calls() <= len(orders) + 5


def test_a_sleeper_has_room_and_threads_again(make_stage):
    """What it lost with its lease, it no longer counts; alone again, it works on what comes."""
    stage = make_stage(NEO_CANCEL_ACCOUNT_ORDERS_AT_ONCE="100")
    stage.slow_the_broker(5)
    child, worker = stage.start_worker(threads=2)
    orders = stage.make(300)
    busy_worker(stage, orders[:100], worker, at_least=100)
    other, _ = stage.start_worker()
    stage.workers.freeze(child)
    stage.until(lambda: stage.server.client.zscore(WORKERS, worker) is None, "the sleeper to be buried", 10)
    stage.workers.thaw(child)
    stage.until(lambda: len(stage.leases()) == 2, "the sleeper to come back under a new name")
    stage.sandbox.clear_faults()
    stage.workers.kill(other)
    stage.producer.enqueue_many(orders[100:])
    stage.assert_true(names_of(orders))


def test_messages_that_come_twice_cost_no_second_call(stage):
    orders = stage.make(1000)
    stage.producer.enqueue_many(orders)
    for message in stage.server.client.lrange("routine", 0, -1):
        stage.server.client.lpush("routine", message)
    assert 18 == stage.server.client.llen("routine")
    stage.start_worker()
    stage.assert_true(names_of(orders))
    assert stage.calls() <= 1010


def test_sigterm_gives_everything_back(stage):
    """Calls in flight end, the rest is released, and another worker goes on at once."""
    stage.slow_the_broker(0.5)
    child, worker = stage.start_worker()
    orders = stage.make(300)
    busy_worker(stage, orders, worker, at_least=100)
    stage.start_worker()
    child.popen.terminate()
    assert 0 == child.popen.wait(60)
    assert [] == stage.held(worker)
    # Released orders, not those of a dead worker: nothing had to run out first.
    assert 0 == stage.counter("recovered")
    stage.sandbox.clear_faults()
    stage.assert_true(names_of(orders))
    assert stage.calls() <= 310


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_second_signal_ends_at_once(stage, first):
    """The first waits for a broker that holds the line; whoever asks twice means it."""
    stage.sandbox.add_fault("stall", on="cancel", ucc=stage.ucc, seconds=5)
    child, worker = stage.start_worker()
    busy_worker(stage, stage.make(50), worker, at_least=50)
    stage.until(lambda: stage.calls() > 0, "calls in flight")
    stage.until(lambda: b"ready" in stage.workers.log_path.read_bytes(), "Celery to be ready")
    os.kill(child.popen.pid, first)
    stage.until(lambda: b"Warm shutdown" in stage.workers.log_path.read_bytes(), "the first signal to be heard")
    assert child.is_running
    os.kill(child.popen.pid, signal.SIGTERM)
    # This code alone says that nothing was waited for.
    assert 128 + signal.SIGTERM == child.popen.wait(30)
