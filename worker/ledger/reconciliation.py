"""What the ledger thinks this worker holds, compared with what it does hold."""

from typing import Any, Final

from worker.ledger.client import LedgerClient
from worker.ledger.held import Held
from worker.ledger.keys import held_key
from worker.ledger.requeuer import Requeuer

__all__ = ["Reconciliation"]

_MISMATCHES: Final = 2


class Reconciliation:
    """Gives back what the ledger thinks this worker holds and it does not: an answer was lost on its way here.

    Claims and writes under way differ for a moment, so only what is missing at two looks counts.
    """

    def __init__(self, ledger: LedgerClient, held: Held, requeuer: Requeuer) -> None:
        self._ledger, self._held, self._requeuer = ledger, held, requeuer
        self._mismatches = 0
        self._missing: frozenset[str] = frozenset()

    async def compare(self, worker: str, count: int) -> None:
        """Compare with how many orders the ledger counts as held by `worker`, this worker's id."""
        self._mismatches = self._mismatches + 1 if count != len(self._held) else 0
        if self._mismatches < _MISMATCHES:
            self._missing = frozenset()
            return
        members: Any = await self._ledger.run("SMEMBERS", held_key(worker))
        missing = frozenset(name for member in members if (name := member.decode()) not in self._held)
        await self._requeuer.requeue(worker, sorted(missing & self._missing), why="died")
        self._missing = missing - self._missing
