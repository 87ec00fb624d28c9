"""What came of the demo: the ledger beside the truth, as a table and as JSON."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from neo_cancel.record import OrderRecord
from worker.demo.agreement import agrees, expected_statuses, truth_label
from worker.demo.scenario import DemoOrder

__all__ = ["Outcome", "Report", "percentile"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One order: what was asked, what the ledger has (None: nothing), what is true (None: it never existed)."""

    order: DemoOrder
    record: OrderRecord | None
    truth: Mapping[str, Any] | None

    @property
    def agrees(self) -> bool:
        """The ledger's status is true."""
        return agrees(self.record, self.truth, is_meant_refused=self.order.is_meant_refused)

    @property
    def status(self) -> str:
        """The ledger's status; `lost` where it has no record."""
        return "lost" if self.record is None else str(self.record.status)

    def to_json(self) -> dict[str, Any]:
        """Write it for programs, with what would have been right."""
        kind = self.order.kind
        expected = expected_statuses(self.truth, is_meant_refused=self.order.is_meant_refused)
        return {
            "order": self.order.name,
            "kind": "unknown order number" if kind is None else kind.name,
            "ledger": self.status,
            "expected": sorted(map(str, expected)),
            "truth": truth_label(self.truth),
            "record": None if self.record is None else self.record.to_json(),
            "sandbox": self.truth,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All orders of a demo; `seconds` from the first enqueue to the last final status."""

    outcomes: Sequence[Outcome]
    seconds: float

    @property
    def disagreements(self) -> list[Outcome]:
        """Where the ledger is wrong."""
        return [outcome for outcome in self.outcomes if not outcome.agrees]

    @property
    def agrees(self) -> bool:
        """Every order's status is true."""
        return bool(self.outcomes) and not self.disagreements

    def to_json(self) -> dict[str, Any]:
        """Write it for programs. Durations in seconds."""
        return {
            "agrees": self.agrees,
            "orders": len(self.outcomes),
            "seconds": round(self.seconds, 3),
            "statuses": dict(sorted(Counter(outcome.status for outcome in self.outcomes).items())),
            "truth": dict(sorted(Counter(truth_label(outcome.truth) for outcome in self.outcomes).items())),
            "send_latency": self._latency("send_latency_seconds"),
            "final_latency": self._latency("final_latency_seconds"),
            "disagreements": [outcome.to_json() for outcome in self.disagreements],
        }

    def table(self) -> Table:
        """Draw one line for each final status and what is true of the orders that have it."""
        table = Table("final status", "orders", "the sandbox's truth", "agrees")
        for status in sorted({outcome.status for outcome in self.outcomes}):
            alike = [outcome for outcome in self.outcomes if outcome.status == status]
            labels = Counter(truth_label(outcome.truth) for outcome in alike)
            truths = ", ".join(f"{count} {label}" for label, count in labels.most_common())
            wrong = sum(not outcome.agrees for outcome in alike)
            table.add_row(status, str(len(alike)), truths, "yes" if not wrong else f"NO: {wrong} do not")
        return table

    def summary(self) -> list[str]:
        """Write latencies, totals, and each order that is wrong."""
        total, wrong = len(self.outcomes), len(self.disagreements)
        lines = [
            _latency_line("enqueued to sent ", self._latency("send_latency_seconds")),
            _latency_line("enqueued to final", self._latency("final_latency_seconds")),
            f"{total - wrong} of {total} orders: the ledger agrees with the sandbox ({self.seconds:.1f} s)",
        ]
        for outcome in self.disagreements:
            facts = outcome.to_json()
            expected = " or ".join(facts["expected"]) or "an end"
            lines.append(
                f"DISAGREES {facts['order']} ({facts['kind']}): ledger {facts['ledger']}, truth {facts['truth']},"
                f" expected {expected}"
            )
        return lines

    def _latency(self, name: str) -> dict[str, float | None]:
        known = [getattr(outcome.record, name) for outcome in self.outcomes if outcome.record is not None]
        values = sorted(value for value in known if value is not None)
        return {"p50": percentile(values, 0.50), "p99": percentile(values, 0.99)}


def percentile(ordered: Sequence[float], part: float) -> float | None:
    """Take the nearest-rank percentile of values in order; None where there are none."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else None


def _latency_line(name: str, latency: Mapping[str, float | None]) -> str:
    shown = ", ".join(f"{part} {value * 1000:.0f} ms" for part, value in latency.items() if value is not None)
    return f"{name}: {shown or 'nothing measured'}"
