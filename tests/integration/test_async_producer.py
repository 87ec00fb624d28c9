"""The async twin keeps the same promises."""

import asyncio

import pytest
import redis

from neo_cancel import (
    AsyncCancelProducer,
    CancelOrder,
    CancelProducer,
    InvalidOrderError,
    LedgerUnavailableError,
    UnknownOrderError,
    WaitTimeoutError,
)


def order(number: int = 123456, **fields) -> CancelOrder:
    return CancelOrder(ucc="AB123", order_number=f"251015{number:09}", **fields)


@pytest.fixture
async def producer(redis_url):
    async with AsyncCancelProducer(redis_url=redis_url) as made:
        yield await made.connect()


async def test_an_order_is_accepted_attached_to_and_answered(producer, redis_url, settle):
    first = await producer.enqueue(order())
    second = await producer.enqueue(order())
    with redis.Redis.from_url(redis_url) as client:
        assert 1 == client.llen("routine")
    waiting = asyncio.gather(first.wait(5), second.wait(5))
    await asyncio.sleep(0.1)
    settle(redis_url)("AB123:251015000123456", "filled", filled_quantity=3)
    assert [3, 3] == [record.filled_quantity for record in await waiting]
    third = await producer.enqueue(order())
    assert "filled" == (await third.wait(1)).status == (await third.status()).status


async def test_iterating_over_a_bulk_yields_each_order_once(producer, redis_url, settle):
    bulk = await producer.enqueue_many([order(n) for n in (1, 2, 3, 3)])
    assert (3, 1, 0, 0) == (len(bulk), bulk.duplicates, bulk.attached, bulk.answered)
    one = settle(redis_url)
    for name in bulk.names:
        one(name)
    assert sorted(bulk.names) == sorted([record.key async for record in bulk])
    again = await producer.bulk(bulk.batch)
    assert (await again.wait(1)).is_complete
    assert bulk.names == again.names


async def test_events_are_heard_while_they_happen(producer, redis_url, settle):
    await producer.enqueue(order())
    events = producer.events(timeout_seconds=5)
    heard = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.2)
    settle(redis_url)("AB123:251015000123456", "gone")
    assert "gone" == (await heard).status
    await events.aclose()


async def test_time_outs_and_unknown_names(producer):
    bulk = await producer.enqueue_many([order()])
    with pytest.raises(WaitTimeoutError, match="1 of 1 orders"):
        await bulk.wait(0.1)
    with pytest.raises(WaitTimeoutError, match="is still queued"):
        await producer.order("AB123", "251015000123456").wait(0.1)
    with pytest.raises(UnknownOrderError):
        await producer.bulk("nobody")
    with pytest.raises(UnknownOrderError):
        await producer.look_up("AB123", "1")
    with pytest.raises(InvalidOrderError):
        await producer.enqueue_many([])


async def test_a_cancelled_wait_leaves_the_producer_usable(producer):
    handle = await producer.enqueue(order())
    waiting = asyncio.ensure_future(handle.wait())
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert "queued" == (await handle.status()).status


async def test_a_server_that_lost_the_scripts_gets_them_again(producer, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()
    bulk = await producer.enqueue_many([order(n) for n in range(200)])
    assert (200, 0) == (len(bulk), bulk.attached)
    assert 200 == (await bulk.status()).pending


async def test_both_producers_read_what_either_wrote(producer, redis_url):
    bulk = await producer.enqueue_many([order(n) for n in range(3)])
    with CancelProducer(redis_url=redis_url) as other:
        assert await bulk.records() == other.bulk(bulk.batch).records()


@pytest.mark.parametrize("port", ["unused_port", "silent_port"])
@pytest.mark.parametrize("form", ["redis://user:s3same@127.0.0.1:{0}/0", "sentinel://u:s3same@127.0.0.1:{0}/m"])
async def test_a_server_that_is_not_there_is_told(request, port, form):
    number = request.getfixturevalue(port)
    async with AsyncCancelProducer(redis_url=form.format(number)) as producer:
        handle = producer.order("AB123", "251015000123456")
        for call in (lambda: producer.enqueue(order()), handle.wait, producer.connect):
            with pytest.raises(LedgerUnavailableError, match=f"127.0.0.1:{number}") as caught:
                await call()
            assert "s3same" not in f"{caught.value} {caught.value.__cause__!r}"
