"""The order to cancel, and every rule that it must keep before it may travel."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from neo_cancel.errors import InvalidOrderError

__all__ = ["DEFAULT_DEADLINE_SECONDS", "CancelOrder", "Lane", "Variety", "is_ucc"]

MAX_REASON: Final = 200
MAX_STRATEGY: Final = 64
MAX_DEADLINE_SECONDS: Final = 86_400.0
MIN_DEADLINE_SECONDS: Final = 0.05

# kotak-neo: 15 digits as a rule, 16 in some samples; it never leaves the string form.
_ORDER_NUMBER = re.compile(r"[0-9]{10,20}", re.ASCII)
_UCC = re.compile(r"[A-Z0-9]{3,16}", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9&-]{1,50}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_ucc(value: object) -> bool:
    """Tell whether a value can name an account."""
    return isinstance(value, str) and _UCC.fullmatch(value) is not None


class Variety(StrEnum):
    """The kind of order, hence the broker's endpoint."""

    REGULAR = "regular"
    BRACKET = "bracket"
    COVER = "cover"


class Lane(StrEnum):
    """How urgent a cancel is: a risk cancel waits for no routine cancel."""

    RISK = "risk"
    ROUTINE = "routine"


_VARIETIES = frozenset(Variety)
_LANES = frozenset(Lane)
DEFAULT_DEADLINE_SECONDS: Final[Mapping[str, float]] = {Lane.ROUTINE: 60.0, Lane.RISK: 300.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """A request to cancel one order.

    `ucc` is the client account (3 to 16 of A-Z and 0-9); `order_number` the Nest order number
    exactly as the broker returned it (10 to 20 digits, a string). `variety` chooses the endpoint.
    An after-market order needs `amo=True` and its `trading_symbol`. `strategy` and `reason` name the
    sender and its reason (at most 64 and 200 characters). `deadline_seconds` runs from acceptance; None means
    the lane's default: 60 s routine, 300 s risk.

    Raises InvalidOrderError, naming field, value and rule.
    """

    ucc: str
    order_number: str
    variety: str = Variety.REGULAR
    amo: bool = False
    trading_symbol: str | None = None
    lane: str = Lane.ROUTINE
    strategy: str | None = None
    reason: str | None = None
    deadline_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse what the broker could only refuse later, or worse, misread."""
        if not is_ucc(self.ucc):
            raise InvalidOrderError("ucc", self.ucc, "must be a string of 3 to 16 characters A-Z or 0-9")
        if not isinstance(self.order_number, str) or not _ORDER_NUMBER.fullmatch(self.order_number):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOrderError("order_number", self.order_number, "must be a string of 10 to 20 digits")
        if not isinstance(self.variety, str) or self.variety not in _VARIETIES:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOrderError("variety", self.variety, "must be one of regular, bracket, cover")
        if not isinstance(self.lane, str) or self.lane not in _LANES:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOrderError("lane", self.lane, "must be one of risk, routine")
        self._check_after_market()
        _check_text("strategy", self.strategy, MAX_STRATEGY)
        _check_text("reason", self.reason, MAX_REASON)
        _check_deadline(self.deadline_seconds)

    def _check_after_market(self) -> None:
        if not isinstance(self.amo, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOrderError("amo", self.amo, "must be true or false")
        symbol = self.trading_symbol
        if symbol is not None and (not isinstance(symbol, str) or not _SYMBOL.fullmatch(symbol)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOrderError("trading_symbol", symbol, "must be 1 to 50 characters A-Z, 0-9, & or -")
        if self.amo and symbol is None:
            raise InvalidOrderError("trading_symbol", symbol, "is mandatory for an after-market order (amo)")

    @property
    def key(self) -> tuple[str, str]:
        """What makes two cancels the same cancel."""
        return self.ucc, self.order_number

    @property
    def effective_deadline_seconds(self) -> float:
        """Seconds from acceptance, the lane's default filled in."""
        if self.deadline_seconds is not None:
            return self.deadline_seconds
        return DEFAULT_DEADLINE_SECONDS[self.lane]

    def to_wire(self) -> dict[str, Any]:
        """Give the order as JSON data: every field but those that hold None or the default."""
        wire: dict[str, Any] = {
            "ucc": self.ucc,
            "order_number": self.order_number,
            "variety": str(self.variety),
            "lane": str(self.lane),
            "deadline_seconds": self.effective_deadline_seconds,
        }
        if self.amo:
            wire["amo"] = True
        for name in ("trading_symbol", "strategy", "reason"):
            if (value := getattr(self, name)) is not None:
                wire[name] = value
        return wire

    @classmethod
    def from_wire(cls, wire: object) -> "CancelOrder":
        """Read one order of a message or a file; fields that this version does not know are ignored.

        Raises InvalidOrderError as the constructor does, also for data that is not an object.
        """
        if not isinstance(wire, Mapping):
            raise InvalidOrderError("order", wire, "must be an object with ucc and order_number")
        known: dict[str, Any] = {name: wire[name] for name in _FIELDS if name in wire}
        for name in ("ucc", "order_number"):
            if name not in known:
                raise InvalidOrderError(name, None, "is required")
        return cls(**known)


_FIELDS: Final = tuple(field.name for field in fields(CancelOrder))


def _check_text(field: str, value: object, limit: int) -> None:
    if value is None:
        return
    if not isinstance(value, str) or len(value) > limit:
        raise InvalidOrderError(field, value, f"must be a string of at most {limit} characters")
    if _CONTROL.search(value):
        raise InvalidOrderError(field, value, "must not hold control characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidOrderError(field, value, "must be valid Unicode text") from None


def _check_deadline(value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidOrderError("deadline_seconds", value, "must be a number of seconds")
    if not MIN_DEADLINE_SECONDS <= value <= MAX_DEADLINE_SECONDS:  # NaN fails this, too
        raise InvalidOrderError("deadline_seconds", value, "must lie between 0.05 and 86400 seconds")
