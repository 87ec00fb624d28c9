"""What a watch may change about an order that has ended, and how long it goes on. Pure."""

from typing import Final

from neo_cancel.record import FINAL, HARMLESS, Status
from worker.kotak.codes import Action
from worker.kotak.order_book import OrderState, Row
from worker.orders.course import Course
from worker.orders.finding import Finding
from worker.orders.job import Job
from worker.orders.settlement import MISSES, at_deadline
from worker.orders.steps import Finish

__all__ = ["MAY_WORK", "after_watch", "end_in_time", "is_guess", "kept_if_watched", "may_be_settled_soon"]

MAY_WORK: Final = FINAL - HARMLESS
"""The final statuses of orders that may still work."""


def kept_if_watched(job: Job, end: Finish) -> Finish:
    """Keep the old status of a watched order unless something is known now that was not."""
    if not job.is_watched or end.status not in MAY_WORK:
        return end
    # What may have been cancelled meanwhile is not refused or blocked any more.
    is_proof = end.status is Status.REFUSED and end.verified
    is_news = (is_proof or end.status is Status.UNKNOWN) and job.status is not end.status
    return end if is_news else Finish(None)


def end_in_time(job: Job, course: Course) -> Finish:
    """Answer how an order ends whose time is up; see kept_if_watched."""
    end = at_deadline(course.case, window=course.policy.window)
    return kept_if_watched(job, after_watch(course) if job.is_watched and is_guess(end) else end)


def is_guess(end: Finish) -> bool:
    """Tell an end that says without proof that the order may work."""
    return not end.verified and end.status in MAY_WORK


def after_watch(course: Course) -> Finish:
    """End a watch without proof: only a cancel that it sent, and that may have acted, changes what is known."""
    return Finish(Status.UNKNOWN if course.may_have_acted else None)


def may_be_settled_soon(course: Course) -> bool:
    """Tell whether another look at a watched order can settle what this one left open."""
    case = course.case
    if case.blind_looks == 1:
        return True  # the book may be had where the single order is not, and the other way round
    if isinstance(case.seen, Row) and case.seen.state is not OrderState.CANCEL_PENDING and course.sends_left > 0:
        return True  # an exit is sent after a while only
    is_nowhere = case.seen in (Finding.MISSING, Finding.NO_DATA) and not case.was_seen
    is_nowhere &= case.blind_looks <= MISSES or case.misses > 0
    return case.last in (Action.ACKNOWLEDGED, Action.REFUSED, Action.UNCLEAR) or is_nowhere
