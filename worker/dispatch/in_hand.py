"""The orders that have begun in this process and have not ended: counted, and let go when their record is written."""

from collections.abc import Callable, Iterable

from worker.dispatch.capacity import Capacity
from worker.dispatch.group import Group
from worker.dispatch.ports import Orders
from worker.dispatch.probation import Probation
from worker.ledger.crashes import MOST_CRASHES
from worker.orders.job import Job

__all__ = ["InHand"]


class InHand:
    """Every order that has begun and has not ended, with the group it came in. All methods belong to the event loop.

    `day_is_over` says of an order that its trading day has ended: it is looked at once more, and not sent.
    """

    def __init__(
        self, orders: Orders, capacity: Capacity, probation: Probation, *, day_is_over: Callable[[Job], bool]
    ) -> None:
        self._orders, self._capacity, self._probation = orders, capacity, probation
        self._day_is_over = day_is_over
        self._groups: dict[Job, Group] = {}
        self.is_draining = False

    def __len__(self) -> int:
        return len(self._groups)

    def begin(self, jobs: Iterable[Job], lane: str) -> Group:
        """Begin with claimed orders. While draining none begins: they are given back with the rest."""
        group = Group(lane)
        for job in () if self.is_draining else jobs:
            self._groups[job] = group
            group.add()
            self._capacity.enter(lane, job.ucc)
            self._hand_over(job)
        return group

    def _hand_over(self, job: Job) -> None:
        # A watched order that killed workers is only read, as probation takes it: it is never sent again.
        if job.crashes >= (MOST_CRASHES if job.is_watched else MOST_CRASHES - 1):
            self._probation.add(job)
        elif job.is_watched:
            self._orders.take(job, sends=0 if self._day_is_over(job) else 1)
        else:
            self._orders.take(job)

    def ask_more(self, job: Job, *, is_risk: bool, until: float = 0.0) -> None:
        """Make an order a risk order, for good, and work on it until then, in seconds since the epoch (0: as before).

        What it is or has already changes nothing. Nor does this for an order that has ended here and is being written: the ledger
        puts it back if its end is none for what was asked for.
        """
        if job.is_final and not job.is_watched:
            return
        if until > job.deadline_at and not job.is_watched:
            self._orders.extend(job, until)
        if is_risk and not job.is_risk:
            job.escalate()
            self._orders.escalate(job)

    def ended(self, job: Job) -> None:
        """Let go of an order whose record is written. Called twice, this does nothing more."""
        group = self._groups.pop(job, None)
        if group is not None:
            self._capacity.leave(group.lane, job.ucc)
            group.remove()
        self._probation.ended(job)

    def abandon(self) -> None:
        """Let go of every order at once: other workers own them."""
        self._probation.cancel()
        self._orders.abandon()
        for job in list(self._groups):
            self.ended(job)

    async def stop(self, at: float) -> None:
        """Begin with no more orders, and let go of all, of those in flight at the latest `at`, by the loop's clock."""
        self.is_draining = True
        self._probation.cancel()
        await self._orders.stop(at)
        self.abandon()
