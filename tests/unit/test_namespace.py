"""Namespaces: which names are put into one, and that every key is a name that can be."""

import inspect

import pytest

from neo_cancel import AsyncCancelProducer, CancelOrder, CancelProducer, InvalidOrderError
from neo_cancel.cli import commands
from neo_cancel.enqueue import enqueue_call
from neo_cancel.keys import lane_of_queue, place_of_backlog, queue_key
from neo_cancel.namespace import Key, Namespace
from neo_cancel.parcels import Parcel
from worker.ledger import keys

DESK = Namespace("desk")
MADE = sorted(name for name in keys.__all__ if name.endswith("_key"))
FIXED = sorted(name for name in keys.__all__ if isinstance(getattr(keys, name), str))


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (keys.order_key("AB1", "7"), "desk:order:AB1:7"),
        (keys.ORDER_PREFIX, "desk:order:"),
        (keys.WORKERS, "desk:workers"),
        (keys.backlog_key("risk", "AB1"), "desk:backlog:risk:AB1"),
        (queue_key("risk"), "desk:risk"),
        (Key(""), ""),
    ],
)
def test_a_key_has_the_namespace_in_front(key, named):
    """In the default namespace it is what the table says. An empty one stands for none."""
    assert (named, key) == (DESK.named(key), Namespace().named(key))


def test_only_keys_of_a_command_are_put_into_a_namespace():
    """An order's document or name may look like one."""
    command = ("ZADD", keys.WORKERS, 1, "nc:workers", b"nc:workers")
    assert ["ZADD", "desk:workers", 1, "nc:workers", b"nc:workers"] == list(DESK.applied(command))
    assert command == Namespace().applied(command)


@pytest.mark.parametrize("name", MADE)
def test_every_name_that_is_made_can_be_put_into_a_namespace(name):
    make = getattr(keys, name)
    assert isinstance(make(*("x" for _ in inspect.signature(make).parameters)), Key)


@pytest.mark.parametrize("name", FIXED)
def test_every_fixed_name_can_be_put_into_a_namespace(name):
    """A plain text would stay in the default one, and two services would share it."""
    assert isinstance(getattr(keys, name), Key)


def test_the_keys_are_looked_at():
    assert {"order_key", "held_key", "leader_key"} <= set(MADE)
    assert {"WORKERS", "EVENTS", "COUNTERS", "HELD_PREFIX"} <= set(FIXED)


def test_every_key_of_the_call_that_accepts_orders_can_be_put_into_a_namespace():
    order = CancelOrder(ucc="AB1", order_number="251015000123456")
    call = enqueue_call(Parcel("routine", [order], {"AB2": [order]}), batch="b1", ttl_seconds=60)
    assert [] == [key for key in call.keys if not isinstance(key, Key)]
    words = [word for word in DESK.applied(call.command) if isinstance(word, str)]
    assert [] == [word for word in words if word.startswith("nc:")]


@pytest.mark.parametrize("name", ["", "two words", "a:b", "desk\n", "*", "x" * 41, None, 7])
def test_a_name_that_would_be_no_namespace_is_refused(name):
    with pytest.raises(InvalidOrderError, match=r"namespace=.*must be 1 to 40 letters, digits, - or _"):
        Namespace(name)


@pytest.mark.parametrize("producer", [CancelProducer, AsyncCancelProducer])
def test_a_producer_refuses_it_before_it_connects(producer):
    with pytest.raises(InvalidOrderError, match="namespace='a:b'"):
        producer("redis://127.0.0.1:1/0", namespace="a:b")


@pytest.mark.parametrize("namespace", [Namespace(), DESK])
def test_lane_and_account_are_read_from_names_in_any_namespace(namespace):
    assert "risk" == lane_of_queue(namespace.named(queue_key("risk")))
    assert ("risk", "AB1") == place_of_backlog(namespace.named(keys.backlog_key("risk", "AB1")))


@pytest.mark.parametrize(("given", "name"), [(None, "nc:order:A:1"), ("", "nc:order:A:1"), ("desk", "desk:order:A:1")])
def test_the_command_takes_the_namespace_from_the_environment(monkeypatch, given, name):
    """The same variable as the workers'."""
    monkeypatch.delenv("NEO_CANCEL_NAMESPACE", raising=False)
    if given is not None:
        monkeypatch.setenv("NEO_CANCEL_NAMESPACE", given)
    with commands._connected("redis://127.0.0.1:1/0") as producer:
        assert name == producer._ledger._named(keys.order_key("A", "1"))
