"""Enqueue order cancels for Kotak Neo and learn what truly became of every order."""

from neo_cancel.aio import AsyncCancelProducer
from neo_cancel.aio_handles import AsyncBulkHandle, AsyncOrderHandle
from neo_cancel.bulk import BulkStatus
from neo_cancel.client import CancelProducer
from neo_cancel.errors import (
    InvalidOrderError,
    LedgerRefusedError,
    LedgerUnavailableError,
    NeoCancelError,
    UnknownOrderError,
    WaitTimeoutError,
)
from neo_cancel.handles import BulkHandle, OrderHandle
from neo_cancel.order import CancelOrder, Lane, Variety
from neo_cancel.record import OrderRecord, Status

__all__ = [
    "AsyncBulkHandle",
    "AsyncCancelProducer",
    "AsyncOrderHandle",
    "BulkHandle",
    "BulkStatus",
    "CancelOrder",
    "CancelProducer",
    "InvalidOrderError",
    "Lane",
    "LedgerRefusedError",
    "LedgerUnavailableError",
    "NeoCancelError",
    "OrderHandle",
    "OrderRecord",
    "Status",
    "UnknownOrderError",
    "Variety",
    "WaitTimeoutError",
]
