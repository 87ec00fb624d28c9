"""What one look at the order book gave."""

from dataclasses import dataclass
from enum import StrEnum

from worker.kotak.order_book import BookPage, Row

__all__ = ["Finding", "LookResult", "find"]


class Finding(StrEnum):
    """What a look at the order book gave, beside a row."""

    MISSING = "missing"  # a readable book with other orders has no such order
    NO_DATA = "no_data"  # the broker answers that it has nothing: no proof of anything
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LookResult:
    """A row or the lack of one, and by which read: `book` or `order`."""

    finding: Row | Finding
    source: str


def find(page: BookPage | None, order_number: str) -> Row | Finding:
    """Find an order on a page; None stands for a read without an answer."""
    if page is None:
        return Finding.UNREADABLE
    if page.rows is None:
        return Finding.NO_DATA if page.is_empty else Finding.UNREADABLE
    row = page.rows.get(order_number)
    if row is not None:
        return row
    return Finding.NO_DATA if page.is_empty or page.is_partial else Finding.MISSING
