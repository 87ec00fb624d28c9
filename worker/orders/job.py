"""One claimed order in a worker's hands: what the ledger holds of it, and what has happened since."""

from types import NoneType
from typing import Any, Final

import orjson

from neo_cancel.order import Lane, Variety
from neo_cancel.record import FINAL, Header, Status, split
from worker.kotak.order_book import BookPage, Row
from worker.orders.course import Course
from worker.orders.finding import LookResult, find
from worker.orders.trading_day import trading_day_begin

__all__ = ["Job", "UnreadableRecordError"]

_VARIETIES, _LANES = tuple(Variety), tuple(Lane)
_MOST_SECONDS: Final = 1e9
_NO_RECORDS: Final = (ValueError, KeyError, TypeError, RecursionError)


class UnreadableRecordError(ValueError):
    """A record cannot be read, or is another order's."""


class Job:
    """Mutable on purpose: it belongs to one task of one event loop. `document` becomes the ledger's document again.

    Fields that a newer producer wrote and this version does not know stay in the document. Times are seconds since the
    epoch by the Redis server's clock.
    """

    __slots__ = (
        "amo",
        "attempts",
        "course",
        "crashes",
        "deadline_at",
        "document",
        "enqueued_ms",
        "fence",
        "first_sent_at",
        "is_in_flight",
        "is_watched",
        "lane",
        "maybe_sent",
        "order_number",
        "status",
        "trading_symbol",
        "ucc",
        "variety",
        "waits_until",
    )

    def __init__(self, header: Header, document: dict[str, Any]) -> None:
        self.document = document
        self.is_in_flight = self.is_watched = False
        self.course: Course | None = None
        self.fence, self.enqueued_ms = header.fence, header.enqueued_ms
        self.maybe_sent, self.crashes = header.maybe_sent, header.crashes
        self.status = Status(header.status)
        self.ucc: str = document["ucc"]
        self.order_number: str = document["order_number"]
        self.variety: str = document["variety"]
        self.amo: bool = document.get("amo", False)
        self.trading_symbol: str | None = document.get("trading_symbol")
        self.lane: str = document["lane"]
        self.attempts: int = document.get("attempts", 0)
        self.first_sent_at: float | None = document.get("first_sent_at")
        self.deadline_at: float = self.accepted_at + document["deadline_seconds"]
        self.waits_until = self.deadline_at  # for its turn
        if self.maybe_sent:
            self.doubt()

    @classmethod
    def decode(cls, value: bytes, name: str | None = None) -> "Job":
        """Take a claimed record, of the order UCC:ORDER_NUMBER where `name` tells. Raises UnreadableRecordError."""
        try:
            header, document = split(value)
            job = cls(header, dict(document))
        except _NO_RECORDS as error:
            raise UnreadableRecordError(repr(error)) from None
        if name not in (None, job.name):
            raise UnreadableRecordError(f"it is of {job.name}")
        if wrong := _wrong_fields(job):
            raise UnreadableRecordError(f"wrong {', '.join(wrong)}")
        return job

    @property
    def name(self) -> str:
        """UCC:ORDER_NUMBER."""
        return f"{self.ucc}:{self.order_number}"

    @property
    def accepted_at(self) -> float:
        """When its cancel was asked for, in seconds since the epoch."""
        return self.enqueued_ms / 1000

    @property
    def day_began_at(self) -> float:
        """When its trading day began, in seconds since the epoch."""
        return trading_day_begin(self.accepted_at)

    @property
    def is_risk(self) -> bool:
        """It waits for no routine order."""
        return self.lane == Lane.RISK

    @property
    def has_had_turn(self) -> bool:
        """A cancel of it was tried before, or may have been, by this worker or another one."""
        return self.attempts > 0 or self.maybe_sent

    def doubt(self) -> None:
        """Assume that a worker nobody can ask any more sent a cancel: at any time since the order was accepted.

        A later send's time must not take its place, or a cancel of ours would pass for somebody else's.
        """
        self.maybe_sent = True
        if self.first_sent_at is None:
            self.first_sent_at = self.accepted_at

    def escalate(self) -> None:
        """Make it a risk order, for good. For one that is a risk order this does nothing."""
        self.lane = self.document["lane"] = Lane.RISK.value

    def extend(self, until: float) -> None:
        """Have it worked on until then, in seconds since the epoch."""
        self.deadline_at = until
        self.document["deadline_seconds"] = until - self.accepted_at

    def find_on(self, page: BookPage | None, began_at: float) -> LookResult:
        """Answer what a read of the book shows of it, which began then by the ledger's clock; see find."""
        return LookResult(find(page, self.order_number, self.day_began_at), "book", began_at)

    def update(self, **facts: Any) -> None:
        """Put facts into the document; None and False are left out, as the ledger's defaults."""
        for name, value in facts.items():
            if value is None or value is False:
                self.document.pop(name, None)
            else:
                self.document[name] = value

    def correct(self, row: Row) -> bool:
        """Take variety, AMO flag and trading symbol from the live row; say whether the request was wrong about them."""
        corrected: list[str] = []
        for field, live in (("variety", row.variety), ("amo", row.amo), ("trading_symbol", row.trading_symbol)):
            asked = getattr(self, field)
            if live is None or live == asked:
                continue
            setattr(self, field, live)
            # Without a wish there is no contradiction; and the symbol is used for after-market orders only.
            if (asked is not None and (field != "trading_symbol" or row.amo)) or (
                field == "trading_symbol" and row.amo
            ):
                corrected.append(field)
        if corrected:
            self.update(variety=self.variety, amo=self.amo, trading_symbol=self.trading_symbol)
            self.document["corrected"] = sorted({*self.document.get("corrected", ()), *corrected})
        return bool(corrected)

    def encode(self, owner: str | None) -> bytes:
        """Write the record: `owner` None lets the order go, a worker's id keeps it."""
        self.update(attempts=self.attempts or None, first_sent_at=self.first_sent_at)
        header = Header(
            self.status, self.fence, owner, self.enqueued_ms, self.maybe_sent or self.attempts > 0, self.crashes
        )
        return f"{header} ".encode() + orjson.dumps(self.document)

    @property
    def is_final(self) -> bool:
        """The work on it has ended."""
        return self.status in FINAL


def _wrong_fields(job: Job) -> list[str]:
    """Name what is of a type or a value that no record has; what is wrong would stop work far from here."""
    fits = {
        "ucc": type(job.ucc) is str,
        "order_number": type(job.order_number) is str,
        "variety": job.variety in _VARIETIES,
        "lane": job.lane in _LANES,
        "amo": type(job.amo) is bool,
        "trading_symbol": type(job.trading_symbol) in (str, NoneType),
        "attempts": type(job.attempts) is int,
        "first_sent_at": type(job.first_sent_at) in (float, int, NoneType),
        "deadline_seconds": 0 <= job.document["deadline_seconds"] <= _MOST_SECONDS,
    }
    return [field for field, is_right in fits.items() if not is_right]
