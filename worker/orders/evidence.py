"""Looking at the order book: one read serves every order of an account that this process holds."""

import math
from collections.abc import Callable, Sequence

from worker.kotak.order_book import BookPage
from worker.orders.account_evidence import AccountEvidence, ReadingPolicy, SharedReading
from worker.orders.finding import LookResult
from worker.orders.job import Job
from worker.orders.ports import ReadBudget, Reads

__all__ = ["Evidence"]


class Evidence:
    """Looks for all accounts of one process. Reads never take a cancel's turn; `budget` is what an account may read.

    `is_quiet` tells whether an account has nothing to send. `on_look` is called once for each order that waits, with what a look
    gave that began after its pause, or with a dead row that any look showed; `on_deadline` instead of it where no look was had in
    time. `on_page` is called with every page of a whole book, when its read began (by `clock`, the ledger's clock), and the
    orders that go on waiting here; `on_row` with the row of a single order whose look had been answered by then, likewise.
    """

    def __init__(
        self,
        reads: Reads,
        budget: ReadBudget,
        policy: ReadingPolicy,
        *,
        clock: Callable[[], float],
        is_quiet: Callable[[str], bool],
        on_look: Callable[[Job, LookResult], None],
        on_page: Callable[[str, BookPage, float, Sequence[Job]], None],
        on_row: Callable[[str, LookResult, Sequence[Job]], None],
        on_deadline: Callable[[Job], None],
    ) -> None:
        self._shared = SharedReading(reads, budget, policy, clock, is_quiet, on_look, on_page, on_row, on_deadline)
        self._accounts: dict[str, AccountEvidence] = {}

    def enqueue(
        self,
        job: Job,
        *,
        not_before: float = 0.0,
        until: float = math.inf,
        patient: bool = False,
        thorough: bool = False,
    ) -> None:
        """Let an order wait for a look. Waiting costs no task.

        Times by the loop's clock: the look begins after `not_before`; `until` is when it is not wanted any more. `patient`: it
        may wait for other orders that need one. `thorough`: read the whole book, because a single read of an order that
        is not there proves nothing.
        """
        self._of(job.ucc).enqueue(job, not_before, until, patient=patient, thorough=thorough)

    def known_dead(self, job: Job) -> LookResult | None:
        """Answer the dead row that an earlier look of the day showed of an order; None where none did."""
        account = self._accounts.get(job.ucc)
        return None if account is None else account.dead.get(job, self._shared.clock())

    def forget_idle(self) -> None:
        """Let go of what is kept for accounts for which nothing is read, but for dead orders that the day still needs."""
        now = self._shared.clock()
        for ucc in [ucc for ucc, account in self._accounts.items() if account.is_idle(now)]:
            self._accounts.pop(ucc).forget()

    def withdraw(self) -> None:
        """Forget every waiting order; neither `on_look` nor `on_deadline` is called for them."""
        for account in self._accounts.values():
            account.withdraw()

    def close(self) -> None:
        """Stop reading; reads under way are cancelled."""
        for account in self._accounts.values():
            account.close()

    def _of(self, ucc: str) -> "AccountEvidence":
        account = self._accounts.get(ucc)
        if account is None:
            account = self._accounts[ucc] = AccountEvidence(ucc, self._shared)
        return account
