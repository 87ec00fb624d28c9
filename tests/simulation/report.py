"""What many runs gave together, and one failing run as a timeline that a person can read."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.episode import Report
from tests.simulation.plan import Plan

__all__ = ["Summary", "timeline"]


@dataclass(slots=True)
class Summary:
    """Counts over runs. `first` names, for each kind of violation and temper, the first run that had it."""

    runs: int = 0
    orders: int = 0
    virtual_seconds: float = 0.0
    cpu_seconds: float = 0.0
    violations: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    figures: Counter[str] = field(default_factory=Counter)
    delays: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    digests: list[str] = field(default_factory=list)

    def add(self, report: Report, *, with_digest: bool = False) -> None:
        plan = report.plan
        self.runs += 1
        self.orders += len(plan.orders)
        self.virtual_seconds += report.seconds
        for violation in report.violations:
            self.violations[violation.kind] += 1
            where = f"--seed {plan.seed} --temper {plan.temper}"
            self.first.setdefault(f"{violation.kind} ({plan.temper})", f"{where}: {violation.number} {violation.text}")
        self.figures += report.figures
        for name, delays in report.delays.items():
            self.delays[name] += delays
        if with_digest:
            self.digests.append(report.history.digest())

    def merge(self, other: "Summary") -> None:
        self.runs += other.runs
        self.orders += other.orders
        self.virtual_seconds += other.virtual_seconds
        self.cpu_seconds += other.cpu_seconds
        self.violations += other.violations
        for kind, where in other.first.items():
            self.first.setdefault(kind, where)
        self.figures += other.figures
        for name, delays in other.delays.items():
            self.delays[name] += delays
        self.digests += other.digests

    def brief(self, seed: int, seconds: float) -> str:
        """Say in a line what was run, and in a line each which promise was broken first by which run."""
        broken = ", ".join(f"{count} {kind}" for kind, count in sorted(self.violations.items())) or "no promise broken"
        lines = [f"simulation from seed {seed} on: {self.orders} orders in {self.runs} runs, {seconds:.0f} s: {broken}"]
        return "\n".join([*lines, *(f"  {kind}: {where}" for kind, where in sorted(self.first.items()))])

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": self.runs,
            "orders": self.orders,
            "virtual_seconds": round(self.virtual_seconds),
            "orders_a_minute_and_core": round(self.orders / max(self.cpu_seconds, 0.001) * 60),
            "violations": dict(sorted(self.violations.items())),
            "first": dict(sorted(self.first.items())),
            "figures": dict(sorted(self.figures.items())),
            "delays": {name: _quantiles(delays) for name, delays in sorted(self.delays.items())},
            "digests": self.digests,
        }


def _quantiles(delays: list[float]) -> dict[str, float]:
    ordered = sorted(delays)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 3) for name, part in at.items()}


def timeline(report: Report) -> str:
    """Render what concerns the orders that a promise was broken for, and what the plan had in store for them."""
    plan = report.plan
    numbers = {violation.number for violation in report.violations}
    numbers |= {order.number for order in plan.orders if f"AC{order.account:03d}" in numbers}
    concerned = {f"AC{order.account:03d}" for order in plan.orders if order.number in numbers}
    lines = report.history.lines(frozenset(numbers | concerned | {""}))
    return "\n".join(
        [*_about(plan, numbers), "", *lines, "", *(f"{one.kind}: {one.number} {one.text}" for one in report.violations)]
    )


def _about(plan: Plan, numbers: set[str]) -> list[str]:
    lines = [f"temper {plan.temper}, seed {plan.seed}: {len(plan.orders)} orders, {plan.processes} processes"]
    lines.append(
        f"habits: {', '.join(f'{name}={getattr(plan.habits, name):g}' for name in plan.habits.in_force) or 'none'}"
    )
    lines += [f"trouble: {trouble}" for trouble in plan.troubles] + [f"mishap: {mishap}" for mishap in plan.mishaps]
    return lines + [f"order: {order}" for order in plan.orders if order.number in numbers]
