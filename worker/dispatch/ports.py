"""What the dispatcher needs of the orders room and of the ledger, as Protocols."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from neo_cancel.namespace import Key
from neo_cancel.order import CancelOrder
from worker.ledger.claims import Claimed
from worker.orders.job import Job

__all__ = ["BacklogClaims", "Claims", "DeadLetters", "Held", "Orders", "Suspects"]


class Orders(Protocol):
    """The orders room. The end of an order comes back once its record is written: see InHand.ended."""

    def take(self, job: Job, *, sends: int = 0) -> None:
        """Begin with an order; a watched one may be sent `sends` times."""
        ...

    def escalate(self, job: Job) -> None:
        """Let an order that has become urgent overtake, wherever it is."""
        ...

    def extend(self, job: Job, until: float) -> None:
        """Work on an order until then, in seconds since the epoch, wherever it is."""
        ...

    def abandon(self) -> None:
        """Let go of every order at once; no end comes back for them."""
        ...

    async def stop(self, at: float) -> None:
        """Let go of every order, of one in flight at the latest `at`, by the loop's clock."""
        ...


class Held(Protocol):
    """The orders that this worker holds by the ledger."""

    def __iter__(self) -> Iterator[Job]:
        """Go over all of them; they may change meanwhile."""
        ...


class Claims(Protocol):
    """Taking orders from the ledger, and giving them back."""

    async def claim(
        self, lane: str, orders: Mapping[str, Sequence[CancelOrder]], at_most: Mapping[str, int]
    ) -> Claimed:
        """Take orders, by account; those beyond its `at_most` go into the account's backlog, with NOTHING all of them."""
        ...

    async def claim_watched(self, at_most: int) -> list[Job]:
        """Take orders from the watch list that are due."""
        ...

    async def release(self, jobs: Iterable[Job]) -> None:
        """Give orders back unfinished, for another worker to go on at once."""
        ...


class BacklogClaims(Protocol):
    """The accounts' backlogs in the ledger."""

    async def draw(self, at_most: Mapping[Key, int]) -> list[tuple[int, list[Job]]]:
        """Take orders from each backlog: how many are left in it, and what was taken. 0 only says that work goes on."""
        ...

    async def adopt_backlog(self, lanes: Iterable[str]) -> Key | None:
        """Take over a backlog of one of these lanes on which no worker works; None where there is none."""
        ...

    async def leave_backlogs(self, backlogs: Iterable[Key]) -> None:
        """Offer backlogs to other workers."""
        ...


class Suspects(Protocol):
    """The orders that are to blame if this worker dies now."""

    async def suspect(self, job: Job) -> None:
        """Blame this order alone. Returns when it is written, however long that takes."""
        ...

    async def clear_suspects(self) -> None:
        """Blame none of those that were taken so far."""
        ...


class DeadLetters(Protocol):
    """Where messages and parts of messages go that cannot be used."""

    async def add_dead_letter(self, reason: str, message: object) -> None:
        """Keep it, counted and visible."""
        ...
