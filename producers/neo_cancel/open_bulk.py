"""A bulk while it is sent: its id, what is known to be accepted, and the error where it is cut off."""

from collections import Counter

from neo_cancel.errors import LedgerError
from neo_cancel.messages import new_id

__all__ = ["OpenBulk"]


class OpenBulk:
    """One bulk that may be sent in pieces: one id for all of them.

    `asked` is the number of its orders, None where it is not known before all pieces are sent. `offered` counts the orders
    of the pieces so far, `accepted` those for which Redis has answered. `counts` holds how many entries started no new
    work, and why (see BulkHandle). `messages` counts the messages by account and lane.
    """

    def __init__(self, asked: int | None = None) -> None:
        self.batch = new_id()
        self.asked = asked
        self.offered = self.accepted = 0
        self.counts: Counter[str] = Counter()
        self.messages: Counter[tuple[str, str]] = Counter()

    def cut_off(self, error: LedgerError) -> LedgerError:
        """Make the error for a bulk that Redis did not take to its end."""
        asked = self.offered if self.asked is None else self.asked
        said = f"bulk {self.batch} was cut off: {self.accepted} of {asked} orders are accepted for certain, more may be"
        message = f"{error}; {said}; repeat the whole bulk, nothing doubles"
        return type(error)(message, batch=self.batch, accepted=self.accepted)
