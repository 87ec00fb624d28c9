"""What tests of sessions stand on: a broker that counts logins, and processes that share a Redis."""

import asyncio
import enum
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from neo_cancel.connection import connect_async
from worker.kotak.replies import NoSessionError
from worker.kotak.session import Session
from worker.ledger.client import LedgerClient
from worker.ledger.server import Server
from worker.sessions.policy import LoginPolicy
from worker.sessions.renewal import Renewal
from worker.sessions.shared_sessions import SharedSessions
from worker.sessions.store import SessionStore
from worker.sessions.vault import Vault

KEY = "c2VydmljZSB0ZXN0cyBuZWVkIG5vIHNlY3JldCBrZXk="  # the same in all processes of a test
HERE, THERE = "203.0.113.7", "203.0.113.8"


class Trouble(enum.Enum):
    WRONG_MPIN = 1
    WRONG_TOTP = 2
    NOT_WHITELISTED = 3
    TRANSIENT = 4


class RefusedLoginError(Exception):
    def __init__(self, kind, code="401", text="Invalid credentials or TOTP."):
        super().__init__(str(kind))
        self.kind, self.code, self.text = kind, code, text


@dataclass(frozen=True)
class Account:
    ucc: str
    login: str = "automatic"
    fingerprint: str = "f1"
    totp_secret: SecretStr | None = field(default=SecretStr("JBSWY3DPEHPK3PXP"), repr=False)


class Book:
    def __init__(self, *accounts: Account) -> None:
        self.accounts = {account.ucc: account for account in accounts}

    def of(self, ucc: str) -> Account | None:
        return self.accounts.get(ucc)

    def all(self) -> list[Account]:
        return list(self.accounts.values())


class Others:
    """Sessions of accounts that do not log in here."""

    async def current(self, ucc):
        raise NoSessionError(ucc)

    async def renew(self, ucc, stale):
        return None


@dataclass(frozen=True)
class New:
    session: Session
    expires_at: float
    egress_ip: str | None
    clock_skew: float | None = 0.0


class Broker:
    """Makes sessions, one at a time for each address, and remembers every login. `outcomes`: errors of the logins to come."""

    def __init__(self, *outcomes: Exception | None, seconds: float = 0.02, lasts: float = 3600.0) -> None:
        self.outcomes, self.seconds, self.lasts = list(outcomes), seconds, lasts
        self.logins: list[str] = []
        self.valid: dict[tuple[str, str], Session] = {}
        self.at_once = self.most_at_once = 0
        self._numbers = itertools.count(1)

    def login_at(self, place: str | None) -> "LoginAt":
        return LoginAt(self, place)

    async def make(self, ucc: str, place: str | None) -> New:
        self.logins.append(ucc)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        if self.outcomes and (error := self.outcomes.pop(0)) is not None:
            raise error
        number = next(self._numbers)
        session = Session("https://broker.test", f"sid-secret-{number}", f"auth-secret-{number}")
        self.valid[ucc, place or "-"] = session
        return New(session, time.time() + self.lasts, place)

    def takes(self, ucc: str, place: str, session: Session) -> bool:
        return self.valid.get((ucc, place)) == session

    def end_all(self) -> None:
        self.valid.clear()


class LoginAt:
    def __init__(self, broker: Broker, place: str | None) -> None:
        self.broker, self.place, self.codes = broker, place, 0

    async def log_in(self, credentials: Any, code: str) -> New:
        return await self.broker.make(credentials.ucc, self.place)

    async def next_code(self, secret: SecretStr) -> str:
        self.codes += 1
        return f"{self.codes:06}"


class Process:
    """What one worker process has of sessions, on a connection of its own: to a URL, or a client that is there."""

    def __init__(
        self,
        url: str | Any,
        broker: Broker,
        book: Book,
        *,
        place: str | None = HERE,
        host: str = "h1",
        key: str | None = KEY,
        policy: LoginPolicy | None = None,
        login: Any = None,
        patience_seconds: float = 8.0,
    ) -> None:
        policy, server = policy or LoginPolicy(), Server()
        self.events: list[Any] = []
        self.place, self.broker, self.book = place, broker, book
        redis = url
        if isinstance(url, str):
            redis = connect_async(url, socket_timeout_seconds=2.0, greet=server.greet)
        self.ledger = LedgerClient(redis, server, self.events.append)
        vault = None if key is None else Vault([SecretStr(one) for one in key.split(",")])
        self.store = SessionStore(self.ledger, vault, policy, host=host)
        self.login = login or broker.login_at(place)
        self.renewal = Renewal(self.store, self.login, self.login, policy, self.events.append)
        self.sessions = SharedSessions(
            self.store, self.renewal, book, Others(), self.events.append, patience_seconds=patience_seconds
        )

    async def cancel(self, ucc: str) -> int:
        """Send one order as the sender does; answer how many calls the broker refused."""
        refused = 0
        while True:
            try:
                session = await self.sessions.current(ucc)
            except NoSessionError:
                await asyncio.sleep(0.01)
                continue
            await asyncio.sleep(0.001)
            if self.broker.takes(ucc, self.place or "-", session):
                return refused
            refused += 1
            await self.sessions.renew(ucc, session)

    def named(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def aclose(self) -> None:
        self.sessions.close()
        await self.ledger.aclose()
