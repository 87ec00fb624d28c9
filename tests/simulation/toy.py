"""Workers of a few lines, each wrong in one way: what the judge must catch. The honest ones must pass."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.simulation.accounts import PATHS, Request
from tests.simulation.book import Page
from tests.simulation.episode import Product, Report, run
from tests.simulation.habits import Habits
from tests.simulation.plan import OrderPlan, Plan, Trouble
from tests.simulation.process import Process
from tests.simulation.records import Claim, Ending
from tests.simulation.wire import Answer

__all__ = ["Toy", "judged", "order", "plan_of"]


class Toy:
    """Runs `work` for each claim; `look` does nothing for a watched one. Methods are what a worker's parts would do."""

    def __init__(self, process: Process, work: Callable[["Toy", Claim], Awaitable[None]]) -> None:
        self.process, self._work = process, work

    def take(self, claim: Claim) -> None:
        self.process.loop.create_task(self._work(self, claim))

    def watch(self, claim: Claim, *, may_send: bool) -> None:
        self.end(claim, claim.status)

    def escalate(self, ucc: str, number: str) -> None: ...

    def abandon(self) -> None: ...

    async def stop(self, at: float) -> None: ...

    def release(self, claim: Claim) -> Ending:
        return _ending(claim, claim.status)

    async def turn(self, claim: Claim) -> None:
        """Wait until the account may send."""
        while await self.process.rate.take_one(claim.order.ucc, is_risk=True):
            await asyncio.sleep(0.05)

    async def send(self, claim: Claim, variety: str = "regular") -> Answer:
        ucc, number = claim.order.ucc, claim.order.number
        request = Request(PATHS[variety], number, claim.order.plan.amo, "TCS-EQ", self.process.token(ucc) or "")
        return await self.process.cancel(ucc, request)

    async def read(self, claim: Claim, number: str | None = None) -> Page:
        ucc = claim.order.ucc
        return await self.process.read(ucc, self.process.token(ucc) or "", number)

    def end(
        self, claim: Claim, status: str, *, verified: bool = False, code: str | None = None, filled: int | None = None
    ) -> None:
        self.process.ended(_ending(claim, status, verified=verified, code=code, filled=filled))


def _ending(
    claim: Claim, status: str, *, verified: bool = False, code: str | None = None, filled: int | None = None
) -> Ending:
    return Ending(claim, status, verified, code, None, filled, maybe_sent=True, document=dict(claim.document))


def order(index: int = 0, **facts: Any) -> OrderPlan:
    """Plan an order that works, and a request that is right about it."""
    plain: dict[str, Any] = {"account": 0, "number": f"2607221{index:08d}", "variety": "regular", "amo": False}
    plain |= {"is_risk": False, "urged": None, "deadline": 20.0, "enqueued": 0.0, "placed": 60.0, "exists": True}
    plain |= {"is_refused_ever": False, "is_reused": False, "state": "open", "fates": (), "hidden": ()}
    plain |= facts
    return OrderPlan(index=index, asked=plain["variety"], asked_amo=plain["amo"], **plain)


def plan_of(
    *orders: OrderPlan, habits: Habits | None = None, troubles: tuple[Trouble, ...] = (), processes: int = 1
) -> Plan:
    """Plan a run of these orders."""
    return Plan(
        seed=1,
        temper="toy",
        habits=habits or Habits(),
        accounts=1,
        processes=processes,
        orders=orders,
        troubles=troubles,
        mishaps=(),
        calm_at=30.0,
        day_ends_at=120.0,
        ends_at=120.0,
    )


def judged(plan: Plan, work: Callable[[Toy, Claim], Awaitable[None]]) -> Report:
    """Run a plan with a toy that works so."""
    return run(plan, Product(lambda process: Toy(process, work), lambda _: {}, _is_watched, 5.0))


def _is_watched(status: str, *, watch_refused: bool) -> bool:
    return status == "unknown"
