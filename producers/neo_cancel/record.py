"""The ledger's record of one order: its whole life in one value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, cast

from neo_cancel.order import Lane, Variety

__all__ = ["DEAD", "FINAL", "HARMLESS", "WATCHABLE", "WORKING", "Header", "OrderRecord", "Status", "split"]


class Status(StrEnum):
    """Where a cancel stands. Final statuses rest on evidence, never on the number of tries."""

    QUEUED = "queued"
    SENDING = "sending"
    VERIFYING = "verifying"
    WAITING = "waiting"

    CANCELLED = "cancelled"
    ALREADY_CANCELLED = "already_cancelled"
    FILLED = "filled"
    GONE = "gone"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


DEAD: Final = frozenset({Status.CANCELLED, Status.ALREADY_CANCELLED, Status.FILLED, Status.GONE})
"""Proven dead: a further request on the same trading day is answered from the ledger, without a call to the broker."""

FINAL: Final = DEAD | {Status.NOT_FOUND, Status.REFUSED, Status.BLOCKED, Status.EXPIRED, Status.UNKNOWN}
"""The work on the order has ended. While it is watched (WATCHABLE) a proof may still replace the status."""

HARMLESS: Final = DEAD | {Status.NOT_FOUND}
"""No order may still work at the exchange."""

WATCHABLE: Final = frozenset({Status.UNKNOWN, Status.REFUSED, Status.BLOCKED})
"""The order may still work and may be watched. Not `expired`: the broker took nothing up for it."""

WORKING: Final = frozenset(Status) - FINAL
"""The work on the order goes on, or has not begun."""

_BY_WORD: Final[Mapping[str, Status]] = {str(status): status for status in Status}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """What is known of one order's cancel. Times are seconds since the epoch, None means not yet.

    `fence` counts the claims of the order: the higher one is the newer owner's. `owner` is the worker that holds
    it, None where none does. `maybe_sent`: a cancel may have reached the broker.
    `crashes` counts the workers that died while they held it.
    `waiting_for` is why a `waiting` order waits: pace, backoff or session. `code` and `text` are of the broker's last
    reply. `verified`: the status rests on the order book, named in `verified_by` (book, order).
    `corrected` lists the fields in which the live order contradicted the request. `filled_quantity` and
    `unfilled_quantity` count shares or contracts, None where the book was not read. `first_final_at` is when the
    order ended as `unknown` (or, watched by request, `refused` or `blocked`) before a later proof replaced that status.
    """

    ucc: str
    order_number: str
    status: Status
    fence: int = 0
    owner: str | None = None
    maybe_sent: bool = False
    crashes: int = 0
    variety: str = Variety.REGULAR
    amo: bool = False
    trading_symbol: str | None = None
    lane: str = Lane.ROUTINE
    strategy: str | None = None
    reason: str | None = None
    batch: str | None = None
    deadline_seconds: float = 0.0
    waiting_for: str | None = None
    attempts: int = 0
    code: str | None = None
    text: str | None = None
    verified: bool = False
    verified_by: str | None = None
    filled_quantity: int | None = None
    unfilled_quantity: int | None = None
    corrected: tuple[str, ...] = ()
    enqueued_at: float
    first_sent_at: float | None = None
    answered_at: float | None = None
    verified_at: float | None = None
    first_final_at: float | None = None
    final_at: float | None = None

    @property
    def key(self) -> str:
        """Name the order the way the ledger, the events and the command line do: UCC:ORDER_NUMBER."""
        return f"{self.ucc}:{self.order_number}"

    @property
    def is_final(self) -> bool:
        """The work on this order has ended."""
        return self.status in FINAL

    @property
    def is_dead(self) -> bool:
        """There is proof, or the broker's word, that the order no longer works."""
        return self.status in DEAD

    @property
    def may_still_work(self) -> bool:
        """The order may still be at the exchange."""
        return self.status not in HARMLESS

    @property
    def deadline_at(self) -> float:
        """When the work on it ends, in seconds since the epoch."""
        return self.enqueued_at + self.deadline_seconds

    @property
    def send_latency_seconds(self) -> float | None:
        """From acceptance to the first cancel on the wire; None if none was sent."""
        return None if self.first_sent_at is None else self.first_sent_at - self.enqueued_at

    @property
    def final_latency_seconds(self) -> float | None:
        """From acceptance to the final status; None while there is none."""
        return None if self.final_at is None else self.final_at - self.enqueued_at

    def to_json(self) -> dict[str, Any]:
        """Write it for programs: every field, plus the two latencies and `may_still_work`."""
        written: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        written["corrected"] = list(self.corrected)
        written["may_still_work"] = self.may_still_work
        written["send_latency_seconds"] = self.send_latency_seconds
        written["final_latency_seconds"] = self.final_latency_seconds
        return written

    @classmethod
    def decode(cls, value: bytes) -> "OrderRecord":
        """Read a record as it lies in Redis; see Header for its form.

        A status of a newer version is read as `unknown`: the work has ended, and this version cannot tell how.
        """
        header, document = split(value)
        known = {name: document[name] for name in _DOCUMENT if name in document}
        if "corrected" in known:
            known["corrected"] = tuple(known["corrected"])
        return cls(
            status=_BY_WORD.get(header.status, Status.UNKNOWN),
            fence=header.fence,
            owner=header.owner,
            enqueued_at=header.enqueued_ms / 1000,
            maybe_sent=header.maybe_sent,
            crashes=header.crashes,
            **known,
        )


_HEADER: Final = ("status", "fence", "owner", "enqueued_at", "maybe_sent", "crashes")
_DOCUMENT: Final = tuple(field.name for field in fields(OrderRecord) if field.name not in _HEADER)


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a record that Redis scripts read and write: six words before the JSON document.

    In Redis a record is one string: `status fence owner accepted_ms maybe_sent crashes {document}`. `owner` is "-" for none,
    `maybe_sent` 0 or 1. Scripts copy the document unseen.
    """

    status: str
    fence: int
    owner: str | None
    enqueued_ms: int
    maybe_sent: bool
    crashes: int

    def __str__(self) -> str:
        """Write it the way the scripts do."""
        owner = self.owner or "-"
        return f"{self.status} {self.fence} {owner} {self.enqueued_ms} {self.maybe_sent:d} {self.crashes}"


def split(value: bytes) -> tuple[Header, Mapping[str, Any]]:
    """Take a record apart into its header and its document."""
    status, fence, owner, enqueued_ms, maybe_sent, crashes, document = value.decode().split(" ", 6)
    header = Header(
        status,
        int(fence),
        None if owner == "-" else owner,
        int(enqueued_ms),
        maybe_sent == "1",
        int(crashes),
    )
    return header, _with_asked(json.loads(document), header.enqueued_ms)


def _with_asked(document: Any, accepted_ms: int) -> dict[str, Any]:
    """Put the more urgent lane and the later deadline that were asked for meanwhile (lua/enqueue.lua) in their places."""
    if not isinstance(document, dict):
        raise TypeError("the document must be a JSON object")
    known = cast("dict[str, Any]", document)
    match known.pop("asked", None):
        case {"lane": lane, "until_ms": int() | float() as until_ms}:
            if lane == Lane.RISK:
                known["lane"] = str(Lane.RISK)
            known["deadline_seconds"] = max(known.get("deadline_seconds", 0.0), (until_ms - accepted_ms) / 1000)
        case _:
            pass
    return known
