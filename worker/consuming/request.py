"""Celery's request for a message: when its task has ended, an event tells Flower whether an order may still work."""

import re
from typing import Any, Final

from celery.worker.request import Request

from worker.dispatch.answer import MAY_WORK

__all__ = ["OutcomeRequest"]

_SUCCEEDED: Final = "task-succeeded"
_BEGINNING: Final = re.compile(rf"\{{'outcome': '({'|'.join(MAY_WORK)})'")


class OutcomeRequest(Request):
    """A task whose answer says that an order may still work ends in that status in Flower: BLOCKED, not SUCCESS.

    Only the event has another name. For Celery the task has succeeded: its message is acknowledged and its result stored,
    nothing is tried again, and no error is logged. Celery has only the answer's text at this point.
    """

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
        """Send an event about this task."""
        if type == _SUCCEEDED and (found := _BEGINNING.match(fields["result"])):
            type = f"task-{found[1]}"  # noqa: A001
        super().send_event(type, **fields)
