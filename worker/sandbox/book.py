"""What the stand-in broker keeps: accounts, their sessions and their orders."""

import base64
import time
import uuid
from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

import orjson

from worker.sandbox.numbers import OrderNumbers
from worker.sandbox.order import Order

__all__ = ["Account", "Book", "Rules", "Session", "session_token"]


_IST_SECONDS = 19_800
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How an account behaves. Rates are calls in any rolling second, None means no limit.

    Without `mpin` or `totp_secret` any six digits are accepted.
    """

    orders_per_second: float | None = None
    reads_per_second: float | None = None
    mpin: str | None = None
    totp_secret: str | None = None
    cancel_pending_seconds: float = 0.0
    history_wrapped: bool = False


@dataclass(slots=True)
class Session:
    """What a login hands out; a dead one is kept so that the account of a late call is known."""

    ucc: str
    sid: str
    auth: str
    alive: bool = True


class RollingSecond:
    """The calls of the past second."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def exceeds(self, limit: float | None, now: float) -> bool:
        """Count a call at `now`; True when more than `limit` calls, refused ones included, were in its second."""
        times = self._times
        times.append(now)
        while now - times[0] >= 1.0:
            times.popleft()
        return limit is not None and len(times) > limit


@dataclass(slots=True)
class Account:
    """A client of the broker."""

    ucc: str
    rules: Rules
    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    session: Session | None = None
    logins: int = 0
    used_totp: set[str] = field(default_factory=set[str])
    cancels: RollingSecond = field(default_factory=RollingSecond)
    reads: RollingSecond = field(default_factory=RollingSecond)


class Book:
    """All accounts, sessions and orders. Order numbers are unique over all accounts; `seed` as in OrderNumbers."""

    def __init__(self, *, seed: int | None, orders_per_second: float | None = None) -> None:
        self.numbers = OrderNumbers(seed)
        self._orders_per_second = orders_per_second
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.accounts: dict[str, Account] = {}
        self.orders: dict[str, Order] = {}
        self.sessions: dict[str, Session] = {}
        self.numbers.clear()

    def open_account(self, ucc: str, rules: Rules) -> Session:
        """Create an account, or replace the rules and sessions of one; its orders stay."""
        account = self.accounts.setdefault(ucc, Account(ucc, rules))
        account.rules = rules
        self.expire(ucc)
        return self.issue(ucc)

    def issue(self, ucc: str) -> Session:
        """Open one more session for an account; earlier ones stay valid."""
        session = Session(ucc, str(uuid.uuid4()), session_token(ucc))
        self.sessions[session.auth] = session
        self.accounts[ucc].session = session
        return session

    def expire(self, ucc: str) -> None:
        """End every session of an account."""
        for session in self.sessions.values():
            if session.ucc == ucc:
                session.alive = False
        self.accounts[ucc].session = None

    def add(self, orders: Iterable[Order]) -> None:
        """Take new orders in; the caller has seen to it that accounts exist and numbers are free."""
        for order in orders:
            self.orders[order.order_number] = order
            self.accounts[order.ucc].orders[order.order_number] = order

    def new_number(self, taken: Container[str] = ()) -> str:
        """Draw a free order number that is not in `taken`."""
        while True:
            number = self.numbers.draw()
            if number not in self.orders and number not in taken:
                return number

    def order_limit(self, account: Account) -> float | None:
        """Return cancels a second that this account may send; None means no limit."""
        limit = account.rules.orders_per_second
        return self._orders_per_second if limit is None else limit


def session_token(ucc: str) -> str:
    """Return a token in the shape of a JWT that runs out at the next midnight in India."""
    now = int(time.time())
    midnight = (now + _IST_SECONDS) // _DAY_SECONDS * _DAY_SECONDS + _DAY_SECONDS - _IST_SECONDS
    parts = ({"alg": "RS256", "typ": "JWT"}, {"sub": ucc, "scope": ["Trade"], "exp": midnight, "jti": uuid.uuid4().hex})
    head, payload = (base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in parts)
    return f"{head}.{payload}.{uuid.uuid4().hex}"
