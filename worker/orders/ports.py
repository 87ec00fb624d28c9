"""What the orders room needs of the world, as Protocols: the broker, the account's rate, the ledger."""

from typing import Protocol

from neo_cancel.record import Status
from worker.kotak.codes import Codes
from worker.kotak.order_book import BookPage
from worker.kotak.replies import NoReply, NotSent, Reply
from worker.orders.job import Job

__all__ = ["Broker", "Ledger", "RateLimiter", "ReadBudget", "Reads"]


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

    async def cancel(self, job: Job) -> Reply | NoReply | NotSent:
        """Send the cancel once. Raises NoSessionError."""
        ...

    async def renew(self, ucc: str) -> bool:
        """Replace a refused session; False while there is no other."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class RateLimiter(Protocol):
    """The rates of the accounts, shared with all other processes."""

    async def take(self, ucc: str, wanted: int, *, is_risk: bool) -> tuple[int, float]:
        """Ask for sends: how many are granted, and in how many seconds it is worth asking again."""
        ...

    async def slow_down(self, ucc: str) -> None:
        """Note that the broker found the account too fast."""
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
