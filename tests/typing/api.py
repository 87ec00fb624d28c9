"""The public API as a strategy uses it: read by type checkers, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from neo_cancel import (
    AsyncBulkHandle,
    AsyncCancelProducer,
    AsyncOrderHandle,
    BulkHandle,
    BulkStatus,
    CancelOrder,
    CancelProducer,
    InvalidOrderError,
    Lane,
    LedgerError,
    NeoCancelError,
    OpenBulk,
    OrderHandle,
    OrderRecord,
    Status,
    Variety,
    WaitTimeoutError,
)
from neo_cancel.testing import RecordingProducer


def strategy(producer: CancelProducer) -> None:
    """Enqueue, wait, iterate, ask."""
    order = CancelOrder(ucc="AB123", order_number="251015000123456", variety=Variety.COVER, lane=Lane.RISK)
    plain = CancelOrder(ucc="AB123", order_number="251015000123457", variety="bracket", lane="risk", reason="stop")
    handle = producer.enqueue(order)
    assert_type(handle, OrderHandle)
    assert_type(handle.wait(5), OrderRecord)
    assert_type(handle.status().status, Status)
    assert_type(handle.wait().filled_quantity, int | None)
    bulk = producer.enqueue_many(one for one in (order, plain))
    assert_type(bulk, BulkHandle)
    assert_type(bulk.wait(timeout_seconds=5), BulkStatus)
    assert_type(bulk.records(), list[OrderRecord | None])
    assert_type([record.may_still_work for record in bulk], list[bool])
    assert_type(bulk.status().counts[Status.CANCELLED], int)
    assert_type(producer.bulk(bulk.batch), BulkHandle)
    assert_type(producer.look_up("AB123", "251015000123456"), OrderRecord)
    assert_type(producer.events(since="0-0", timeout_seconds=1), Iterator[OrderRecord])


def careful(producer: CancelProducer, order: CancelOrder) -> bool | None:
    """Catch what may be caught."""
    try:
        return producer.enqueue(order).wait(1).is_dead
    except InvalidOrderError as error:
        assert_type(error.field, str)
        assert_type(error.value, object)
    except LedgerError as error:
        assert_type((error.batch, error.accepted), tuple[str | None, int])
    except (WaitTimeoutError, NeoCancelError):
        return None
    return False


def large(producer: CancelProducer, pieces: Iterator[list[CancelOrder]]) -> str:
    """Send a bulk that is too large for memory."""
    bulk = OpenBulk()
    for piece in pieces:
        producer.enqueue_piece(piece, bulk)
    return bulk.batch


def connecting() -> None:
    """Open and close."""
    with CancelProducer(redis_url="redis://127.0.0.1", time_to_live_seconds=60, chunk_size=10) as producer:
        assert_type(producer.connect(), CancelProducer)


async def async_strategy() -> None:
    """Say the same, awaited."""
    async with AsyncCancelProducer(redis_url="redis://127.0.0.1") as producer:
        assert_type(await producer.connect(), AsyncCancelProducer)
        handle = await producer.enqueue(CancelOrder(ucc="AB123", order_number="251015000123456"))
        assert_type(handle, AsyncOrderHandle)
        assert_type(await handle.wait(5), OrderRecord)
        bulk = await producer.enqueue_many([CancelOrder(ucc="AB123", order_number="251015000123456")])
        assert_type(bulk, AsyncBulkHandle)
        assert_type([record.key async for record in bulk], list[str])
        assert_type(await bulk.wait(), BulkStatus)
        assert_type(producer.events(), AsyncIterator[OrderRecord])


def own_test() -> None:
    """Give a strategy the producer that needs no Redis."""
    producer = RecordingProducer()
    strategy(producer)
    assert_type(producer.orders, list[CancelOrder])
    assert_type(producer.settle("AB123", "251015000123456", "filled", filled_quantity=5), OrderRecord)
