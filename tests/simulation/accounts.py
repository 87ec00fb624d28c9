"""One account at the broker: its session, its troubles, its other orders, and the form of a cancel that arrives for it."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import orjson

from tests.simulation.plan import Trouble
from tests.simulation.truth import Order
from tests.simulation.wire import Answer

__all__ = ["PATHS", "Account", "Request", "other_row"]

PATHS: Final = {"regular": "/quick/order/cancel", "bracket": "/quick/order/bo/exit", "cover": "/quick/order/co/exit"}
BROKERS_RATE: Final = 10


@dataclass(frozen=True, slots=True)
class Request:
    """A cancel as it arrives: endpoint, `on`, `am`, `ts` and the session's token."""

    path: str
    number: str
    amo: bool
    symbol: str | None
    token: str


@dataclass(slots=True)
class Account:
    """One account at the broker. `blind`: its reads do not exist. `last`: the last reply to a cancel, for a confused gateway."""

    ucc: str
    troubles: list[Trouble]
    others: bytes
    blind: bool
    without: str  # the read that it does not have, of whole or single
    clock_off: float
    orders: list[Order] = field(default_factory=list)
    by_number: dict[str, Order] = field(default_factory=dict)
    arrivals: deque[float] = field(default_factory=deque)
    last: Answer | None = None
    reads: int = 0

    def trouble(self, kind: str, now: float) -> bool:
        return any(
            trouble.kind == kind and trouble.at <= now < trouble.at + trouble.seconds for trouble in self.troubles
        )

    def token(self, now: float) -> str | None:
        """Say which token the login job has written by now, None where there is none."""
        if self.trouble("no_session", now):
            return None
        return f"token-{sum(one.kind == 'session' and one.at + one.seconds <= now for one in self.troubles)}"

    def accepts(self, token: str, now: float) -> bool:
        """Tell whether the broker knows the token: the newest login's, and none while the session is dead."""
        return token == f"token-{sum(one.kind == 'session' and one.at <= now for one in self.troubles)}"

    def is_too_fast(self, now: float) -> bool:
        """Count a cancel, and tell whether the broker has had too many of the account's within a second."""
        arrivals = self.arrivals
        while arrivals and arrivals[0] <= now - 1.0:
            arrivals.popleft()
        arrivals.append(now)
        return len(arrivals) > BROKERS_RATE


def other_row(account: int, at: int) -> str:
    """Make the row of an order that no cancel is for."""
    row = {
        "nOrdNo": f"2607229{account:03d}{at:05d}",
        "ordSt": "open" if at % 3 else "complete",
        "prod": "MIS",
        "exSeg": "nse_cm",
    }
    row |= {"trdSym": "INFY-EQ", "trnsTp": "S", "qty": 5, "fldQty": 0, "unFldSz": 5, "ordGenTp": "--", "rejRsn": "--"}
    return orjson.dumps(row).decode()
