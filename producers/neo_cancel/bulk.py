"""Many orders at once: their counts, which add up, and their names in pieces that one command may carry."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from neo_cancel.keys import named_key
from neo_cancel.namespace import Key
from neo_cancel.record import FINAL, OrderRecord, Status

__all__ = ["BulkStatus", "decoded", "final_records", "keys_of", "slices"]

READ_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class BulkStatus:
    """Counts per status at one moment. The counts and `missing` add up to `asked`.

    `missing` counts the orders whose records are past their time to live; such an order may still work.
    """

    counts: Mapping[Status, int]
    asked: int
    missing: int
    may_still_work: int

    @property
    def pending(self) -> int:
        """How many orders have no final status yet."""
        return sum(count for status, count in self.counts.items() if status not in FINAL)

    @property
    def is_ended(self) -> bool:
        """Every order has a final status."""
        return self.pending == 0

    @property
    def is_complete(self) -> bool:
        """No order may still work."""
        return self.may_still_work == 0 and self.missing == 0

    @classmethod
    def of(cls, records: Iterable[OrderRecord | None]) -> "BulkStatus":
        """Count the records; None stands for an order that the ledger does not know any more."""
        counts: Counter[Status] = Counter()
        asked = risky = 0
        for asked, record in enumerate(records, start=1):  # noqa: B007 - the last number is how many there were
            if record is not None:
                counts[record.status] += 1
                risky += record.may_still_work
        return cls(counts=counts, asked=asked, missing=asked - counts.total(), may_still_work=risky)

    def to_json(self) -> dict[str, Any]:
        """Give the counts as JSON data."""
        return {
            "asked": self.asked,
            "counts": {str(status): count for status, count in sorted(self.counts.items())},
            "missing": self.missing,
            "pending": self.pending,
            "may_still_work": self.may_still_work,
            "ended": self.is_ended,
            "complete": self.is_complete,
        }


def slices(names: Sequence[str], size: int = READ_AT_ONCE) -> Iterator[Sequence[str]]:
    """Cut a list of names into pieces that one command may carry."""
    return (names[at : at + size] for at in range(0, len(names), size))


def decoded(values: Iterable[bytes | None]) -> list[OrderRecord | None]:
    """Decode the records that were found; None stays None."""
    return [None if value is None else OrderRecord.decode(value) for value in values]


def final_records(values: Iterable[bytes | None]) -> list[OrderRecord]:
    """Decode the final records. An order that was enqueued again since its event is left out: it will send another event."""
    return [record for value in values if value and (record := OrderRecord.decode(value)).is_final]


def keys_of(names: Iterable[str]) -> list[Key]:
    """Name the records of orders given as UCC:ORDER_NUMBER."""
    return [named_key(name) for name in names]
