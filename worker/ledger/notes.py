"""Progress notes: where an order stands that takes longer than a lease."""

from neo_cancel.record import Status
from worker.ledger.held import Held
from worker.ledger.records import WRITE_AT_MOST, Records
from worker.orders.job import Job

__all__ = ["Notes"]


class Notes:
    """Remembers where orders stand and writes it a lease later, for those that ask the ledger.

    What began to wait a moment ago will mostly be final a moment later: writing that would be a third of all writes.
    """

    def __init__(self, records: Records, held: Held) -> None:
        self._records, self._held = records, held
        self._fresh: dict[Job, None] = {}
        self._due: dict[Job, None] = {}

    def note(self, job: Job, status: Status, waiting_for: str | None = None) -> None:
        """Remember where an order stands; the next but one `write` writes where it stands then."""
        if job.is_watched:  # it has ended, and keeps saying how
            return
        job.status = status
        job.update(waiting_for=waiting_for)
        if job not in self._due:
            self._fresh[job] = None

    async def write(self) -> None:
        """Write where orders stand that had something to note before the last call; called once a lease."""
        due, self._due, self._fresh = list(self._due), self._fresh, {}
        for at in range(0, len(due), WRITE_AT_MOST):
            # Asked anew for each write: what ended meanwhile is the Writer's, which also calls back.
            some = [job for job in due[at : at + WRITE_AT_MOST] if self._held.holds(job) and not job.is_final]
            if some:
                await self._records.write_progress(some)

    def forget(self, job: Job) -> None:
        """Write nothing more about an order."""
        self._fresh.pop(job, None)
        self._due.pop(job, None)

    def clear(self) -> None:
        """Write nothing more about any order."""
        self._fresh.clear()
        self._due.clear()
