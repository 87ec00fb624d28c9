"""What nobody can work on is put aside with its reason, and the rest goes on."""

import base64
import copy
import json
import sys
from contextlib import contextmanager

import pytest

from neo_cancel import CancelOrder, Status
from neo_cancel.keys import WATCH
from tests.accepting import accept_call
from tests.fault.rig import names_of
from worker.ops.commands import worker_command
from worker.ops.process import Child, child_environment


def good_message(orders):
    """Write a message as the producer's script does."""
    call = accept_call(orders, batch=None, ttl_seconds=60)
    return json.loads(f"{call.arguments[1]}1{call.arguments[2]}")


def changed(message, change):
    message = copy.deepcopy(message)
    change(message)
    return json.dumps(message)


def body(message, change):
    said = json.loads(message["body"])
    message["body"] = json.dumps(change(said))


def chunk(message, **fields):
    body(message, lambda said: [[{**said[0][0], **fields}], *said[1:]])


WRONG = {
    "empty": lambda _: "",
    "no JSON": lambda _: "{not json",
    "no UTF-8": lambda _: b"\xff\xfe\x00",
    "a number": lambda _: "17",
    "a list": lambda _: "[1, 2]",
    "deep": lambda _: "[" * 50_000,
    "no headers": lambda m: changed(m, lambda m: m.pop("headers")),
    "headers a list": lambda m: changed(m, lambda m: m.update(headers=[])),
    "no properties": lambda m: changed(m, lambda m: m.pop("properties")),
    "another task": lambda m: changed(m, lambda m: m["headers"].update(task="os.system")),
    "no id": lambda m: changed(m, lambda m: m["headers"].pop("id")),
    "eta": lambda m: changed(m, lambda m: m["headers"].update(eta="2999-01-01T00:00:00")),
    "expires": lambda m: changed(m, lambda m: m["headers"].update(expires="2020-01-01T00:00:00")),
    "pickle": lambda m: changed(m, lambda m: m.update({"content-type": "application/x-python-serialize"})),
    "odd encoding": lambda m: changed(m, lambda m: m.update({"content-encoding": "rot13"})),
    "no delivery tag": lambda m: changed(m, lambda m: m["properties"].pop("delivery_tag")),
    "no delivery info": lambda m: changed(m, lambda m: m["properties"].pop("delivery_info")),
    "body a number": lambda m: changed(m, lambda m: m.update(body=3)),
    "body no JSON": lambda m: changed(m, lambda m: m.update(body="<xml/>")),
    "no arguments": lambda m: changed(m, lambda m: body(m, lambda said: [[], *said[1:]])),
    "base64 of noise": lambda m: changed(
        m, lambda m: (m.update(body="%%%"), m["properties"].update(body_encoding="base64"))
    ),
    "base64, no arguments": lambda m: changed(
        m,
        lambda m: (
            m.update(body=base64.b64encode(b"[[], {}, {}]").decode()),
            m["properties"].update(body_encoding="base64"),
        ),
    ),
    "version 3": lambda m: changed(m, lambda m: chunk(m, v=3)),
    "no version": lambda m: changed(m, lambda m: body(m, lambda said: [[{"orders": []}], *said[1:]])),
    "unknown lane": lambda m: changed(m, lambda m: chunk(m, lane="express")),
    "orders a text": lambda m: changed(m, lambda m: chunk(m, orders="all")),
    "an order of 2 MB": lambda m: changed(
        m, lambda m: chunk(m, orders=[{"ucc": "AB123", "order_number": "1" * 2_000_000}])
    ),
    "a callback": lambda m: changed(m, lambda m: body(m, lambda said: [*said[:2], {"callbacks": [{"task": "x"}]}])),
}


