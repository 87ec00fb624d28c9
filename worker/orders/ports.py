"""What the orders room needs of the world, as Protocols: the broker, the account's rate, the ledger."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from neo_cancel.record import Status
from worker.kotak.codes import Codes
from worker.kotak.order_book import BookPage
from worker.kotak.replies import NoReply, NotSent, Reply
from worker.orders.job import Job

__all__ = ["Broker", "Ledger", "RateLimiter", "ReadBudget", "Reads", "TurnRequest", "Turns"]


class Reads(Protocol):
    """The broker's reads. None stands for a read that gave no answer."""

    async def read_book(self, ucc: str) -> BookPage | None:
        """Read all orders of the account."""
        ...

    async def read_order(self, ucc: str, order_number: str) -> BookPage | None:
        """Read one order."""
        ...


class Broker(Reads, Protocol):
    """The broker's calls, and what its codes mean."""

    @property
    def codes(self) -> Codes:
        """Answer the table of the broker's codes."""
        ...

    async def cancel(self, job: Job, *, is_fresh: Callable[[], bool]) -> Reply | NoReply | NotSent:
        """Send the cancel once, unless its turn is over when a connection is there: then TooLateError. Raises NoSessionError."""
        ...

    async def renew(self, ucc: str) -> bool:
        """Replace a refused session; False while there is no other."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """So many sends are wanted for an account now; `is_risk`: by risk orders."""

    ucc: str
    wanted: int
    is_risk: bool


@dataclass(frozen=True, slots=True)
class Turns:
    """When an account may send, once at each time, and when it is worth asking for more.

    Times are seconds since the epoch by the ledger's clock.
    """

    at: tuple[float, ...]
    again_at: float


class RateLimiter(Protocol):
    """The rates of the accounts, shared with all other processes."""

    async def take(self, requests: Sequence[TurnRequest], *, ahead_seconds: float) -> Sequence[Turns]:
        """Ask for sends of some accounts at once, an answer for each. A send is granted at most so long before its time."""
        ...

    async def slow_down(self, ucc: str, pause_seconds: float) -> None:
        """Note that the broker found the account too fast, and wants nothing from it for so long; 0 for no such wish."""
        ...

    def is_limited(self, ucc: str) -> bool:
        """Tell whether the account has a rate at all."""
        ...


class ReadBudget(Protocol):
    """How often an account's book may be read, all processes together."""

    async def acquire(self, ucc: str) -> None:
        """Wait until the account may be read once more."""
        ...


class Ledger(Protocol):
    """Where the worker writes what it knows of an order. Nothing is written at once."""

    def note(self, job: Job, status: Status, waiting_for: str | None = None) -> None:
        """Note where an order stands that is not final yet, for those who look it up."""
        ...

    def finish(self, job: Job) -> None:
        """Write an order whose work has ended."""
        ...
