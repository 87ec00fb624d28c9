"""What one order remembers between its steps."""

import math
from dataclasses import dataclass

from worker.orders.backoff import Retries
from worker.orders.case import Case
from worker.orders.policy import CancelPolicy

__all__ = ["Course"]


@dataclass(slots=True)
class Course:
    """What has happened to one order since this worker took it up; see Case for the evidence.

    `sends_left`: how often it may still be sent, tries after which nothing had happened counting as one. `sending` are its
    tries after which nothing had happened, `repeating` those that the book asked for, `looking` its looks; None for none.
    `send_at`: when it is sent again, while it is looked at in the pause before that; 0 for none. `may_have_acted`: one of the
    cancels sent since then may have. `is_last_look`: time is up, and one look may still say what became of it.
    """

    case: Case
    policy: CancelPolicy
    sends_left: float = math.inf
    has_sent: bool = False
    send_at: float = 0.0
    may_have_acted: bool = False
    is_last_look: bool = False
    sending: Retries | None = None
    repeating: Retries | None = None
    looking: Retries | None = None