def test_a_message_that_cannot_be_read_is_a_dead_letter_and_the_worker_goes_on(stage):
    """Each kind of bad message once, then a good one: the good one's orders are cancelled, by the same process."""
    child, _ = stage.start_worker()
    orders = stage.make(2)
    message = good_message(orders)
    for spoil in WRONG.values():
        stage.server.client.lpush("routine", spoil(message))
    stage.producer.enqueue_many(orders)
    stage.assert_true(names_of(orders))
    stage.until(lambda: len(stage.dead_letters()) >= len(WRONG), "the bad ones to be dead letters")
    assert (len(WRONG), len(WRONG)) == (len(stage.dead_letters()), stage.counter("dead_letters"))
    assert all(json.loads(entry)["reason"] for entry in stage.dead_letters())
    assert child.is_running


def test_one_bad_order_takes_no_neighbour_with_it(stage):
    """Sent by hand, without records: the good orders get theirs, the bad ones are dead letters with field and reason."""
    stage.start_worker()
    orders = stage.make(3)
    wires = [order.to_wire() for order in orders]
    bad = [{**wires[0], "order_number": "12x"}, "text", {**wires[1], "ucc": "OTHER1"}, {"ucc": stage.ucc}]
    message = changed(good_message(orders), lambda m: chunk(m, orders=[*bad[:2], *wires, *bad[2:]]))
    stage.server.client.lpush("routine", message)
    stage.until(lambda: stage.server.client.exists(*(f"nc:order:{name}" for name in names_of(orders))) == 3, "records")
    stage.assert_true(names_of(orders))
    reasons = sorted(json.loads(entry)["reason"].partition("=")[0] for entry in stage.dead_letters())
    assert ["order", "order_number", "order_number", "ucc"] == reasons


def test_a_message_by_hand_is_as_urgent_as_the_queue_it_lies_in(stage):
    """Its orders need not name the lane again: what was put into the risk queue is a risk cancel."""
    stage.start_worker()
    orders = stage.make(2)
    wires = [{name: said for name, said in order.to_wire().items() if name != "lane"} for order in orders]
    stage.server.client.lpush("risk", changed(good_message(orders), lambda m: chunk(m, lane="risk", orders=wires)))
    stage.until(lambda: stage.server.client.exists(*(f"nc:order:{name}" for name in names_of(orders))) == 2, "records")
    stage.assert_true(names_of(orders))
    assert ["risk", "risk"] == [record.lane for record in stage.records(names_of(orders))]


def test_a_message_of_thousands_of_orders_is_worked_on(stage):
    """The client library sends none, but by hand it is one line of code; Lua takes no list as long as that.

    The first of them wait for a session until their time is over; by then the time of the others is over, too.
    """
    orders = [CancelOrder(ucc="NOBODY", order_number=f"{number:015d}", deadline_seconds=15.0) for number in range(9000)]
    stage.server.client.lpush("routine", json.dumps(good_message(orders)))
    stage.start_worker()
    names = names_of(orders)
    stage.until(lambda: None not in stage.server.client.mget([f"nc:order:{name}" for name in names]), "records")
    assert {Status.BLOCKED, Status.EXPIRED} >= {record.status for record in stage.wait_final(names)}


POISONED = """
import os, sys
from worker.orders.router import Router
from worker.node import main

take = Router.take

def take_or_die(self, job, **options):
    if job.order_number == {poison!r} and {when}:
        os._exit(139)
    take(self, job, **options)

Router.take = take_or_die
sys.exit(main())
"""


@contextmanager
def poisoned_node(stage, poison, when="True"):
    """Run a node, which starts another worker after each death; they die when they take `poison` while `when` holds."""
    (stage.folder / "poisoned.py").write_text(POISONED.format(poison=poison.order_number, when=when))
    command = [
        "poisoned" if part == "worker.node" else part
        for part in worker_command(["risk", "routine"], respawn=True, python=sys.executable)
    ]
    environment = child_environment(**dict(stage.workers._env), PYTHONPATH=f"{stage.folder}:.:producers")
    node = Child("poisoned", command, env=environment, log_path=stage.workers.log_path)
    try:
        yield
    finally:
        assert 0 == node.stop(timeout_seconds=20)


def deaths(stage):
    return [death["exit_code"] for death in stage.workers.logged("worker died: another one starts")]


