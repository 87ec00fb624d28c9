"""How often, and after which pauses, an order is sent again that the book shows alive."""

from typing import Final

from worker.kotak.codes import Action
from worker.orders.backoff import Draw, Retries
from worker.orders.course import Course
from worker.orders.job import Job

__all__ = ["MOST_ANSWERS", "MOST_EARLY_SENDS", "MOST_SENDS", "may_send", "pause_against_the_book"]

MOST_SENDS: Final = 8
"""So many replies to an order that the book shows alive again and again are enough; then it is only looked at.

What was never answered does not count: a broker that is away for minutes has not refused anything.
"""
MOST_EARLY_SENDS: Final = 4
"""So many while the order is on its way; once it has arrived it is sent again."""
MOST_ANSWERS: Final = 12
"""So many in all, whatever is corrected meanwhile."""
_AGAINST_THE_BOOK: Final = 4.0
"""How much longer each pause is before a cancel that the book asks for. Those after which nothing had happened double theirs."""


def may_send(job: Job, course: Course) -> bool:
    """Tell whether an order may be sent again; a watched one has a budget instead."""
    case = course.case
    is_asked = case.oks + case.objections >= MOST_SENDS
    if case.is_in_flight:
        is_asked = case.early_objections >= MOST_EARLY_SENDS
    return course.sends_left > 0 and (job.is_watched or not (is_asked or case.answers >= MOST_ANSWERS))


def pause_against_the_book(job: Job, course: Course, now: float, draw: Draw) -> float:
    """Say in how many seconds; 0 is at once."""
    if not course.has_sent or course.case.last is Action.ACKNOWLEDGED:
        return 0.0  # the book has had its time, and nothing looks at an order that waits to be sent
    if course.repeating is None:
        course.repeating = Retries(course.policy, draw, growth=_AGAINST_THE_BOOK)
    return course.repeating.pause(job.deadline_at - now) or 0.0
