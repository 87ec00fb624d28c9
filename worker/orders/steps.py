"""What an order does next: the three answers of its state machine."""

from dataclasses import dataclass

from neo_cancel.record import Status

__all__ = ["Finish", "Look", "Send", "Step"]


@dataclass(frozen=True, slots=True)
class Send:
    """Go into the account's queue and be sent when the turn comes, not before `not_before`.

    Times are seconds since the epoch by the ledger's clock; 0 is at once. `waiting_for` says what a wait until then is for:
    backoff or session. `until`: when the machine is asked again if no turn has come, None for the order's deadline.
    """

    not_before: float = 0.0
    waiting_for: str = "backoff"
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Wait for evidence from the order book, read after `not_before` (as in Send).

    `until`: when no finding is wanted any more, None for the order's deadline. `patient`: the finding may wait for other
    orders that need one. `thorough`: read the whole book, because a read of a single order that is not there proves nothing.
    """

    not_before: float = 0.0
    until: float | None = None
    patient: bool = False
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The work ends with `status`; `verified` says that the book proves it.

    Status None: a watched order keeps the status that it ended with, because nothing new is known.
    """

    status: Status | None
    verified: bool = False


Step = Send | Look | Finish
