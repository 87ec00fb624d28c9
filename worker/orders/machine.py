"""One order as a state machine: after each thing that happened, what the order does next. It has no I/O, clock or dice."""

from collections.abc import Callable
from typing import Any, Final

from neo_cancel.record import Status
from worker.kotak.codes import Action, Codes
from worker.kotak.order_book import OrderState, Row
from worker.observe.events import Corrected, ExchangeRefused, Publish
from worker.orders.backoff import Draw, Retries
from worker.orders.case import Case
from worker.orders.course import Course
from worker.orders.finding import Finding, LookResult
from worker.orders.job import Job
from worker.orders.policy import CancelPolicy
from worker.orders.repeats import may_send, pause_against_the_book
from worker.orders.settlement import MISSING_SECONDS, proven_end, settle
from worker.orders.steps import Finish, Look, Send, Step
from worker.orders.verdict import NO_SESSION, Verdict
from worker.orders.watching import MAY_WORK, after_watch, end_in_time, is_guess, kept_if_watched, may_be_settled_soon

__all__ = ["OrderMachine"]

_AGAIN: Final = frozenset({Action.RETRY, Action.RENEW, Action.MEND})
_MOST_LOOK_PAUSE_SECONDS: Final = 1.5
_UNSEEN_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 1.0


class OrderMachine:
    """Answers the next step of an order. The order's memory is its `job.course`, made at the first step that needs one.

    `policy_of` gives an account's policy, `draw` the jitter of the pauses. `now` is always seconds since the epoch by
    the ledger's clock. The same machine serves every order; a watched one has a budget of sends.
    """

    def __init__(self, policy_of: Callable[[str], CancelPolicy], draw: Draw, publish: Publish, codes: Codes) -> None:
        self._policy_of, self._draw, self._publish, self._codes = policy_of, draw, publish, codes

    def begin(self, job: Job, now: float, *, sends: int = 0) -> Step:
        """Take an order up. `sends`: how often it may be sent if it is watched; any other order as often as it needs."""
        if job.is_watched:
            course = self._course_of(job)
            # What the broker refused for good would be refused again.
            course.sends_left = 0 if self._codes.is_refusal(job.document.get("code")) else sends
            # Long enough to see what came of one more cancel, however far the book is behind.
            window = course.policy.window
            job.deadline_at = now + window + max(window, 2 * MISSING_SECONDS)
            return Look()
        return Look() if job.maybe_sent else Send()

    def replied(self, job: Job, verdict: Verdict, now: float) -> Step:
        """Go on after an attempt to send."""
        course = self._course_of(job)
        case = course.case
        case.first_sent_at = case.first_sent_at or job.first_sent_at
        case.take(verdict, now)
        course.has_sent, course.looking, course.send_at = True, None, 0.0
        course.may_have_acted |= verdict.may_have_acted or verdict.action is Action.ACKNOWLEDGED
        if (end := proven_end(case)) is not None:  # a page said so while the cancel was under way
            return end
        if job.is_watched and verdict.action is Action.ACKNOWLEDGED:  # it has as long to stand as any other Ok
            job.deadline_at = max(job.deadline_at, now + course.policy.window)
        is_no = verdict.action in (Action.REFUSED, Action.UNCLEAR) and may_send(job, course)
        if is_no and case.row is not None and self._correct(job, course, case.row):
            # A page said what was wrong with it while the cancel was under way.
            return Send() if case.may_be_repeated else self._look(job, course, now)
        # A watched order is sent once a look: what may have acted is looked at first.
        is_spent = job.is_watched and verdict.may_have_acted
        # One that was acknowledged may be gone: it is looked at between its tries.
        is_repeated = verdict.action in _AGAIN and not is_spent and case.ok_at is None
        if is_repeated or verdict is NO_SESSION:
            pause = self._pause(job, course, now, verdict)
            if pause is not None:
                return Send(now + pause, "session" if verdict is NO_SESSION else "backoff")
        if not course.policy.verify and case.reply_status is not None:
            return kept_if_watched(job, Finish(case.reply_status))
        return self._look(job, course, now)

    def found(self, job: Job, result: LookResult, now: float) -> Step:
        """Go on after a look at the book."""
        course = self._course_of(job)
        before = course.case.row
        step = settle(course.case, result, now=now, window=course.policy.window)
        if isinstance(result.finding, Row) and self._learn(job, course, result, step, before=before, now=now):
            may_be_sent = course.case.may_be_repeated or course.case.is_proof(course.policy.window)
            step = Send() if may_be_sent else Look()
        if isinstance(step, Finish) and not (job.is_watched and is_guess(step) and course.case.blind_looks == 1):
            return kept_if_watched(job, step)
        if course.is_last_look and now >= job.deadline_at:
            return end_in_time(job, course)
        if isinstance(step, Send) and may_send(job, course):
            return self._send_again(job, course, now)
        if job.is_watched and not may_be_settled_soon(course):
            return kept_if_watched(job, after_watch(course))
        return self._look(job, course, now)

    def time_up(self, job: Job, now: float) -> Step:
        """Go on when the time of the order, of its wait for a turn, or of its last look is up."""
        course = self._course_of(job)
        if now < job.deadline_at:
            course.send_at = now  # it has had its pause
            return self._look(job, course, now)
        case, was_sent = course.case, job.first_sent_at is not None or course.case.last is not None
        # What the book said a while ago may be over, and what it lacked then may be proven by now.
        seen_at = case.last_miss_at if case.row is None else case.row_began_at
        is_unseen = case.looks == 0 or (seen_at > 0 and now - seen_at >= _STALE_SECONDS)
        if was_sent and is_unseen and course.policy.verify and not course.is_last_look:
            course.is_last_look = True
            return Look(until=now + course.policy.last_look, thorough=_is_thorough(course.case))
        return end_in_time(job, course)

    def remember(self, job: Job, now: float) -> None:
        """Note that an order is sent."""
        self._course_of(job).case.last_sent_at = now

    def glimpse(self, job: Job, result: LookResult) -> None:
        """Remember what a look showed that the order had not asked for, also before it was ever sent."""
        course = self._course_of(job)
        if isinstance(result.finding, Row):
            course.case.see(result.finding, result.began_at)
            # What may have acted is looked at before it goes another way.
            if not (job.is_in_flight or course.case.unsure):
                self._correct(job, course, result.finding)
        elif result.finding is Finding.MISSING:
            course.case.miss(result.began_at)

    def see(self, job: Job, result: LookResult, now: float) -> Step | None:
        """Take in a row that no look of this order asked for: its end if it is dead, else None and the order goes on."""
        course = self._course_of(job)
        if isinstance(result.finding, Row):
            course.case.see(result.finding, result.began_at)
        if (end := proven_end(course.case)) is None:
            return None
        job.update(verified_by=result.source, seen_at=now)
        return end

    def conclude(self, job: Job, end: Finish, now: float) -> None:
        """Write an order's end into the job. A watched order that keeps its status stays as it is."""
        course, job.course = self._course_of(job), None
        if end.status is None:
            return
        facts: dict[str, Any] = {"verified": end.verified, "final_at": now, "waiting_for": None}
        facts["verified_at"] = now if end.verified else None
        if job.is_watched:
            facts["first_final_at"] = job.document.get("final_at")
        row = course.case.row
        if not end.verified:
            facts["verified_by"] = None
        elif row is not None:
            facts |= {"filled_quantity": row.filled_quantity, "unfilled_quantity": row.unfilled_quantity}
            if row.state in (OrderState.NOT_CANCELLED, OrderState.GONE) and row.reason:
                facts["text"] = row.reason
            elif end.status in MAY_WORK and not (job.document.get("code") or job.document.get("text")):
                facts["text"] = f"the book says: {row.said}"  # the reply was heard by a worker that died
        job.status = end.status
        job.update(**facts)

    def _course_of(self, job: Job) -> Course:
        if job.course is None:
            case = Case(
                job.variety,
                accepted_at=job.accepted_at,
                unsure=job.maybe_sent,
                first_sent_at=job.first_sent_at,
                was_seen="seen_at" in job.document,
            )
            if job.is_watched and self._codes.is_refusal(job.document.get("code")):
                # Of what was refused for good, a row that is young enough proves that it works.
                case.last = Action.REFUSED
                case.last_at = case.proof_from = job.document.get("answered_at", job.accepted_at)
            job.course = Course(case, self._policy_of(job.ucc))
        return job.course

    def _learn(
        self, job: Job, course: Course, result: LookResult, step: Step, *, before: Row | None, now: float
    ) -> bool:
        """Take from a row what the record should say; tell whether the request was wrong, so that it must be sent anew."""
        row = result.finding
        assert isinstance(row, Row)  # noqa: S101
        job.update(verified_by=result.source, seen_at=now)
        if row.state is OrderState.NOT_CANCELLED:
            job.update(text=row.reason or job.document.get("text"))
            if before is None or before.state is not row.state:
                self._publish(ExchangeRefused(job.name, row.reason))
        if row.state is OrderState.WORKING and before is not None and before.state is OrderState.IN_FLIGHT:
            # It has arrived: what was refused on its way is worth another try at once.
            course.sending = course.repeating = None
        is_over = isinstance(step, Finish) and step.status not in (Status.REFUSED, Status.BLOCKED)
        return not is_over and self._correct(job, course, row)

    def _correct(self, job: Job, course: Course, row: Row) -> bool:
        if not job.correct(row):
            return False
        self._publish(Corrected(job.name, tuple(job.document["corrected"])))
        course.case.forget_replies(job.variety)
        course.has_sent, course.repeating = False, None  # what is right now was never sent
        return True

    def _send_again(self, job: Job, course: Course, now: float) -> Step:
        """Send after a pause; one that may have been cancelled is looked at in a long pause, and in a long wait for its turn."""
        at = course.send_at or now + pause_against_the_book(job, course, now, self._draw)
        is_open = course.case.unsure and not job.is_watched  # a watch sends once, and then ends
        if is_open and at - now > _UNSEEN_SECONDS:
            course.send_at = at
            return Look(min(at, now + _UNSEEN_SECONDS))
        course.send_at = 0.0
        course.sends_left -= 1
        return Send(max(at, now), until=max(at, now) + _UNSEEN_SECONDS if is_open else None)

    def _look(self, job: Job, course: Course, now: float) -> Step:
        case = course.case
        # A cancel that the broker acknowledged is most likely done: it can wait for others, but not a risk order's first look.
        is_urgent = job.is_risk and case.looks == 0
        patient = case.last is Action.ACKNOWLEDGED and not (is_urgent or case.is_contradicted)
        thorough = _is_thorough(case)
        if case.looks == 0:
            return Look(patient=patient, thorough=thorough)
        course.looking = course.looking or Retries(course.policy, self._draw, most=_MOST_LOOK_PAUSE_SECONDS)
        return Look(now + (course.looking.pause(job.deadline_at - now) or 0.0), patient=patient, thorough=thorough)

    def _pause(self, job: Job, course: Course, now: float, verdict: Verdict) -> float | None:
        course.sending = course.sending or Retries(course.policy, self._draw)
        return course.sending.pause(job.deadline_at - now, verdict)


def _is_thorough(case: Case) -> bool:
    # A single read that finds nothing proves nothing, and one of the two reads may be the one that fails: take turns.
    return case.seen is Finding.MISSING or case.blind_looks % 2 == 1
