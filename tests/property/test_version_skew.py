"""Producers and workers of different versions side by side: what one does not know, it carries along."""

import json

import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from neo_cancel import CancelOrder, CancelProducer, Status
from neo_cancel.keys import named_key
from neo_cancel.record import OrderRecord, split
from tests.accepting import accept_call
from tests.property.ledger_worker import Worker
from worker.consuming.envelope import Message, read
from worker.orders.job import Job

ORDER = CancelOrder(ucc="AB123", order_number="251015000123456", strategy="s1")
NAME = "AB123:251015000123456"
NEWER = {"priority_class": 3, "routes": ["a", {"b": None}], "note": "ü"}

unknown = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=12).map("x_".__add__),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    max_size=4,
)


@given(unknown)
def test_what_a_newer_producer_wrote_survives_a_worker_that_does_not_know_it(extra):
    said = json.dumps(ORDER.to_wire() | extra)
    job = Job.decode(f"sending 1 w1 1000 0 0 {said}".encode())
    job.status = Status.CANCELLED
    header, document = split(job.encode(None))
    assert extra == {name: document[name] for name in extra}
    assert Status.CANCELLED == OrderRecord.decode(job.encode(None)).status == header.status


@given(unknown)
def test_an_order_with_fields_of_a_newer_version_is_read(extra):
    assert ORDER.key == CancelOrder.from_wire(ORDER.to_wire() | extra).key


def test_the_fewest_fields_an_older_producer_ever_sent_are_enough():
    """The record is written with this version's defaults."""
    record = OrderRecord.decode(
        b'queued 0 - 1000 0 0 {"ucc": "AB123", "order_number": "251015000123456", "deadline_seconds": 60.0}'
    )
    assert (NAME, "regular", "routine", 61.0) == (record.key, record.variety, record.lane, record.deadline_at)


@pytest.mark.parametrize("version", [0, 3, "1", None])
def test_another_wire_version_is_refused_not_guessed(version):
    call = accept_call([ORDER], batch=None, ttl_seconds=60)
    message = json.loads(f"{call.arguments[1]}1{call.arguments[2]}")
    assert isinstance(read(message), Message)
    said = json.loads(message["body"])
    said[0][0]["v"] = version
    message["body"] = json.dumps(said)
    assert f"v={version!r}: this worker reads versions 1 and 2" == read(message)


async def test_a_newer_producer_s_fields_live_through_a_whole_life_in_the_ledger(redis_url):
    """Enqueued, claimed, noted, released, lost with its worker, recovered and finished, by workers of this version."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        call = accept_call([ORDER], batch=None, ttl_seconds=60)
        *fixed, document = call.arguments
        newer = json.dumps(json.loads(document) | NEWER)
        await client.eval(call.script.text, len(call.keys), *call.keys, *fixed, newer)
        first, second = Worker(client), Worker(client)
        await first.take(await client.rpop("routine"))
        first.room.notes.note(first.tasks[0], Status.VERIFYING)
        for _ in range(2):
            await first.room.notes.write()
        await first.room.claims.release(first.tasks)
        await first.take(await client.rpop("routine"))
        await client.zadd("nc:workers", {first.id: 1})
        await second.room.lease.renew()
        assert 1 == await second.room.recovery.run_pass()
        message = json.loads(await client.rpop("routine"))
        assert NEWER.items() <= json.loads(message["body"])[0][0]["orders"][0].items()
        await second.take(json.dumps(message).encode())
        assert await second.finish(second.tasks[0], Status.CANCELLED)
        _, document = split(await client.get(named_key(NAME)))
    assert NEWER.items() <= document.items()
    with CancelProducer(redis_url) as producer:
        assert Status.CANCELLED == producer.look_up("AB123", "251015000123456").status
