"""What the ledger holds of an order, what a process gets of it by a claim, and what the process says at its end."""

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.truth import Order

__all__ = ["Claim", "Ending", "Record"]


@dataclass(frozen=True, slots=True)
class Claim:
    """An order in a process's hands. `document` is what the ledger holds of it; `is_watched`: it has ended before.
    `is_day_over`: the trading day has ended, and a watched order may only be looked at.
    """

    order: Order
    fence: int
    maybe_sent: bool
    crashes: int
    status: str
    document: dict[str, Any]
    is_watched: bool = False
    is_day_over: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """What a process says of an order at its end, or when it lets go of it. `status` is a word of neo_cancel.record."""

    claim: Claim
    status: str
    verified: bool
    code: str | None
    text: str | None
    filled: int | None
    maybe_sent: bool
    document: dict[str, Any]


@dataclass(slots=True)
class Record:
    """What the ledger holds of one order. `ends`: each final status, with its time; `heard_of_at`: the last message about it."""

    order: Order
    document: dict[str, Any]
    status: str = "queued"
    fence: int = 0
    owner: str | None = None
    maybe_sent: bool = False
    crashes: int = 0
    is_final: bool = False
    watch_at: float | None = None
    heard_of_at: float = 0.0
    messages: int = 0
    ends: list[tuple[float, str]] = field(default_factory=list)
