"""One order as a state machine: after each thing that happened, what the order does next. It has no I/O, clock or dice."""

from collections.abc import Callable
from typing import Any, Final

from neo_cancel.record import FINAL, HARMLESS, Status
from worker.kotak.codes import Action, is_refusal
from worker.kotak.order_book import OrderState, Row
from worker.observe.events import Corrected, ExchangeRefused, Publish
from worker.orders.backoff import Draw, Retries
from worker.orders.course import Course
from worker.orders.finding import Finding, LookResult
from worker.orders.job import Job
from worker.orders.policy import CancelPolicy
from worker.orders.settlement import MISSING_LOOKS, Case, at_deadline, settle
from worker.orders.steps import Finish, Look, Send, Step
from worker.orders.verdict import NO_SESSION, Verdict

__all__ = ["OrderMachine"]

_AGAIN: Final = frozenset({Action.RETRY, Action.RENEW})
_MAY_WORK: Final = FINAL - HARMLESS


class OrderMachine:
    """Answers the next step of an order. The order's memory is its `job.course`, made at the first step that needs one.

    `policy_of` gives an account's policy, `draw` the jitter of the pauses. `now` is always seconds since the epoch by
    the ledger's clock. The same machine serves every order; a watched one has a budget of sends.
    """

    def __init__(self, policy_of: Callable[[str], CancelPolicy], draw: Draw, publish: Publish) -> None:
        self._policy_of, self._draw, self._publish = policy_of, draw, publish

    def begin(self, job: Job, now: float, *, sends: int = 0) -> Step:
        """Take an order up. `sends`: how often it may be sent if it is watched; any other order as often as it needs."""
        if job.is_watched:
            course = self._course_of(job)
            course.case.unsure = True
            # What the broker refused for good would be refused again.
            course.sends_left = 0 if is_refusal(job.document.get("code")) else sends
            job.deadline_at = now + course.policy.window
            return Look()
        return Look() if job.maybe_sent else Send()

    def replied(self, job: Job, verdict: Verdict, now: float) -> Step:
        """Go on after an attempt to send."""
        course = self._course_of(job)
        case = course.case
        case.take(verdict, now)
        course.has_sent, course.looking = True, None
        if verdict.action in _AGAIN:
            pause = self._pause_sending(job, course, now, verdict.retry_after_seconds)
            if pause is not None:
                return Send(now + pause)
        elif verdict is NO_SESSION and not job.is_watched:
            return Finish(Status.UNKNOWN if case.unsure else Status.BLOCKED)
        if not course.policy.verify and case.reply_status is not None:
            return _kept_if_watched(job, Finish(case.reply_status))
        if case.reply_status is not None or case.unsure or case.objections:
            return self._look(job, course, now)
        return Send()

    def found(self, job: Job, result: LookResult, now: float) -> Step:
        """Go on after a look at the book."""
        course = self._course_of(job)
        step = settle(course.case, result.finding, now=now, window_seconds=course.policy.window)
        if isinstance(result.finding, Row):
            step = self._learn(job, course.case, result.finding, result.source, step)
        if isinstance(step, Finish):
            return _kept_if_watched(job, step)
        if course.is_last_look:
            return _kept_if_watched(job, at_deadline(course.case))
        if isinstance(step, Send) and course.sends_left > 0:
            course.sends_left -= 1
            pause = self._pause_sending(job, course, now) if course.has_sent else 0.0
            return Send(now + (pause or 0.0))
        if job.is_watched and not _may_be_settled_soon(course):
            return Finish(None)
        return self._look(job, course, now)

    def time_up(self, job: Job, now: float) -> Step:
        """Go on when the time of the order, or of its last look, is up."""
        course = self._course_of(job)
        was_sent_unseen = course.case.looks == 0 and job.first_sent_at is not None
        if was_sent_unseen and course.policy.verify and not course.is_last_look:
            course.is_last_look = True
            return Look(until=now + course.policy.last_look, thorough=_is_thorough(course.case))
        return _kept_if_watched(job, at_deadline(course.case))

    def conclude(self, job: Job, end: Finish, now: float) -> None:
        """Write an order's end into the job. A watched order that keeps its status stays as it is."""
        course, job.course = self._course_of(job), None
        if end.status is None:
            return
        facts: dict[str, Any] = {"verified": end.verified, "final_at": now, "waiting_for": None}
        facts["verified_at"] = now if end.verified else None
        if job.is_watched:
            facts["first_final_at"] = job.document.get("final_at")
        row = course.case.seen
        if not end.verified:
            facts["verified_by"] = None
        elif isinstance(row, Row):
            facts |= {"filled_quantity": row.filled_quantity, "unfilled_quantity": row.unfilled_quantity}
            if row.state in (OrderState.NOT_CANCELLED, OrderState.GONE) and row.reason:
                facts["text"] = row.reason
        job.status = end.status
        job.update(**facts)

    def _course_of(self, job: Job) -> Course:
        if job.course is None:
            # A worker that died without a word may have sent at any time since the order was accepted, not before.
            since = job.first_sent_at or (job.enqueued_ms / 1000 if job.maybe_sent else None)
            case = Case(job.variety, unsure=job.maybe_sent, first_sent_at=since)
            job.course = Course(case, self._policy_of(job.ucc))
        return job.course

    def _learn(self, job: Job, case: Case, row: Row, source: str, step: Step) -> Step:
        """Take from a row what the record should say, and what was wrong about the request."""
        job.update(verified_by=source)
        if row.state is OrderState.NOT_CANCELLED:
            job.update(text=row.reason)
            self._publish(ExchangeRefused(job.name, row.reason))
        is_over = isinstance(step, Finish) and step.status not in (Status.REFUSED, Status.BLOCKED)
        if is_over or not job.correct(row):
            return step
        self._publish(Corrected(job.name, tuple(job.document["corrected"])))
        case.variety, case.reply_status, case.last, case.objections = job.variety, None, None, 0
        return Send()

    def _look(self, job: Job, course: Course, now: float) -> Step:
        case = course.case
        thorough = _is_thorough(case)
        if case.looks == 0:
            # Only a fresh acknowledgement may wait for others: everything else is in doubt.
            return Look(patient=case.reply_status is Status.CANCELLED, thorough=thorough)
        course.looking = course.looking or Retries(course.policy, self._draw)
        return Look(now + (course.looking.pause(job.deadline_at - now) or 0.0), thorough=thorough)

    def _pause_sending(
        self, job: Job, course: Course, now: float, retry_after_seconds: float | None = None
    ) -> float | None:
        course.sending = course.sending or Retries(course.policy, self._draw)
        return course.sending.pause(job.deadline_at - now, retry_after_seconds=retry_after_seconds)


def _kept_if_watched(job: Job, end: Step) -> Step:
    """Keep the old status of a watched order unless it is known that the order is dead."""
    is_news = isinstance(end, Finish) and end.status not in _MAY_WORK
    return end if is_news or not job.is_watched else Finish(None)


def _is_thorough(case: Case) -> bool:
    # A single read that finds nothing proves nothing, and one of the two reads may be the one that fails: take turns.
    return case.seen is Finding.MISSING or case.blind_looks % 2 == 1


def _may_be_settled_soon(course: Course) -> bool:
    """Tell whether another look at a watched order can settle what this one left open."""
    case = course.case
    if isinstance(case.seen, Row) and case.seen.state is not OrderState.CANCEL_PENDING and course.sends_left > 0:
        return True  # an exit is sent after a second look only
    is_nowhere = case.seen in (Finding.MISSING, Finding.NO_DATA) and case.blind_looks <= MISSING_LOOKS
    return case.reply_status is Status.CANCELLED or is_nowhere
