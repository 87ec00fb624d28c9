"""Account queues: who is sent next, at the account's rate, and waiting costs no polling."""

from collections.abc import Callable, Collection
from typing import Final

from worker.observe.events import Publish
from worker.orders.account_queue import AccountQueue, QueuePolicy, SharedQueueing
from worker.orders.job import Job
from worker.orders.pacer import Pacer
from worker.orders.places import Places
from worker.orders.ports import RateLimiter
from worker.orders.verdict import Verdict

__all__ = ["AccountQueues"]

_STALE_SECONDS: Final = 0.012
"""A turn that is not used by then is given up: sent late, it would meet the sends of the second that follows."""


class AccountQueues:
    """The queues of all accounts of one process. While `is_entitled` says no, no order has a turn.

    `on_turn` is called with an order and when its turn was granted, by `clock`; the order is in flight then, until
    `release`. `on_deadline` is called with an order that has waited for its turn until its `waits_until`. `clock` gives
    seconds since the epoch, the clock of deadlines. Waiting costs no task.
    """

    def __init__(
        self,
        rate_limiter: RateLimiter,
        policy: QueuePolicy,
        *,
        clock: Callable[[], float],
        is_entitled: Callable[[], bool],
        on_turn: Callable[[Job, float], None],
        on_deadline: Callable[[Job], None],
        publish: Publish,
    ) -> None:
        places, pacer = Places(policy.all_at_once, policy.all_kept), Pacer(rate_limiter, publish)
        self._shared = SharedQueueing(rate_limiter, pacer, policy, clock, is_entitled, on_turn, on_deadline, places)
        self._accounts: dict[str, AccountQueue] = {}

    def enqueue(self, job: Job, *, not_before: float = 0.0) -> None:
        """Let an order wait for its turn, which may come at once; with `not_before` (seconds since the epoch) not before that."""
        self._of(job.ucc).enqueue(job, not_before)

    def release(self, job: Job) -> None:
        """Take an order out of flight; for one that is not in flight this does nothing."""
        if job.is_in_flight:
            self._of(job.ucc).release(job)

    def escalate(self, job: Job) -> None:
        """Let a waiting order that became urgent overtake every routine order."""
        self._of(job.ucc).escalate(job)

    def is_free(self, job: Job) -> bool:
        """Tell whether the order would have its turn at once."""
        return self._of(job.ucc).is_free(job)

    def is_fresh(self, ucc: str, granted_at: float) -> bool:
        """Tell whether a turn that was granted then may still be used."""
        # Not by the loop's clock, which stands still while the loop is busy.
        age_seconds = self._shared.clock() - granted_at
        return age_seconds <= _STALE_SECONDS or not self._shared.rate_limiter.is_limited(ucc)

    def pause(self, ucc: str, seconds: float) -> None:
        """Hold a whole account back, as the broker asked."""
        self._of(ucc).stop.pause(seconds)

    def block(self, ucc: str, verdict: Verdict) -> None:
        """Stop an account: its waiting orders have their turn now, to learn of it; after a few seconds one call may try again."""
        self._of(ucc).block(verdict)

    def blocked(self, ucc: str) -> Verdict | None:
        """Answer the verdict that blocked the account, while it answers without a call; else None."""
        return self._of(ucc).stop.blocked

    @property
    def are_idle(self) -> bool:
        """No call is in flight."""
        return self._shared.places.are_all_free

    def first_sends(self, ucc: str) -> int:
        """Count the account's orders that wait for their first turn."""
        return 0 if (account := self._accounts.get(ucc)) is None else account.first_sends

    def is_quiet(self, ucc: str) -> bool:
        """Tell whether the account neither sends nor wants to."""
        return True if (account := self._accounts.get(ucc)) is None else account.is_quiet

    def orders(self, ucc: str) -> list[Job]:
        """List the account's waiting orders."""
        return [] if (account := self._accounts.get(ucc)) is None else account.orders

    def take_out(self, ucc: str, numbers: Collection[str]) -> list[Job]:
        """Take the waiting orders with these numbers out of the account's queue."""
        return [] if (account := self._accounts.get(ucc)) is None else account.take_out(numbers)

    def forget_idle(self) -> None:
        """Let go of what is kept for accounts that have nothing to do."""
        for ucc in [ucc for ucc, account in self._accounts.items() if account.is_idle]:
            self._accounts.pop(ucc).forget()

    def withdraw(self) -> None:
        """Forget every waiting order; `on_turn` and `on_deadline` are not called for them."""
        for account in self._accounts.values():
            account.withdraw()

    def close(self) -> None:
        """Forget every waiting order, and give no turn any more."""
        self._shared.pacer.close()
        for account in self._accounts.values():
            account.close()

    def _of(self, ucc: str) -> "AccountQueue":
        account = self._accounts.get(ucc)
        if account is None:
            account = self._accounts[ucc] = AccountQueue(ucc, self._shared)
        return account
