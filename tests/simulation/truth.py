"""What an order really is: its states one after the other, and who ended it. Only the broker's model changes it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from tests.simulation.dice import Dice
from tests.simulation.plan import OrderPlan

__all__ = ["EPOCH", "Life", "Order", "Version"]

EPOCH: Final = 1_784_700_000.0
"""The wall clock where virtual time is 0: 22 July 2026, 11:30 in India."""


class Life(StrEnum):
    """What a state means for the truth."""

    WORKING = "working"
    IN_FLIGHT = "in flight"
    LEAVING = "cancel pending"
    REFUSED = "not cancelled"  # the exchange refused a cancel; the order works
    CANCELLED = "cancelled"
    FILLED = "filled"
    GONE = "gone"

    @property
    def is_dead(self) -> bool:
        return self in _DEAD


_DEAD: Final = frozenset({Life.CANCELLED, Life.FILLED, Life.GONE})


@dataclass(slots=True)
class Version:
    """One state of an order, from `at` on; the book shows it from `visible_at` on, in `row`, or without time in `timeless`."""

    at: float
    said: str
    life: Life
    filled: int
    visible_at: float
    row: bytes
    timeless: bytes


@dataclass(slots=True)
class Order:
    """One order. `ended_by` is `us`, `other`, `exchange` or None while it works; `settled_at` is when each read shows its end.

    `versions` is empty for an order that never existed. `cancels_due` counts our cancels that the exchange still has to answer.
    """

    plan: OrderPlan
    ucc: str
    dice: Dice
    accepted_at: float
    clock_off: float
    quantity: int = 10
    versions: list[Version] = field(default_factory=list)
    ended_by: str | None = None
    ended_at: float | None = None
    settled_at: float | None = None
    acted_by: int = -1
    cancels_due: int = 0
    yesterday: bytes = b""
    hidden: tuple[tuple[float, float], ...] = ()

    @property
    def number(self) -> str:
        return self.plan.number

    @property
    def works(self) -> bool:
        return bool(self.versions) and self.ended_at is None

    @property
    def now(self) -> Version:
        return self.versions[-1]

    def version_at(self, at: float) -> Version | None:
        """Say which version the book shows to a read of that time, None while it knows nothing of the order."""
        for version in reversed(self.versions):
            if version.visible_at <= at:
                return version
        return None

    def is_hidden(self, at: float) -> bool:
        return any(start <= at < end for start, end in self.hidden)

    def become(
        self, said: str, life: Life, at: float, *, lag: float, filled: int | None = None, reason: str = "--"
    ) -> Version:
        """Enter another state; the book shows it `lag` seconds later, after all earlier ones."""
        before = self.versions[-1] if self.versions else None
        filled = (before.filled if before else 0) if filled is None else filled
        visible_at = max(at + lag, before.visible_at if before else 0.0)
        row = self._row(said, life, filled, reason, at)
        timed = row | {"updRecvTm": int((EPOCH + at + self.clock_off) * 1e9)}
        version = Version(at, said, life, filled, visible_at, orjson.dumps(timed), orjson.dumps(row))
        self.versions.append(version)
        return version

    def _row(self, said: str, life: Life, filled: int, reason: str, at: float) -> dict[str, Any]:
        plan = self.plan
        return {
            "nOrdNo": plan.number,
            "ordSt": said,
            "prod": {"bracket": "BO", "cover": "CO"}.get(plan.variety, "MIS"),
            "exSeg": "nse_cm",
            "trdSym": "TCS-EQ",
            "trnsTp": "B",
            "qty": self.quantity,
            "fldQty": str(filled),
            "unFldSz": 0 if life.is_dead else self.quantity - filled,
            "prc": "100.00",
            "ordGenTp": "AMO" if plan.amo else "--",
            "rejRsn": reason,
            "stat": "Ok",
        }

    def was(self, at: float) -> bytes:
        """Make yesterday's row of the same number: long dead."""
        row = self._row("cancelled", Life.CANCELLED, 3, "--", at)
        return orjson.dumps(
            row | {"updRecvTm": int((EPOCH + at - 86_400 + self.clock_off) * 1e9), "ordDtTm": "21-Jul-2026 11:29:00"}
        )
