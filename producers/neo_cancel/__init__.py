"""Enqueue order cancels for Kotak Neo and learn what truly became of every order."""

from neo_cancel.aio.handles import AsyncBulkHandle, AsyncOrderHandle
from neo_cancel.aio.producer import AsyncCancelProducer
from neo_cancel.bulk import BulkStatus
from neo_cancel.errors import (
    InvalidOrderError,
    LedgerError,
    LedgerRefusedError,
    LedgerUnavailableError,
    NeoCancelError,
    UnknownOrderError,
    WaitTimeoutError,
)
from neo_cancel.open_bulk import OpenBulk
from neo_cancel.order import CancelOrder, Lane, Variety
from neo_cancel.record import OrderRecord, Status
from neo_cancel.sync.handles import BulkHandle, OrderHandle
from neo_cancel.sync.producer import CancelProducer
from neo_cancel.version import __version__

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
    "LedgerError",
    "LedgerRefusedError",
    "LedgerUnavailableError",
    "NeoCancelError",
    "OpenBulk",
    "OrderHandle",
    "OrderRecord",
    "Status",
    "UnknownOrderError",
    "Variety",
    "WaitTimeoutError",
    "__version__",
]
