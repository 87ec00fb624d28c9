"""What a bulk file holds, read as the command reads it: checked first, then once more to be sent."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from neo_cancel import CancelOrder
from neo_cancel.cli.bulk_file import BulkFile
from neo_cancel.cli.rows import BadRow


@dataclass(frozen=True)
class Found:
    """The orders that would be sent, and the rows that would be named."""

    orders: Sequence[CancelOrder]
    bad: Sequence[BadRow]


def read_orders(data: bytes, *, lane: str | None = None) -> Found:
    file = BulkFile("orders.csv", io.BytesIO(data), lane=lane)
    bad = [row for row in file.check() if row is not None]
    return Found([order for piece in file.pieces() for order in piece], bad)
