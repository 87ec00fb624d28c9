"""A broker's habits, each with its dice, and the tempers that are made of them."""

from dataclasses import dataclass, fields, replace
from typing import Final

__all__ = ["MOST_HIDDEN", "MOST_LAG", "TEMPERS", "Habits", "names"]

MOST_LAG: Final = 4.0
"""Seconds: a read that begins so long after a change shows it, or something later, if it shows the order."""
MOST_HIDDEN: Final = 4.0
"""Seconds: an order that exists is never absent from all readable pages for longer, and then present for as long at least."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Probabilities, unless named `_most` (seconds). All zero: a punctual broker that makes no mistake."""

    # The network, of a cancel.
    not_sent: float = 0.0
    lost_before: float = 0.0
    lost_after: float = 0.0
    slow_reply: float = 0.0
    surplus: float = 0.0  # the reply to another order of the account
    # What a cancel does.
    late_effect: float = 0.0  # acts seconds after the reply or the time-out
    late_most: float = 3.0
    refuse_later: float = 0.0  # "Ok", then "not cancelled"
    refuse_ever: float = 0.0  # of an order: the exchange refuses each cancel
    refuse_early: float = 0.0  # 1006 or 1021 of an order that works
    # What is said about it.
    lie_no: float = 0.0  # it acted, and the reply says no
    lie_ok: float = 0.0  # a dead order is acknowledged
    unlisted: float = 0.0
    definite: float = 0.0  # a refusal for good, of an order that works
    transient: float = 0.0  # 1005, and 502 or HTML after acting or before
    too_fast: float = 0.0
    http_401: float = 0.0
    other_length: float = 0.0  # nOrdNo of another length
    # The book.
    lag: float = 0.0  # of a change: up to `lag_most`, else up to 0.05 s
    lag_most: float = 2.5
    jump: float = 0.0  # of a page: an older snapshot
    jump_most: float = 1.5
    hidden: float = 0.0  # of an order: absent for seconds
    doubled: float = 0.0  # of a row: an older one beside it
    timeless: float = 0.0  # of a page: rows without a time of change
    cut: float = 0.0
    garbage: float = 0.0  # of a page: one row that cannot be read
    no_data: float = 0.0  # 5203, or no rows, although there are orders
    read_lost: float = 0.0
    read_slow: float = 0.0
    no_book: float = 0.0  # of an account: reads do not exist
    half_book: float = 0.0  # of an account: it can read its book or single orders, not both
    clock_off_most: float = 0.0
    # The orders.
    in_flight: float = 0.0  # of an order: pending for seconds
    modified: float = 0.0  # of an order: "modify pending" for seconds, after the request
    snatched: float = 0.0  # of a cancel: filled, or cancelled by another, in the moment it arrives
    filled: float = 0.0
    partly: float = 0.0
    other_cancel: float = 0.0
    gone: float = 0.0
    never: float = 0.0  # no such order
    exits: float = 0.0  # bracket or cover
    amo: float = 0.0
    misnamed: float = (
        0.0  # the request names another variety than the order has, or does not say that it is after-market
    )
    reused: float = 0.0  # yesterday's order had the same number
    # Troubles of an account, each a span of seconds.
    session_trouble: float = 0.0
    address_trouble: float = 0.0
    book_trouble: float = 0.0
    cancel_trouble: float = 0.0
    throttle: float = 0.0  # each cancel is too fast
    # Processes and the ledger.
    deaths: float = 0.0
    pauses: float = 0.0
    stops: float = 0.0
    ledger_trouble: float = 0.0
    early_night: float = 0.0  # the trading day ends before all is settled

    def without(self, name: str) -> "Habits":
        """Break one habit."""
        return replace(self, **{name: 0.0})

    @property
    def in_force(self) -> list[str]:
        """Name the habits that can show, the seconds apart."""
        return [name for name in names() if getattr(self, name)]


