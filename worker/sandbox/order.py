"""One order at the stand-in broker: its state, its quantities and its past."""

import time
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Change", "Order", "Variety", "standing_of"]


Variety = Literal["regular", "bracket", "cover"]
Standing = Literal["working", "cancelling", "cancelled", "filled", "gone"]
CancelledBy = Literal["api", "before", "other"]

_STANDINGS: dict[str, Standing] = {
    "cancel pending": "cancelling",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "cancelled after market order": "cancelled",
    "complete": "filled",
    "completed": "filled",
    "traded": "filled",
    "filled": "filled",
    "rejected": "gone",
    "expired": "gone",
}


def standing_of(state: str) -> Standing:
    """Where an order in this broker state stands; an unlisted state counts as working."""
    return _STANDINGS.get(state.strip().lower(), "working")


@dataclass(frozen=True, slots=True)
class Change:
    """What an order looked like from `at_ns` (epoch nanoseconds) on."""

    state: str
    at_ns: int
    filled_quantity: int
    reason: str
    gui_order_id: str


@dataclass(slots=True, kw_only=True)
class Order:
    """An order and everything the control API may want to know about it.

    `is_in_flight` is None until the first cancel, which is when an order sets out, True while it is on its way. `row` caches the
    order as the broker sends it; None means that it has to be written anew.
    """

    ucc: str
    order_number: str
    variety: Variety
    amo: bool
    trading_symbol: str
    segment: str
    product: str
    quantity: int
    filled_quantity: int
    state: str
    reason: str = "--"
    initial_state: str = field(init=False)
    cancelled_by: CancelledBy | None = field(init=False)
    cancel_requests: int = 0
    effects: int = 0
    is_in_flight: bool | None = None
    changes: list[Change] = field(default_factory=list[Change])
    row: bytes | None = None

    def __post_init__(self) -> None:
        self.initial_state = self.state
        self.cancelled_by = "before" if self.standing == "cancelled" else None
        self._remember()

    @property
    def standing(self) -> Standing:
        """Whether the order works, is being cancelled, or how it ended."""
        return standing_of(self.state)

    @property
    def unfilled(self) -> int:
        """Shares that were never executed."""
        return self.quantity - self.filled_quantity

    @property
    def latest(self) -> Change:
        """The order as it stands now."""
        return self.changes[-1]

    def move(self, state: str, *, by: CancelledBy = "other", reason: str | None = None) -> None:
        """Change the state; `by` counts only for the step into a cancelled state. None keeps the reason."""
        before = self.standing
        self.state = state
        if reason is not None:
            self.reason = reason
        after = self.standing
        if after == "filled":
            self.filled_quantity = self.quantity
        if after != "cancelled":
            self.cancelled_by = None
        elif before != "cancelled":
            self.cancelled_by = by
        self._remember()

    def fill(self, quantity: int | None = None) -> None:
        """Execute so many shares in all; None, or all of them, completes the order."""
        if quantity is None or quantity >= self.quantity:
            self.move("complete")
            return
        self.filled_quantity = quantity
        self._remember()

    def _remember(self) -> None:
        # GuiOrdId changes on a cancel, as it does at the broker.
        suffix = "-CXL" if self.standing == "cancelled" else ""
        gui_order_id = f"XTS-{self.order_number[-9:]}{suffix}"
        self.changes.append(Change(self.state, time.time_ns(), self.filled_quantity, self.reason, gui_order_id))
        self.row = None
