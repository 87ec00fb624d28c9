"""One attempt to cancel: the call, its verdict, and what the verdict means for the whole account."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from neo_cancel.record import Status
from worker.kotak.codes import Action
from worker.kotak.replies import NoSessionError, TooLateError
from worker.observe.events import AccountBlocked, Attempted, Publish, UnlistedCode
from worker.orders.job import Job
from worker.orders.ports import Broker, Ledger, RateLimiter
from worker.orders.queue import AccountQueues
from worker.orders.verdict import NO_SESSION, Verdict, judge

__all__ = ["Sender"]

_NOT_WHITELISTED: Final = "whitelist this machine's address with the broker; logging in again does not help"
_WRONG_MACHINE: Final = (
    "the session belongs to another address: log in from this machine, which must be on the whitelist"
)


class Sender:
    """Sends for all accounts of one process. An order is in flight during `call` only."""

    def __init__(
        self,
        broker: Broker,
        rate_limiter: RateLimiter,
        queues: AccountQueues,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        publish: Publish,
    ) -> None:
        self._broker, self._rate_limiter, self._queues, self._ledger = broker, rate_limiter, queues, ledger
        self._clock, self._publish = clock, publish
        self._seen_codes: set[str] = set()

    async def call(self, job: Job, granted_at: float) -> Verdict:
        """Send the cancel once and judge the reply; a blocked account is not called.

        Raises TooLateError, and nothing was sent, where the turn that was granted then is over before a connection is there.
        """
        if (blocked := self._queues.blocked(job.ucc)) is not None:
            job.update(code=blocked.code, text=blocked.text)
            return replace(blocked, has_left=False)
        before = job.first_sent_at
        job.attempts += 1
        if before is None:
            job.first_sent_at = self._clock()
        try:
            answer = await self._broker.cancel(job, is_fresh=lambda: self._queues.is_fresh(job.ucc, granted_at))
        except (NoSessionError, TooLateError) as error:
            job.attempts -= 1
            job.first_sent_at = before
            if isinstance(error, TooLateError):
                raise
            job.update(text=NO_SESSION.text)
            return NO_SESSION
        verdict = judge(answer, codes=self._broker.codes, variety=job.variety, order_number=job.order_number)
        is_fine = verdict.action is Action.ACKNOWLEDGED
        job.update(
            code=None if is_fine else verdict.code, text=None if is_fine else verdict.text, answered_at=self._clock()
        )
        if not verdict.has_left:
            job.first_sent_at = before
        self._tell(job, verdict)
        return verdict

    async def heed(self, job: Job, verdict: Verdict) -> Verdict:
        """Do what the verdict means for the account: slow down, renew the session, stop. Answers what is left for the order."""
        if verdict.slow_down:
            pause_seconds = verdict.retry_after_seconds or 0.0
            self._queues.pause(job.ucc, pause_seconds)
            await self._rate_limiter.slow_down(job.ucc, pause_seconds)
        if verdict.action is Action.RENEW:
            verdict = await self._renew(job, verdict)
        if verdict.action is Action.BLOCKED and verdict is not NO_SESSION and self._queues.blocked(job.ucc) is None:
            self._queues.block(job.ucc, verdict)
            to_do = _WRONG_MACHINE if self._is_elsewhere(verdict) else _NOT_WHITELISTED
            self._publish(AccountBlocked(job.ucc, verdict.code, verdict.text, to_do))
        return verdict

    async def _renew(self, job: Job, verdict: Verdict) -> Verdict:
        self._ledger.note(job, Status.WAITING, "session")
        if await self._broker.renew(job.ucc):
            # A fresh session is worth one try at once; the same refusal again has no other session to ask for.
            return replace(verdict, action=Action.RETRY, retry_after_seconds=0.0)
        if self._is_elsewhere(verdict):
            return replace(verdict, action=Action.BLOCKED)
        return verdict

    def _is_elsewhere(self, verdict: Verdict) -> bool:
        return verdict.code is not None and verdict.code == self._broker.codes.ip_mismatch

    def _tell(self, job: Job, verdict: Verdict) -> None:
        self._publish(Attempted(job.name, job.attempts, str(verdict.action), verdict.code, verdict.text))
        if not verdict.is_listed and verdict.code is not None and verdict.code not in self._seen_codes:
            self._seen_codes.add(verdict.code)
            self._publish(UnlistedCode(verdict.code, verdict.text, job.variety))
