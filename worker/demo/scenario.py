"""The demo's orders: every kind and state that the broker knows, and the faults and habits that some of them meet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from neo_cancel.order import CancelOrder, Lane
from worker.sandbox.control import SandboxControl

__all__ = ["ACCOUNTS", "KINDS", "DemoOrder", "Kind", "create_orders"]

ACCOUNTS: Final = ("DEMO1", "DEMO2", "DEMO3")
UNKNOWN_PER_ACCOUNT: Final = 3
_RISK_EVERY: Final = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """`count` orders alike in each account: what the sandbox creates, what is asked of the worker, what goes wrong.

    `fault` is a fault of the sandbox's control API, None for none; `habits` are habits of it. `asked` replaces fields of
    the cancel.
    """

    name: str
    count: int
    form: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fault: Mapping[str, Any] | None = None
    habits: Mapping[str, float] = field(default_factory=dict[str, float])
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_meant_refused: bool = False


def _once(fault: str, **parameters: Any) -> Mapping[str, Any]:
    return {"fault": fault, "times_per_order": 1, **parameters}


_ON_ITS_WAY: Final = {"in_flight": 1.0, "in_flight_seconds": 2.0}
# Until its deadline the order is cancelled again and again, which is a long time to watch.
_SOON_UP: Final = {"deadline_seconds": 10.0}

KINDS: Final = (
    Kind("open", 5),
    Kind("open, bse_cm", 4, {"segment": "bse_cm"}),
    Kind("open, nse_fo", 4, {"segment": "nse_fo"}),
    Kind("open, bse_fo", 3, {"segment": "bse_fo"}),
    Kind("open, cde_fo", 3, {"segment": "cde_fo"}),
    Kind("open, mcx_fo", 3, {"segment": "mcx_fo"}),
    Kind("bracket", 8, {"variety": "bracket"}),
    Kind("cover", 7, {"variety": "cover", "state": "trigger pending"}),
    Kind("after market", 5, {"amo": True}),
    Kind("trigger pending", 4, {"state": "trigger pending"}),
    Kind("partly filled", 4, {"filled_quantity": 4}),
    Kind("modified", 2, {"state": "modified"}),
    Kind("open pending", 2, {"state": "open pending"}),
    Kind("complete", 5, {"state": "complete"}),
    Kind("cancelled before", 4, {"state": "cancelled"}),
    Kind("rejected", 3, {"state": "rejected"}),
    Kind("expired", 1, {"state": "expired"}),
    Kind("connection reset, cancel done", 2, fault=_once("reset", after_effect=True)),
    Kind("connection reset, nothing done", 2, fault=_once("reset")),
    Kind("no answer, cancel done", 1, fault=_once("stall", seconds=5.0, after_effect=True)),
    Kind("no answer, nothing done", 1, fault=_once("stall", seconds=5.0)),
    Kind("HTML 502", 2, fault=_once("preset", preset="html_502")),
    Kind("429", 2, fault=_once("rate_limit", retry_after=1)),
    Kind("1005", 2, fault=_once("preset", preset="1005")),
    Kind("Ok without effect", 2, fault=_once("ack_only")),
    Kind("filled meanwhile", 2, fault=_once("fill_before")),
    Kind("partly filled meanwhile", 1, fault=_once("fill_before", quantity=3)),
    Kind("cancel pending for a second", 1, fault=_once("cancel_pending", seconds=1.0)),
    Kind("half an answer", 1, fault=_once("truncate")),
    Kind("late in the book", 2, habits={"late": 1.0, "late_seconds": 2.5}),
    Kind("book that jumps back", 1, habits={"jump": 0.5, "jump_seconds": 1.5}),
    Kind("missing in the book for seconds", 2, habits={"hidden": 1.0, "hidden_seconds": 3.0}),
    Kind("two rows in the book", 1, fault=_once("cancel_pending", seconds=0.5), habits={"doubled": 1.0}),
    Kind("open pending for seconds", 1, {"state": "open pending"}, habits=_ON_ITS_WAY),
    Kind("validation pending for seconds", 1, {"state": "validation pending"}, habits=_ON_ITS_WAY),
    Kind("modify pending for seconds", 1, habits=_ON_ITS_WAY),
    Kind("Ok, then not cancelled", 1, fault=_once("refuse_late", seconds=0.5)),
    Kind("refused by the exchange for ever", 1, habits={"refuse_ever": 1.0}, asked=_SOON_UP, is_meant_refused=True),
    Kind("bracket asked for as regular", 2, {"variety": "bracket"}, asked={"variety": "regular"}),
    Kind("not placed through the API", 1, fault={"fault": "preset", "preset": "91400"}, is_meant_refused=True),
)
"""100 orders for each account."""


@dataclass(frozen=True, slots=True)
class DemoOrder:
    """One order to cancel. The sandbox has it unless its kind is None: then it never existed."""

    cancel: CancelOrder
    kind: Kind | None

    @property
    def name(self) -> str:
        """UCC:ORDER_NUMBER."""
        return f"{self.cancel.ucc}:{self.cancel.order_number}"

    @property
    def is_meant_refused(self) -> bool:
        """The sandbox is set to refuse it for good."""
        return self.kind is not None and self.kind.is_meant_refused


def create_orders(sandbox: SandboxControl) -> list[DemoOrder]:
    """Put the orders and their faults into a sandbox that has the accounts."""
    return [order for at, ucc in enumerate(ACCOUNTS) for order in _account(sandbox, ucc, at)]


def _account(sandbox: SandboxControl, ucc: str, at: int) -> Iterator[DemoOrder]:
    kinds = [kind for kind in KINDS for _ in range(kind.count)]
    rows = sandbox.create_orders({"ucc": ucc, **kind.form} for kind in kinds)
    sandbox.set_all_habits(
        {"order_number": row["order_number"], **kind.habits}
        for kind, row in zip(kinds, rows, strict=True)
        if kind.habits
    )
    for place, (kind, row) in enumerate(zip(kinds, rows, strict=True)):
        number: str = row["order_number"]
        if kind.fault is not None:
            sandbox.add_fault(**kind.fault, on="cancel", ucc=ucc, order_number=number)
        yield DemoOrder(_cancel(kind, row, is_risk=place % _RISK_EVERY == 0), kind)
    for unknown in range(UNKNOWN_PER_ACCOUNT):
        number = f"99{at:03d}{unknown:010d}"
        yield DemoOrder(CancelOrder(ucc=ucc, order_number=number, strategy="demo"), None)


def _cancel(kind: Kind, row: Mapping[str, Any], *, is_risk: bool) -> CancelOrder:
    wanted: dict[str, Any] = {
        "ucc": row["ucc"],
        "order_number": row["order_number"],
        "variety": row["variety"],
        "amo": row["amo"],
        "trading_symbol": row["trading_symbol"] if row["amo"] else None,
        "lane": Lane.RISK if is_risk else Lane.ROUTINE,
        "strategy": "demo",
        "reason": kind.name,
    }
    return CancelOrder(**{**wanted, **kind.asked})
