"""The orders that this worker holds, as far as it knows."""

from collections.abc import Iterator

from worker.orders.job import Job

__all__ = ["Held"]


class Held:
    """Jobs by UCC:ORDER_NUMBER. One per process: claims add to it, what is written or given back leaves it."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        """Go over what is held now; it may change meanwhile."""
        return iter(list(self._jobs.values()))

    def __contains__(self, name: str) -> bool:
        """Answer whether an order of this name is held."""
        return name in self._jobs

    def get(self, name: str) -> Job | None:
        """Find an order; None where it is not held."""
        return self._jobs.get(name)

    def holds(self, job: Job) -> bool:
        """Answer whether this very claim is held, not an older or a newer one of the same order."""
        return self._jobs.get(job.name) is job

    def add(self, job: Job) -> None:
        """Take an order in hand; it takes the place of an older claim of the same order."""
        self._jobs[job.name] = job

    def let_go(self, job: Job) -> None:
        """Hold this claim no longer. For one that is not held, nothing happens."""
        name = job.name
        if self._jobs.get(name) is job:
            del self._jobs[name]

    def clear(self) -> None:
        """Hold nothing any more."""
        self._jobs.clear()
