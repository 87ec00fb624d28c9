"""What the use case needs of the world, as Protocols: the broker, a place for notes, a log."""

from typing import Any, Protocol

from neo_cancel.record import Status
from worker.kotak.replies import Reply
from worker.orders.job import Job
from worker.orders.verdict import Failure

__all__ = ["Broker", "Log", "Notes"]


class Broker(Protocol):
    """The calls a cancel needs."""

    async def cancel(self, job: Job) -> Reply | Failure:
        """Send the cancel once. Raises NoSessionError."""
        ...

    async def renew(self, ucc: str) -> bool:
        """Replace a refused session; False while there is no other."""
        ...


class Notes(Protocol):
    """Where the worker writes what it knows of an order that is not final yet."""

    def note(self, job: Job, status: Status, waiting_for: str | None = None) -> None:
        """Say where the order stands, for whoever asks."""
        ...


class Log(Protocol):
    """A structured log."""

    def debug(self, event: str, **facts: Any) -> None:
        """Say what is normal."""
        ...

    def info(self, event: str, **facts: Any) -> None:
        """Say what happened."""
        ...

    def error(self, event: str, **facts: Any) -> None:
        """Say what somebody must look at."""
        ...