def names() -> list[str]:
    """Name every habit that is a probability, and the clock."""
    return [field.name for field in fields(Habits) if field.name not in ("late_most", "lag_most", "jump_most")]


_LIFE: Final = Habits(
    filled=0.12,
    partly=0.08,
    other_cancel=0.08,
    gone=0.05,
    never=0.03,
    exits=0.1,
    amo=0.04,
    misnamed=0.03,
    snatched=0.02,
)
_DEATHS: Final = {"deaths": 0.4, "pauses": 0.6, "stops": 0.3, "ledger_trouble": 0.3, "early_night": 0.1}

TEMPERS: Final[dict[str, Habits]] = {
    # No fault at all: only time passes, and orders are pending, filled or cancelled meanwhile.
    "punctual": replace(_LIFE, in_flight=0.15, modified=0.08, lag=0.0),
    "laggard": replace(
        _LIFE, lag=0.5, jump=0.15, refuse_early=0.15, lost_after=0.03, lost_before=0.03, read_slow=0.05, **_DEATHS
    ),
    "forgetful": replace(
        _LIFE, lag=0.1, lag_most=1.0, hidden=0.3, doubled=0.15, timeless=0.1, cut=0.05, garbage=0.1, no_data=0.08,
        read_lost=0.08, half_book=0.15, refuse_early=0.15, definite=0.03, jump=0.05, lost_after=0.05, book_trouble=0.2,
    ),
    "mumbler": replace(
        _LIFE, not_sent=0.05, lost_before=0.06, lost_after=0.08, slow_reply=0.05, late_effect=0.2, lie_no=0.06, lie_ok=0.03,
        unlisted=0.05, transient=0.08, other_length=0.1, lag=0.1, lag_most=1.0, clock_off_most=40.0, cancel_trouble=0.2,
        **_DEATHS,
    ),
    "fickle": replace(
        _LIFE, refuse_later=0.25, refuse_ever=0.08, refuse_early=0.15, late_effect=0.15, in_flight=0.3, modified=0.2,
        lag=0.2, lag_most=1.5, definite=0.02, book_trouble=0.15,
    ),
    "doorkeeper": replace(
        _LIFE, too_fast=0.08, throttle=0.3, http_401=0.04, session_trouble=0.6, address_trouble=0.4, lag=0.1,
        lag_most=0.5, lost_after=0.02,
        **_DEATHS,
    ),
    "crossed": replace(
        _LIFE, surplus=0.08, other_length=0.1, lag=0.3, lag_most=1.5, lost_after=0.05,
        read_lost=0.05, book_trouble=0.2,
    ),
    "yesterday": replace(_LIFE, reused=0.3, lag=0.2, lag_most=1.5, doubled=0.05, refuse_early=0.1, lost_after=0.05, jump=0.05),
    # Knows the three endpoints of the specification and nothing else.
    "three": replace(
        _LIFE, no_book=1.0, lost_after=0.04, lost_before=0.04, not_sent=0.04, definite=0.04, transient=0.04
    ),
    "storm": replace(
        _LIFE, not_sent=0.04, lost_before=0.04, lost_after=0.05, slow_reply=0.03, surplus=0.02, late_effect=0.1,
        refuse_later=0.1, refuse_ever=0.02, refuse_early=0.08, lie_no=0.03, lie_ok=0.02, unlisted=0.03, definite=0.02,
        transient=0.05, too_fast=0.03, http_401=0.02, other_length=0.05, lag=0.3, jump=0.08, hidden=0.08, doubled=0.05,
        timeless=0.05, cut=0.03, garbage=0.03, no_data=0.03, read_lost=0.05, read_slow=0.03, no_book=0.08,
        half_book=0.05, throttle=0.1, in_flight=0.15, modified=0.1, session_trouble=0.2, address_trouble=0.15, book_trouble=0.2,
        cancel_trouble=0.15, reused=0.02, **_DEATHS,
    ),
}  # fmt: skip
