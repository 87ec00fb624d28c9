"""Make a failing plan small: fewer orders, processes, mishaps, troubles and habits, as long as the same promise breaks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from tests.simulation.plan import Plan

__all__ = ["shrink"]

Fails = Callable[[Plan], bool]
_SUSPECTS: Final = 5
_DICE: Final = 40
_FEW_DICE: Final = 4
_STEP: Final = 1_000_003


def shrink(plan: Plan, fails: Fails, suspects: Sequence[str], *, most_runs: int = 1000) -> Plan:
    """Answer the smallest plan found that still fails; it is a plan of its own, no longer the seed's.

    First an order of `suspects` (numbers) is tried alone, then its account, each with other dice, too: an order that is taken
    away may change what the others are thrown.
    """
    return _Search(fails, most_runs).run(plan, suspects)


class _Search:
    def __init__(self, fails: Fails, most_runs: int) -> None:
        self._fails, self._left = fails, most_runs

    def run(self, plan: Plan, suspects: Sequence[str]) -> Plan:
        alone = (self._failing(candidate, _DICE) for candidate in _alone(plan, suspects))
        plan = next((found for found in alone if found is not None), plan)
        before = None
        while before != plan and self._left > 0:
            before = plan
            for what in ("orders", "mishaps", "troubles"):
                plan = self._fewer(plan, what)
            for simplify in (_processes, _simpler_orders, _habits):
                plan = self._simpler(plan, simplify)
        return plan

    def _failing(self, plan: Plan, dice: int = _FEW_DICE) -> Plan | None:
        """Answer the plan with dice that make it fail; None where none do."""
        for other in range(dice):
            candidate = replace(plan, seed=plan.seed + other * _STEP)
            self._left -= 1
            if self._left > 0 and self._fails(candidate):
                return candidate
        return None

    def _fewer(self, plan: Plan, what: str) -> Plan:
        """Leave out halves, then quarters, down to single ones (delta debugging)."""
        size = len(getattr(plan, what))
        while size > 0:
            at = 0
            while at < len(items := getattr(plan, what)):
                some: tuple[Any, ...] = items[:at] + items[at + size :]
                found = self._failing(replace(plan, **{what: some})) if some or what != "orders" else None
                plan, at = (plan, at + size) if found is None else (found, at)
            size //= 2
        return plan

    def _simpler(self, plan: Plan, simplify: Callable[[Plan], Iterator[Plan]]) -> Plan:
        for candidate in simplify(plan):
            if (found := self._failing(candidate)) is not None:
                return self._simpler(found, simplify)
        return plan


def _alone(plan: Plan, suspects: Sequence[str]) -> Iterator[Plan]:
    concerned = [order for order in plan.orders if order.number in suspects[:_SUSPECTS]]
    for order in concerned:
        yield _of_account(plan, order.account, (order,))
    for order in concerned:
        yield _of_account(plan, order.account, tuple(one for one in plan.orders if one.account == order.account))


def _of_account(plan: Plan, account: int, orders: tuple[Any, ...]) -> Plan:
    return replace(plan, orders=orders, troubles=tuple(one for one in plan.troubles if one.account == account))


def _processes(plan: Plan) -> Iterator[Plan]:
    for fewer in range(1, plan.processes):
        yield replace(plan, processes=fewer)


def _habits(plan: Plan) -> Iterator[Plan]:
    for name in plan.habits.in_force:
        yield plan.without_habit(name)


def _simpler_orders(plan: Plan) -> Iterator[Plan]:
    for at, order in enumerate(plan.orders):
        fewer_fates = (
            replace(order, fates=order.fates[:one] + order.fates[one + 1 :]) for one in range(len(order.fates))
        )
        for simple in (
            replace(order, hidden=()),
            replace(order, is_risk=False),
            replace(order, is_reused=False),
            replace(order, asked=order.variety),
            *fewer_fates,
        ):
            if simple != order:
                yield replace(plan, orders=(*plan.orders[:at], simple, *plan.orders[at + 1 :]))
