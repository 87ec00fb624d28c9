"""What happens to orders, accounts and this worker, as values. Published in one place; the log is the first subscriber.

A field that is None has nothing to say. `order` is UCC:ORDER_NUMBER. No event holds a token, an address or a password.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "AccountBlocked",
    "AccountSlowed",
    "AccountsExposed",
    "AccountsUnreadable",
    "Attempted",
    "BrokerUnreachable",
    "Corrected",
    "Ended",
    "Event",
    "ExchangeRefused",
    "InternalError",
    "LeaseLost",
    "LeaseTaken",
    "LedgerAway",
    "LedgerUnsafe",
    "MessageRefused",
    "NotGivenBack",
    "PoisonRemoved",
    "Publish",
    "Recovered",
    "Refused",
    "Superseded",
    "UnlistedCode",
    "publisher",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


Publish = Callable[[Event], None]
"""Tell every subscriber, now and in this thread. A subscriber must not block."""


@dataclass(frozen=True, slots=True)
class Attempted(Event):
    """A cancel was sent, or could not be: `verdict` is an Action of worker.orders.verdict, `attempt` counts from 1."""

    order: str
    attempt: int
    verdict: str
    code: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """The work on an order has ended with a final status. `verified`: the order book proves it."""

    order: str
    status: str
    attempts: int
    code: str | None = None
    batch: str | None = None
    verified: bool = False


@dataclass(frozen=True, slots=True)
class ExchangeRefused(Event):
    """The book says that the exchange refused a cancel: the order still works. `reason` is the broker's."""

    order: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Corrected(Event):
    """The book contradicted the request in the fields `corrected`; the cancel goes by the book."""

    order: str
    corrected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnlistedCode(Event):
    """The broker answered with a code that no table lists; once per code and process."""

    code: str
    text: str | None
    variety: str


@dataclass(frozen=True, slots=True)
class AccountBlocked(Event):
    """No cancel of an account can be sent from this machine."""

    ucc: str
    code: str | None
    text: str | None
    to_do: str


@dataclass(frozen=True, slots=True)
class BrokerUnreachable(Event):
    """No cancel can be sent until a person mends what `text` says: a certificate, a name. Once for each text and process.

    `ucc`: who met it first.
    """

    ucc: str
    text: str
    to_do: str


@dataclass(frozen=True, slots=True)
class AccountSlowed(Event):
    """The broker found an account too fast: it sends at so many percent of its rate now."""

    ucc: str
    percent_of_rate: int


@dataclass(frozen=True, slots=True)
class AccountsUnreadable(Event):
    """The accounts file, or an account in it, cannot be used: what it said before holds. `error` names file, account, rule."""

    error: str
    to_do: str


@dataclass(frozen=True, slots=True)
class AccountsExposed(Event):
    """Every user of this machine can read the accounts file, or write it. It is used all the same. `text`: file and rule."""

    text: str
    to_do: str


@dataclass(frozen=True, slots=True)
class LeaseTaken(Event):
    """This process has a lease in the ledger, and may work."""

    worker: str
    pid: int


@dataclass(frozen=True, slots=True)
class LeaseLost(Event):
    """The lease ran out: other workers take the orders over."""

    worker: str
    orders: int


@dataclass(frozen=True, slots=True)
class LedgerAway(Event):
    """Redis does not answer, or refuses to write. `doing`: what waits for it; `tries`: how often it was asked."""

    error: str
    doing: str | None = None
    tries: int | None = None
    orders: int | None = None


@dataclass(frozen=True, slots=True)
class PoisonRemoved(Event):
    """So many workers died when they took an order: it became a dead letter, and ended `unknown` unless it had ended.

    From then on it is watched, but never sent; one that kills two more workers is not even read.
    """

    order: str
    crashes: int


@dataclass(frozen=True, slots=True)
class LedgerUnsafe(Event):
    """Redis is set up in a way in which it may lose accepted cancels; `text` says what to change."""

    text: str


@dataclass(frozen=True, slots=True)
class Superseded(Event):
    """A final status was not written, because the order has a newer owner, who finds out its own."""

    order: str
    status: str


@dataclass(frozen=True, slots=True)
class NotGivenBack(Event):
    """This process ends and cannot give its orders back: other workers take them over when its lease has run out."""

    error: str


@dataclass(frozen=True, slots=True)
class Recovered(Event):
    """Orders went back into their queues: `why` is died, lost or stray, `worker` the dead one, None for lost messages."""

    why: str
    orders: int
    worker: str | None = None
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRefused(Event):
    """A whole message cannot be used and became a dead letter. `characters` is its size, `lane` its queue; None: not known."""

    reason: str
    characters: int | None = None
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """A part of a message or a record cannot be used: it became a dead letter."""

    reason: str
    order: str | None = None


@dataclass(frozen=True, slots=True)
class InternalError(Event):
    """A mistake of this program. The order, if one is named, ends `unknown` and is watched."""

    error: str
    order: str | None = None
    doing: str | None = None


def publisher(*subscribers: Publish) -> Publish:
    """Make the one function that everything here is published through. With no subscriber it does nothing."""

    def publish(event: Event) -> None:
        for subscriber in subscribers:
            subscriber(event)

    return publish
