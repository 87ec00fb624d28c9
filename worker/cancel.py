"""The use case: take one order from its cancel to its true final status. Knows no Celery, no Redis, no HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from neo_cancel.record import Status
from worker.backoff import LEAST_WAIT, Backoff, CancelPolicy
from worker.evidence import Evidence
from worker.job import Job
from worker.kotak.order_book import OrderState, Row
from worker.kotak.session import NoSessionError
from worker.lanes import Lanes
from worker.ports import Broker, Log, Notes
from worker.verdict import (
    IP_MISMATCH,
    MISSING_LOOKS,
    Action,
    Case,
    Decision,
    Failure,
    Next,
    Sighting,
    Verdict,
    at_deadline,
    is_refusal,
    judge,
    settle,
)

__all__ = ["Canceller"]

_TIME_UP: Final = Verdict(Action.RETRY, text="no time left")
_NO_SESSION: Final = Verdict(Action.BLOCKED, text="no session is configured for this account")
_AGAIN: Final = frozenset({Action.RETRY, Action.RENEW})
_NOT_WHITELISTED: Final = "whitelist this machine's address with the broker; logging in again does not help"
_WRONG_MACHINE: Final = (
    "the session belongs to another address: log in from this machine, which must be on the whitelist"
)
MAY_WORK: Final = frozenset({Status.REFUSED, Status.BLOCKED, Status.EXPIRED, Status.UNKNOWN})


class Canceller:
    """Takes orders to their final status, as many at a time as tasks call it."""

    def __init__(
        self,
        *,
        broker: Broker,
        lanes: Lanes,
        evidence: Evidence,
        notes: Notes,
        policy_of: Callable[[str], CancelPolicy],
        slow_down: Callable[[str], Awaitable[None]],
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._broker, self._lanes, self._evidence, self._notes = broker, lanes, evidence, notes
        self._policy_of, self._slow_down, self._clock, self._log = policy_of, slow_down, clock, log
        self._seen_codes: set[str] = set()

    async def run(self, job: Job) -> None:
        """Work on the order until it has a final status, which is then in the job; nothing is written here."""
        case = _case_of(job)
        decision = await self._decide(job, case)
        assert decision.status is not None  # noqa: S101 (a decision to finish names a status)
        self._end(job, case, decision, decision.status)

    async def watch(self, job: Job, *, may_send: bool) -> bool:
        """Look at an order that ended while it may still work, and cancel it once more where that is safe.

        Say whether its end is known now: the job has its new final status then, else its old one. Safe is what a job in time
        may do, too; what the broker refused for good is only read.
        """
        case = _case_of(job)
        case.unsure = True
        policy = self._policy_of(job.ucc)
        may_send = may_send and not is_refusal(job.document.get("code"))
        job.deadline_at = self._clock() + policy.window
        while True:
            decision = await self._look(job, case, policy, patient=False)
            if decision.next is Next.FINISH:
                break
            if self._clock() >= job.deadline_at:
                decision = at_deadline(case)
                break
            if decision.next is Next.SEND and may_send:
                may_send = False
                await self._deliver(job, case, policy)
            elif not _is_open(case, may_send=may_send):
                return False
            await self._pause(job, case.looks + 1, policy)
        if decision.status is None or decision.status in MAY_WORK:
            return False
        job.say(first_final_at=job.document.get("final_at"))
        self._end(job, case, decision, decision.status)
        return True

    def _end(self, job: Job, case: Case, decision: Decision, status: Status) -> None:
        now = self._clock()
        job.status = status
        row = case.seen if isinstance(case.seen, Row) else None
        if decision.verified and row is not None:
            job.say(filled_quantity=row.filled_quantity, unfilled_quantity=row.unfilled_quantity)
            if row.state in (OrderState.NOT_CANCELLED, OrderState.GONE) and row.reason:
                job.say(text=row.reason)
        job.say(verified=decision.verified, verified_at=now if decision.verified else None, final_at=now)
        job.say(waiting_for=None)
        if not decision.verified:
            job.say(verified_by=None)
        self._report(job)

    async def _decide(self, job: Job, case: Case) -> Decision:
        policy = self._policy_of(job.ucc)
        step = Next.LOOK if job.maybe_sent else Next.SEND
        rounds = 0
        while self._clock() < job.deadline_at:
            if step is Next.SEND:
                if rounds:
                    await self._pause(job, rounds, policy)
                rounds += 1
                verdict = await self._deliver(job, case, policy)
                if verdict is _NO_SESSION:
                    return Decision(Next.FINISH, Status.UNKNOWN if case.unsure else Status.BLOCKED)
                if not policy.verify and case.stand is not None:
                    return Decision(Next.FINISH, case.stand)
                step = Next.LOOK if case.stand is not None or case.unsure or case.objections else Next.SEND
                continue
            if case.looks:
                await self._pause(job, case.looks, policy)
            # Only a fresh acknowledgement may wait for the crowd: everything else is in doubt.
            patient = case.stand is Status.CANCELLED and case.looks == 0
            try:
                async with asyncio.timeout(job.deadline_at - self._clock()):
                    decision = await self._look(job, case, policy, patient=patient)
            except TimeoutError:
                break
            if decision.next is Next.FINISH:
                return decision
            step = decision.next
        return await self._when_time_is_up(job, case, policy)

    async def _when_time_is_up(self, job: Job, case: Case, policy: CancelPolicy) -> Decision:
        was_sent = job.first_sent_at is not None
        if case.looks == 0 and policy.verify and was_sent:
            try:
                async with asyncio.timeout(policy.last_look):
                    decision = await self._look(job, case, policy, patient=False)
                if decision.next is Next.FINISH:
                    return decision
            except TimeoutError:
                self._log.debug("last look timed out", order=job.name)
        return at_deadline(case)

    async def _look(self, job: Job, case: Case, policy: CancelPolicy, *, patient: bool) -> Decision:
        self._notes.note(job, Status.VERIFYING)
        # A single read that finds nothing proves nothing, and one of the two reads may be the one that fails: take turns.
        thorough = case.seen is Sighting.MISSING or case.blind_looks % 2 == 1
        look = await self._evidence.look(job.ucc, job.order_number, patient=patient, thorough=thorough)
        decision = settle(case, look.sighting, now=self._clock(), window_seconds=policy.window)
        row = look.sighting
        if isinstance(row, Row):
            job.say(verified_by=look.source)
            if row.state is OrderState.NOT_CANCELLED:
                job.say(text=row.reason)
                self._log.info("cancel refused by the exchange", order=job.name, reason=row.reason)
            is_over = decision.next is Next.FINISH and decision.status not in (Status.REFUSED, Status.BLOCKED)
            if not is_over and job.correct(row):
                self._log.info("request corrected by the book", order=job.name, corrected=job.document["corrected"])
                case.variety, case.stand, case.last, case.objections = job.variety, None, None, 0
                return Decision(Next.SEND)
        return decision

    async def _deliver(self, job: Job, case: Case, policy: CancelPolicy) -> Verdict:
        """Send the cancel, and again while nothing happened and time is left."""
        first = await self._attempt(job, case)
        if first.action not in _AGAIN:
            return (
                first  # most orders end here; setting tenacity up would cost them as much as all the rest of their way
            )
        known = [first]

        async def attempt() -> Verdict:
            return known.pop() if known else await self._attempt(job, case)

        retrying = AsyncRetrying(
            retry=retry_if_result(lambda verdict: verdict.action in _AGAIN),
            wait=Backoff(job, policy, self._clock),
            stop=lambda _: self._clock() >= job.deadline_at - LEAST_WAIT,
            # What ends the tries is the last verdict itself; tenacity's RetryError never shows.
            retry_error_callback=_last_verdict,
            sleep=lambda seconds: self._wait(job, seconds),
        )
        verdict: Verdict = await retrying(attempt)
        return verdict

    async def _wait(self, job: Job, seconds: float) -> None:
        if seconds > 0:
            self._notes.note(job, Status.WAITING, "backoff")
            await asyncio.sleep(seconds)

    async def _attempt(self, job: Job, case: Case) -> Verdict:
        lane = self._lanes.of(job.ucc)
        if not lane.is_free:
            self._notes.note(job, Status.WAITING, "pace")
        if not await lane.turn(job):
            return _TIME_UP
        job.is_in_flight = True
        try:
            verdict = lane.blocked or await self._send(job, case)
        finally:
            job.is_in_flight = False
            lane.done()
        if verdict.slow_down:
            await self._slow_down(job.ucc)
            lane.pause(verdict.retry_after_seconds or 0.0)
        if verdict.action is Action.RENEW:
            verdict = await self._renew(job, verdict)
        if verdict.action is Action.BLOCKED and verdict is not _NO_SESSION and lane.blocked is None:
            lane.block(verdict)
            self._log.error(
                "account blocked: no cancel can be sent from here",
                ucc=job.ucc,
                code=verdict.code,
                text=verdict.text,
                to_do=_WRONG_MACHINE if verdict.code == IP_MISMATCH else _NOT_WHITELISTED,
            )
        case.take(verdict, self._clock())
        return verdict

    async def _send(self, job: Job, case: Case) -> Verdict:
        now = self._clock()
        job.attempts += 1
        is_first = job.first_sent_at is None
        if is_first:
            job.first_sent_at = now
            case.first_sent_at = case.first_sent_at or now
        try:
            answer = await self._broker.cancel(job)
        except NoSessionError:
            job.attempts -= 1
            job.first_sent_at = None if is_first else job.first_sent_at
            job.say(text=_NO_SESSION.text)
            return _NO_SESSION
        verdict = judge(answer, variety=job.variety)
        is_fine = verdict.action is Action.ACKNOWLEDGED
        job.say(
            code=None if is_fine else verdict.code, text=None if is_fine else verdict.text, answered_at=self._clock()
        )
        if answer is Failure.NOT_SENT and is_first:
            job.first_sent_at = None
        self._log_attempt(job, verdict)
        return verdict

    async def _renew(self, job: Job, verdict: Verdict) -> Verdict:
        self._notes.note(job, Status.WAITING, "session")
        if await self._broker.renew(job.ucc):
            # A fresh session is worth one try at once; the same refusal again has no other session to ask for.
            return Verdict(Action.RETRY, verdict.code, verdict.text, retry_after_seconds=0.0)
        if verdict.code == IP_MISMATCH:
            return Verdict(Action.BLOCKED, verdict.code, verdict.text)
        return verdict

    async def _pause(self, job: Job, tries: int, policy: CancelPolicy) -> None:
        await asyncio.sleep(Backoff(job, policy, self._clock).seconds(tries))

    def _log_attempt(self, job: Job, verdict: Verdict) -> None:
        say = self._log.debug if verdict.action is Action.ACKNOWLEDGED else self._log.info
        say(
            "attempt",
            order=job.name,
            attempt=job.attempts,
            verdict=str(verdict.action),
            code=verdict.code,
            text=verdict.text,
        )
        if not verdict.is_listed and verdict.code is not None and verdict.code not in self._seen_codes:
            self._seen_codes.add(verdict.code)
            self._log.error(
                "first seen broker code",
                code=verdict.code,
                text=verdict.text,
                variety=job.variety,
                to_do="find out what it means and add it to worker/verdict.py; until then orders that get it are read",
            )

    def _report(self, job: Job) -> None:
        say = self._log.error if job.status is Status.UNKNOWN else self._log.info
        facts: dict[str, Any] = {"to_do": "check it with the broker"} if job.status is Status.UNKNOWN else {}
        say(
            "final",
            order=job.name,
            status=str(job.status),
            attempts=job.attempts,
            code=job.document.get("code"),
            batch=job.document.get("batch"),
            verified=job.document.get("verified", False),
            **facts,
        )


def _case_of(job: Job) -> Case:
    # A worker that died without a word may have sent at any time since the order was accepted, not before.
    since = job.first_sent_at or (job.enqueued_ms / 1000 if job.maybe_sent else None)
    return Case(job.variety, unsure=job.maybe_sent, first_sent_at=since)


def _is_open(case: Case, *, may_send: bool) -> bool:
    """Tell whether another look within the same watch can settle what this one left open."""
    if isinstance(case.seen, Row) and case.seen.state is not OrderState.CANCEL_PENDING and may_send:
        return True  # an exit is sent after a second look only
    is_nowhere = case.seen in (Sighting.MISSING, Sighting.NO_DATA) and case.blind_looks <= MISSING_LOOKS
    return case.stand is Status.CANCELLED or is_nowhere


def _last_verdict(state: RetryCallState) -> Verdict:
    assert state.outcome is not None  # noqa: S101
    verdict: Verdict = state.outcome.result()
    return verdict
