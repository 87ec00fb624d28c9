"""The use case: take one order from its cancel to its true final status. Knows no Celery, no Redis, no HTTP."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from neo_cancel.record import Status
from worker.kotak.order_book import OrderState, Row
from worker.kotak.session import NoSessionError
from worker.orders.backoff import LEAST_WAIT, Backoff, CancelPolicy
from worker.orders.evidence import Evidence, Look
from worker.orders.job import Job
from worker.orders.ports import Broker, Log, Notes
from worker.orders.queue import Lanes
from worker.orders.verdict import (
    IP_MISMATCH,
    MISSING_LOOKS,
    Action,
    Case,
    Decision,
    Failure,
    Finding,
    Next,
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
_STOP_LOOK_SECONDS: Final = 0.05
MAY_WORK: Final = frozenset({Status.REFUSED, Status.BLOCKED, Status.EXPIRED, Status.UNKNOWN})


@dataclass(slots=True)
class _Course:
    """An order on its way to its end. `rounds`: deliveries, each with all the tries after which nothing had happened."""

    job: Job
    case: Case
    policy: CancelPolicy
    rounds: int = 0


class Canceller:
    """Takes orders to their final status, as many at a time as it is given.

    An order that waits for its turn, or acknowledged for others with whom the book is read, is an entry in a list; only what is
    being done about it is a task.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        lanes: Lanes,
        evidence: Evidence,
        notes: Notes,
        policy_of: Callable[[str], CancelPolicy],
        slow_down: Callable[[str], Awaitable[None]],
        ended: Callable[[Job], None],
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._broker, self._lanes, self._evidence, self._notes = broker, lanes, evidence, notes
        self._policy_of, self._slow_down, self._clock, self._log = policy_of, slow_down, clock, log
        self._ended = ended
        self._tasks: dict[asyncio.Task[None], Job] = {}
        self._seen_codes: set[str] = set()

    def begin(self, job: Job) -> None:
        """Work on the order until it has a final status, which is then in the job, and call `ended`; nothing is written here."""
        if job.maybe_sent:
            self._go_on(job, self._work(self._course_of(job), Next.LOOK))
            return
        lane = self._lanes.of(job.ucc)
        if not lane.is_free:
            self._notes.note(job, Status.WAITING, "pace")
        lane.line_up(job, self._turn_came)

    def begin_watch(self, job: Job, *, may_send: bool) -> None:
        """Look at a watched order, and call `ended` whether its end is known or not; see `watch`."""
        self._go_on(job, self._watch(job, may_send=may_send))

    async def stop(self, at: float) -> None:
        """Let go of every order, calls in flight at the latest `at`, by the loop's clock. `ended` is not called for them."""
        loop = asyncio.get_running_loop()
        while self._tasks and loop.time() < at:
            self._let_go(but_in_flight=True)
            await asyncio.wait(self._tasks, timeout=_STOP_LOOK_SECONDS, return_when="FIRST_COMPLETED")
        self.abandon()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def abandon(self) -> None:
        """Let go of every order at once; see `stop`."""
        self._let_go(but_in_flight=False)

    def _let_go(self, *, but_in_flight: bool) -> None:
        self._lanes.withdraw()
        self._evidence.withdraw()
        for task, job in self._tasks.items():
            if not (but_in_flight and job.is_in_flight):
                task.cancel()

    def _go_on(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = job
        task.add_done_callback(self._task_done)

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        # One that was cancelled before its first step never used its turn.
        self._give_turn_back(self._tasks.pop(task))

    def _turn_came(self, job: Job, granted_at: float | None) -> bool:
        job.is_in_flight = granted_at is not None
        self._go_on(job, self._work(self._course_of(job), Next.SEND, granted_at))
        return True

    def _give_turn_back(self, job: Job) -> None:
        if job.is_in_flight:
            job.is_in_flight = False
            self._lanes.of(job.ucc).done()

    def _course_of(self, job: Job) -> _Course:
        return _Course(job, _case_of(job), self._policy_of(job.ucc))

    async def _work(self, course: _Course, step: Next, granted_at: float | None = None) -> None:
        job = course.job
        try:
            decision = await self._decide(course, step, granted_at)
        except Exception as error:  # noqa: BLE001 (whatever goes wrong with one order must not lose it)
            self._fail(job, error)
            return
        if decision is None:
            until = asyncio.get_running_loop().time() + job.deadline_at - self._clock()
            self._notes.note(job, Status.VERIFYING)
            seen, thorough = partial(self._seen, course), _is_thorough(course.case)
            self._evidence.ask(job.ucc, job.order_number, seen, until=until, patient=True, thorough=thorough)
        else:
            self._end(course, decision)

    def _seen(self, course: _Course, look: Look | None) -> None:
        """Go on with an acknowledged order that was looked at; None: time is up."""
        try:
            decision = None if look is None else self._learn(course, look)
            if decision is not None and decision.next is Next.FINISH:
                self._end(course, decision)
            else:
                self._go_on(course.job, self._work(course, Next.LOOK if decision is None else decision.next))
        except Exception as error:  # noqa: BLE001 (see _work)
            self._fail(course.job, error)

    def _fail(self, job: Job, error: Exception) -> None:
        self._log.error("internal error", order=job.name, error=repr(error), to_do="report it; the order is watched")
        job.status = Status.UNKNOWN
        job.update(text=f"internal error: {type(error).__name__}", final_at=self._clock())
        self._ended(job)

    async def _watch(self, job: Job, *, may_send: bool) -> None:
        try:
            await self.watch(job, may_send=may_send)
        except Exception as error:  # noqa: BLE001 (see _work)
            self._fail(job, error)
        else:
            self._ended(job)

    async def watch(self, job: Job, *, may_send: bool) -> bool:
        """Look at an order that ended while it may still work, and cancel it once more where that is safe.

        Say whether its end is known now: the job has its new final status then, else its old one. Safe is what a job in time
        may do, too; what the broker refused for good is only read.
        """
        course = self._course_of(job)
        case, policy = course.case, course.policy
        case.unsure = True
        may_send = may_send and not is_refusal(job.document.get("code"))
        job.deadline_at = self._clock() + policy.window
        while True:
            decision = await self._look(course)
            if decision.next is Next.FINISH:
                break
            if self._clock() >= job.deadline_at:
                decision = at_deadline(case)
                break
            if decision.next is Next.SEND and may_send:
                may_send = False
                await self._deliver(course)
            elif not _is_open(case, may_send=may_send):
                return False
            await self._pause(course, case.looks + 1)
        if decision.status is None or decision.status in MAY_WORK:
            return False
        job.update(first_final_at=job.document.get("final_at"))
        self._conclude(course, decision)
        return True

    def _end(self, course: _Course, decision: Decision) -> None:
        self._conclude(course, decision)
        self._ended(course.job)

    def _conclude(self, course: _Course, decision: Decision) -> None:
        job, case, now = course.job, course.case, self._clock()
        assert decision.status is not None  # noqa: S101 (a decision to finish names a status)
        job.status = decision.status
        facts: dict[str, Any] = {"verified": decision.verified, "final_at": now, "waiting_for": None}
        facts["verified_at"] = now if decision.verified else None
        if not decision.verified:
            facts["verified_by"] = None
        elif isinstance(row := case.seen, Row):
            facts |= {"filled_quantity": row.filled_quantity, "unfilled_quantity": row.unfilled_quantity}
            if row.state in (OrderState.NOT_CANCELLED, OrderState.GONE) and row.reason:
                facts["text"] = row.reason
        job.update(**facts)
        self._report(job)

    async def _decide(self, course: _Course, step: Next, granted_at: float | None) -> Decision | None:
        """Go on until the order's end is known, or until it is acknowledged and may wait for others that need a look: None."""
        job, case, policy = course.job, course.case, course.policy
        while self._clock() < job.deadline_at:
            if step is Next.SEND:
                if course.rounds:
                    await self._pause(course, course.rounds)
                course.rounds += 1
                verdict = await self._deliver(course, granted_at)
                granted_at = None
                if verdict is _NO_SESSION:
                    return Decision(Next.FINISH, Status.UNKNOWN if case.unsure else Status.BLOCKED)
                if not policy.verify and case.reply_status is not None:
                    return Decision(Next.FINISH, case.reply_status)
                step = Next.LOOK if case.reply_status is not None or case.unsure or case.objections else Next.SEND
                continue
            # Only a fresh acknowledgement may wait for the crowd: everything else is in doubt.
            if case.reply_status is Status.CANCELLED and case.looks == 0:
                return None
            if case.looks:
                await self._pause(course, case.looks)
            try:
                async with asyncio.timeout(job.deadline_at - self._clock()):
                    decision = await self._look(course)
            except TimeoutError:
                break
            if decision.next is Next.FINISH:
                return decision
            step = decision.next
        return await self._when_time_is_up(course)

    async def _when_time_is_up(self, course: _Course) -> Decision:
        job, case, policy = course.job, course.case, course.policy
        if case.looks == 0 and policy.verify and job.first_sent_at is not None:
            try:
                async with asyncio.timeout(policy.last_look):
                    decision = await self._look(course)
                if decision.next is Next.FINISH:
                    return decision
            except TimeoutError:
                self._log.debug("last look timed out", order=job.name)
        return at_deadline(case)

    async def _look(self, course: _Course) -> Decision:
        job, thorough = course.job, _is_thorough(course.case)
        self._notes.note(job, Status.VERIFYING)
        return self._learn(course, await self._evidence.look(job.ucc, job.order_number, thorough=thorough))

    def _learn(self, course: _Course, look: Look) -> Decision:
        """Decide on what was seen."""
        job, case = course.job, course.case
        decision = settle(case, look.finding, now=self._clock(), window_seconds=course.policy.window)
        row = look.finding
        if isinstance(row, Row):
            job.update(verified_by=look.source)
            if row.state is OrderState.NOT_CANCELLED:
                job.update(text=row.reason)
                self._log.info("cancel refused by the exchange", order=job.name, reason=row.reason)
            is_over = decision.next is Next.FINISH and decision.status not in (Status.REFUSED, Status.BLOCKED)
            if not is_over and job.correct(row):
                self._log.info("request corrected by the book", order=job.name, corrected=job.document["corrected"])
                case.variety, case.reply_status, case.last, case.objections = job.variety, None, None, 0
                return Decision(Next.SEND)
        return decision

    async def _deliver(self, course: _Course, granted_at: float | None = None) -> Verdict:
        """Send the cancel, and again while nothing happened and time is left."""
        job = course.job
        first = await self._attempt(course, granted_at)
        if first.action not in _AGAIN:
            return (
                first  # most orders end here; setting tenacity up would cost them as much as all the rest of their way
            )
        known = [first]

        async def attempt() -> Verdict:
            return known.pop() if known else await self._attempt(course)

        retrying = AsyncRetrying(
            retry=retry_if_result(lambda verdict: verdict.action in _AGAIN),
            wait=Backoff(job, course.policy, self._clock),
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

    async def _attempt(self, course: _Course, granted_at: float | None = None) -> Verdict:
        job, case = course.job, course.case
        lane = self._lanes.of(job.ucc)
        if granted_at is None or not lane.is_fresh(granted_at):
            self._give_turn_back(job)
            if not lane.is_free:
                self._notes.note(job, Status.WAITING, "pace")
            if not await lane.turn(job):
                return _TIME_UP
            job.is_in_flight = True
        try:
            verdict = lane.blocked or await self._send(job, case)
        finally:
            self._give_turn_back(job)
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
            job.update(text=_NO_SESSION.text)
            return _NO_SESSION
        verdict = judge(answer, variety=job.variety)
        is_fine = verdict.action is Action.ACKNOWLEDGED
        job.update(
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

    async def _pause(self, course: _Course, tries: int) -> None:
        await asyncio.sleep(Backoff(course.job, course.policy, self._clock).seconds(tries))

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
                to_do="find out what it means and add it to worker/orders/verdict.py; until then orders that get it are read",
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


def _is_thorough(case: Case) -> bool:
    # A single read that finds nothing proves nothing, and one of the two reads may be the one that fails: take turns.
    return case.seen is Finding.MISSING or case.blind_looks % 2 == 1


def _is_open(case: Case, *, may_send: bool) -> bool:
    """Tell whether another look within the same watch can settle what this one left open."""
    if isinstance(case.seen, Row) and case.seen.state is not OrderState.CANCEL_PENDING and may_send:
        return True  # an exit is sent after a second look only
    is_nowhere = case.seen in (Finding.MISSING, Finding.NO_DATA) and case.blind_looks <= MISSING_LOOKS
    return case.reply_status is Status.CANCELLED or is_nowhere


def _last_verdict(state: RetryCallState) -> Verdict:
    assert state.outcome is not None  # noqa: S101
    verdict: Verdict = state.outcome.result()
    return verdict