@pytest.mark.parametrize("size", [40, 150], ids=["one message", "many messages"])
def test_an_order_that_kills_workers_is_a_dead_letter_and_its_bulk_ends(stage, size):
    """Three deaths point at it; the node, which starts another worker after each, gets the rest done."""
    orders = stage.make(size)
    poison = orders[size // 2]
    stage.producer.enqueue_many(orders)
    with poisoned_node(stage, poison):
        stage.wait_final(names_of(orders), 90)
    assert [139] * 3 == deaths(stage)
    blamed = stage.record(names_of([poison])[0])
    assert (Status.UNKNOWN, 3, "dead letter: 3 workers died when they took it") == (
        blamed.status,
        blamed.crashes,
        blamed.text,
    )
    assert 1 == len(stage.dead_letters())
    stage.assert_true([name for name in names_of(orders) if name != blamed.key])


def test_a_dead_letter_is_watched_and_read_and_a_proof_replaces_unknown(make_stage):
    """It is never sent again: somebody else cancels it."""
    stage = make_stage(NEO_CANCEL_WATCH_INTERVAL="0.1")
    [poison] = stage.make(1)
    [name] = names_of([poison])
    stage.producer.enqueue(poison)
    with poisoned_node(stage, poison, "not job.is_watched"):
        ended = stage.wait_final([name], 90)[0]
        stage.until(lambda: stage.record(name).fence > ended.fence + 1, "a look or two")
        assert ("open", 0) == (stage.sandbox.lookup([poison.order_number])[poison.order_number]["state"], stage.calls())
        stage.sandbox.set_state(poison.order_number, "cancelled")
        stage.until(lambda: stage.record(name).is_dead, "the proof")
    proof = stage.record(name)
    assert (True, ended.final_at, 3) == (proof.verified, proof.first_final_at, proof.crashes)
    assert [139] * 3 == deaths(stage)


def test_an_order_that_kills_those_that_read_it_is_left_alone_after_two_more_deaths(make_stage):
    stage = make_stage(NEO_CANCEL_WATCH_INTERVAL="0.1")
    [poison] = stage.make(1)
    [name] = names_of([poison])
    stage.producer.enqueue(poison)
    with poisoned_node(stage, poison):
        stage.until(lambda: stage.record(name).crashes == 5, "five deaths", 90)
        [other] = stage.make(1)
        stage.producer.enqueue(other)
        stage.assert_true(names_of([other]))
    assert (Status.UNKNOWN, 0, [139] * 5) == (
        stage.record(name).status,
        stage.server.client.zcard(WATCH),
        deaths(stage),
    )


def test_orders_beyond_what_an_account_may_hold_wait_in_the_ledger(make_stage):
    """2,000 orders of one account, 100 at once; the worker dies in the middle, and its backlog finds another."""
    stage = make_stage(NEO_CANCEL_ACCOUNT_ORDERS_AT_ONCE="100")
    child, worker = stage.start_worker()
    orders = stage.make(2000)
    stage.producer.enqueue_many(orders)
    backlog = f"nc:backlog:routine:{stage.ucc}"
    stage.until(lambda: stage.server.client.llen(backlog) > 200 and len(stage.endings()) > 200, "a backlog under way")
    assert len(stage.held(worker)) <= 200
    stage.workers.kill(child)
    stage.start_worker()
    stage.assert_true(names_of(orders))
    stage.until(lambda: not stage.server.client.exists(backlog, "nc:backlogs"), "the backlog to be gone")


def test_a_record_nobody_can_read_holds_up_no_other(stage):
    """Written by a newer version, or by hand: recovery puts it aside and goes on with the rest."""
    orders = [CancelOrder(ucc=stage.ucc, order_number="9" * 15), *stage.make(2)]
    stage.producer.enqueue_many(orders)
    stage.server.client.rpop("routine")
    stage.server.client.set(f"nc:order:{names_of(orders)[0]}", 'paused 0 - 1 0 0 {"a": 1}')
    stage.start_worker()
    stage.assert_true(names_of(orders[1:]))
    assert 1 == len(stage.dead_letters())
