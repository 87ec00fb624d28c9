"""What one order remembers between its steps."""

import math
from dataclasses import dataclass

from worker.orders.backoff import Retries
from worker.orders.policy import CancelPolicy
from worker.orders.settlement import Case

__all__ = ["Course"]


@dataclass(slots=True)
class Course:
    """What has happened to one order since this worker took it up; see Case for the evidence.

    `sends_left`: how often it may still be sent, tries after which nothing had happened counting as one. `sending` and `looking`
    are its retries, None while there was none. `is_last_look`: time is up, and one look may still say what became of it.
    """

    case: Case
    policy: CancelPolicy
    sends_left: float = math.inf
    has_sent: bool = False
    is_last_look: bool = False
    sending: Retries | None = None
    looking: Retries | None = None
