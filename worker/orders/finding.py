"""What one look at the order book gave."""

from dataclasses import dataclass
from enum import StrEnum

from worker.kotak.order_book import BookPage, Row

__all__ = ["Finding", "LookResult", "find", "is_of_day"]


class Finding(StrEnum):
    """What a look at the order book gave, beside a row."""

    MISSING = "missing"  # a readable book with other orders has no such order
    NO_DATA = "no_data"  # the broker answers that it has nothing: no proof of anything
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LookResult:
    """A row or the lack of one, by which read (`book` or `order`), and when that read began, by the ledger's clock."""

    finding: Row | Finding
    source: str
    began_at: float


def find(page: BookPage | None, order_number: str, day_began_at: float) -> Row | Finding:
    """Find an order on a page; None stands for a read without an answer. `day_began_at`: see is_of_day."""
    if page is None:
        return Finding.UNREADABLE
    if page.rows is None:
        return Finding.NO_DATA if page.is_empty else Finding.UNREADABLE
    row = page.rows.get(order_number)
    if row is not None:
        return row if is_of_day(row, day_began_at) else Finding.NO_DATA
    return Finding.NO_DATA if page.is_empty or page.is_partial else Finding.MISSING


def is_of_day(row: Row, day_began_at: float) -> bool:
    """Tell a row of a trading day that began then (seconds since the epoch) from one of another order that had its number before.

    A row without a time is of the day.
    """
    return row.changed_at is None or row.changed_at >= day_began_at
