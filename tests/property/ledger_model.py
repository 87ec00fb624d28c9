"""What a ledger must know of the orders that were accepted, kept apart from it: nothing of the ledger's code is used."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

__all__ = ["KINDS_OF_SPOILING", "Model", "Wish", "spoilt"]

SLACK = 0.002
"""Seconds that rounding may cost: the ledger counts milliseconds."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for of an order since its job began: as risk, and until when, in seconds since the epoch.

    Of a request that was attached only a span is known in which it came: until a time between `until` and `at_latest`.
    """

    is_risk: bool
    until: float
    at_latest: float

    def and_also(self, other: "Wish") -> "Wish":
        """Join the more urgent lane and the later deadline."""
        return Wish(self.is_risk or other.is_risk, max(self.until, other.until), max(self.at_latest, other.at_latest))

    def is_met(self, *, is_risk: bool, until: float) -> bool:
        """Tell whether a record says what was asked for. It may be more urgent: an old message may have come again."""
        return is_risk >= self.is_risk and self.until - SLACK <= until <= self.at_latest + SLACK


@dataclass(slots=True)
class Model:
    """`accepted` are the orders that the ledger must know. `spoilt` are those whose record was made one that cannot be read.

    `doubtful` are those of them that may be read again, since something was written at their end.
    `is_harmed`: a record was spoilt or a key deleted, and recovery and the sweep have not come to an end since.
    `wishes` is what was asked for of each. `patient` are those that a producer or a worker wrote with a long time to live.
    """

    accepted: set[str] = field(default_factory=set[str])
    spoilt: dict[str, bytes] = field(default_factory=dict[str, bytes])
    doubtful: set[str] = field(default_factory=set[str])
    wishes: dict[str, Wish] = field(default_factory=dict[str, Wish])
    patient: set[str] = field(default_factory=set[str])
    is_harmed: bool = False

    def copied(self) -> "Model":
        """Copy it: what it holds is not changed by what comes."""
        return replace(
            self,
            accepted=set(self.accepted),
            spoilt=dict(self.spoilt),
            doubtful=set(self.doubtful),
            wishes=dict(self.wishes),
            patient=set(self.patient),
        )

    def begin(self, name: str, wish: Wish) -> None:
        """A new job begins: nothing that was asked for before counts."""
        self.accepted.add(name)
        self.spoilt.pop(name, None)
        self.doubtful.discard(name)
        self.wishes[name] = wish

    def attach(self, name: str, wish: Wish) -> None:
        """More is asked for of a job that is under way."""
        known = self.wishes.get(name)
        self.wishes[name] = wish if known is None else known.and_also(wish)

    def forget(self, name: str) -> None:
        """The ledger need not know this order any more."""
        self.accepted.discard(name)
        self.patient.discard(name)
        self.spoilt.pop(name, None)
        self.doubtful.discard(name)
        self.wishes.pop(name, None)


def _document(text: bytes) -> Callable[[bytes], bytes]:
    return lambda record: b" ".join([*record.split(b" ", 6)[:6], text])


def _with(wrong: bytes) -> Callable[[bytes], bytes]:
    """Put a wrong field in place of the right one; what stands at the end, which scripts write, stays there."""
    field_name = wrong.split(b":")[0]

    def spoil(record: bytes) -> bytes:
        *words, document = record.split(b" ", 6)
        right = re.sub(field_name + rb':\s*("[^"]*"|[^,}]*),?\s*', b"", document, count=1)
        return b" ".join([*words, b"{" + wrong + b", " + right[1:]])

    return spoil


_OTHER = b'{"ucc": "ZZ999", "order_number": "251015000129999", "variety": "regular", "lane": "risk", "deadline_seconds": 9.0}'
_WRONG = (
    b'"deadline_seconds": null', b'"deadline_seconds": "5"', b'"deadline_seconds": NaN', b'"deadline_seconds": 1e400',
    b'"variety": []', b'"variety": "none"', b'"amo": "YES"', b'"ucc": 7',
    b'"order_number": null', b'"attempts": "3"', b'"first_sent_at": "now"', b'"trading_symbol": 5',
)  # fmt: skip

KINDS_OF_SPOILING: tuple[Callable[[bytes], bytes], ...] = (
    lambda record: b"",
    lambda record: b"\xff\xfe\x00",
    lambda record: b"queued",
    lambda record: record[: len(record) // 2],
    lambda record: record[:-1],
    lambda record: record.rpartition(b"}")[0][:-9],
    lambda record: b" ".join(record.split(b" ")[:6]),
    lambda record: record.replace(b" ", b"", 1),
    lambda record: record.replace(b" ", b"\t", 3),
    lambda record: b"\x00" + record,
    lambda record: record + b"\n" + record,
    lambda record: record[: len(record) // 2] + b"\xff" + record[len(record) // 2 :],
    _document(b"no json"),
    _document(b"{"),
    _document(b"{}"),
    _document(b"[]"),
    _document(b"{not: json}"),
    _document(b'{"a": ' * 3000 + b"1" + b"}" * 3000),
    _document(b'{"a": ' * 900 + b"1" + b"}" * 900),
    _document(_OTHER),
    *map(_with, _WRONG),
)
"""Ways to make a record one that cannot be read. Nothing says which place it had, or what it was asked for."""


def spoilt(kind: int, record: bytes) -> bytes:
    """Spoil a record in one of the ways."""
    return KINDS_OF_SPOILING[kind % len(KINDS_OF_SPOILING)](record)
