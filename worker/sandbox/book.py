"""What the stand-in broker keeps: accounts, their sessions and their orders."""

import time
import uuid
from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from worker.sandbox.account_form import LoginRules
from worker.sandbox.clock import Clock
from worker.sandbox.login_record import LoginRecord
from worker.sandbox.numbers import OrderNumbers
from worker.sandbox.order import Order
from worker.sandbox.token import jwt, opaque_token

__all__ = ["Account", "Book", "Rules", "Session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How an account behaves. Rates are calls in any rolling second, None means no limit.

    Without `mpin` or `totp_secret` any six digits are accepted, without `mobile` or `access_token` any text.
    """

    orders_per_second: float | None = None
    reads_per_second: float | None = None
    mobile: str | None = None
    access_token: str | None = None
    mpin: str | None = None
    totp_secret: str | None = None
    cancel_pending_seconds: float = 0.0
    history_wrapped: bool = False
    login: LoginRules = field(default_factory=LoginRules)


@dataclass(slots=True)
class Session:
    """What a login hands out; a dead one is kept so that the account of a late call is known.

    `ip` is the address of its login, None without one; `ends_at` is its end by time (monotonic), None: it has none.
    """

    ucc: str
    sid: str
    auth: str
    ip: str | None = None
    ends_at: float | None = None
    is_ended: bool = False

    @property
    def alive(self) -> bool:
        """Whether calls of it are taken."""
        return not self.is_ended and (self.ends_at is None or time.monotonic() < self.ends_at)


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
    opened: list[Session] = field(default_factory=list[Session])
    record: LoginRecord = field(default_factory=LoginRecord)
    cancels: RollingSecond = field(default_factory=RollingSecond)
    reads: RollingSecond = field(default_factory=RollingSecond)

    @property
    def session(self) -> Session | None:
        """Return the newest session, None when none is alive."""
        return next((session for session in reversed(self.opened) if session.alive), None)

    @property
    def is_locked(self) -> bool:
        """Whether there were too many wrong MPINs."""
        most = self.rules.login.mpin_attempts
        return most is not None and self.record.wrong_mpins >= most

    def standing(self) -> dict[str, Any]:
        """Return how the account stands, for the control API; `sessions` are those of logins that are alive."""
        alive = sum(session.alive and session.ip is not None for session in self.opened)
        return {"sessions": alive, "is_locked": self.is_locked}

    def make_room(self, ip: str) -> None:
        """End the sessions that a login from this address leaves no room for."""
        most = self.rules.login.session_limit
        if most is None:
            return
        alive = [session for session in self.opened if session.alive and session.ip is not None]
        others = [session for session in alive if session.ip != ip]
        for session in alive:
            session.is_ended = session.ip == ip or session in others[: len(others) + 1 - most]
        self.record.counts["replaced"] += len(alive) - len(others)
        self.record.counts["pushed_out"] += max(0, len(others) + 1 - most)


class Book:
    """All accounts, sessions and orders. Order numbers are unique over all accounts; `seed` as in OrderNumbers.

    `login_rules` hold for what an account does not name itself, None means as LoginRules has it.
    """

    def __init__(
        self,
        *,
        seed: int | None,
        orders_per_second: float | None = None,
        login_rules: LoginRules | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.numbers = OrderNumbers(seed)
        self.login_rules = login_rules or LoginRules()
        self.clock = clock or Clock()
        self._orders_per_second = orders_per_second
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.accounts: dict[str, Account] = {}
        self.orders: dict[str, Order] = {}
        self.sessions: dict[str, Session] = {}
        self.numbers.clear()

    def open_account(self, ucc: str, rules: Rules) -> Session:
        """Create an account, or replace the rules and sessions of one and unlock it; its orders stay."""
        account = self.accounts.setdefault(ucc, Account(ucc, rules))
        account.rules = rules
        account.record.wrong_mpins = 0
        self.expire(ucc)
        return self.issue(ucc)

    def issue(self, ucc: str, *, ip: str | None = None) -> Session:
        """Open one more session for an account; `ip` is the address of its login, None without one."""
        account = self.accounts[ucc]
        session = Session(ucc, str(uuid.uuid4()), self.token(account), ip)
        if ip is not None:
            account.make_room(ip)
            seconds = account.rules.login.session_seconds
            session.ends_at = None if seconds is None else time.monotonic() + seconds
        self.sessions[session.auth] = session
        account.opened = [*(earlier for earlier in account.opened if earlier.alive), session]
        return session

    def token(self, account: Account) -> str:
        """Return a new token as the account's rules have it."""
        rules = account.rules.login
        if rules.tokens == "opaque":
            return opaque_token()
        return jwt(account.ucc, self.clock.now(), seconds=rules.session_seconds)

    def expire(self, ucc: str) -> int:
        """End every session of an account; returns how many were alive."""
        ended = [session for session in self.accounts[ucc].opened if session.alive]
        for session in ended:
            session.is_ended = True
        return len(ended)

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
