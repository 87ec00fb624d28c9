"""One login of an account at a time, over all processes: never too soon after the last one, never a storm."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

from worker.observe.events import Event, Publish
from worker.observe.login_events import LoggedIn, LoginFailed, SessionsNotShared
from worker.sessions.policy import LoginPolicy
from worker.sessions.ports import Credentials, LogsIn, NewSession, TotpSource
from worker.sessions.store import SessionStore
from worker.sessions.stored import Full, Granted, Stopped, Stored, Wait

__all__ = ["Renewal", "Renewed"]

_LOOK_SECONDS: Final = (0.05, 0.5)
_TO_DO: Final = {
    "WRONG_CREDENTIALS": "compare mobile number and access token in the accounts file with the broker's pages",
    "WRONG_TOTP": "compare the TOTP secret with the broker's, and this machine's clock with the time",
    "WRONG_MPIN": "mend the MPIN in the accounts file; the broker locks accounts after some wrong ones",
    "WRONG_UCC": "mend the account's name in the accounts file",
    "NOT_WHITELISTED": "whitelist this machine's address with the broker",
    "TRANSIENT": "none, unless it goes on: the broker does not answer",
}
_REPORT: Final = "report it: the broker answered a login in a way that is not known"

Renewed = Stored | Wait | Stopped | Full
"""What came of a renewal: a session, or why there is none yet."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a login failed: the name of its kind, and the broker's code and text."""

    name: str
    code: str | None = None
    text: str | None = None

    @classmethod
    def of(cls, error: Exception) -> "_Trouble":
        """Read what a login raised; of an error that is no refusal only the kind, since its text may quote a secret."""
        kind = getattr(getattr(error, "kind", None), "name", None)
        if isinstance(kind, str):
            return cls(kind, getattr(error, "code", None), getattr(error, "text", None))
        return cls("TRANSIENT" if isinstance(error, TimeoutError) else "UNREADABLE", text=type(error).__name__)


class Renewal:
    """One per process; it belongs to its event loop.

    A process can be killed at any point: what it was about to do is written first, so that the next attempt, of whatever
    process, is far enough away. At most `policy.at_once` logins are under way in this process.
    """

    def __init__(
        self,
        store: SessionStore,
        logs_in: LogsIn,
        codes: TotpSource,
        policy: LoginPolicy,
        publish: Publish,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store, self._logs_in, self._codes, self._policy = store, logs_in, codes, policy
        self._publish, self._sleep = publish, sleep
        self._logins = asyncio.Semaphore(policy.at_once)

    async def renew(self, credentials: Credentials, useless: Collection[int] = ()) -> Renewed:
        """Find a session with no fence of `useless`, whichever process makes it, or make it; wait while another one does."""
        secret = credentials.totp_secret
        if secret is None:
            return Wait(self._policy.cool_down_seconds, "no TOTP secret")
        return await self._renew(credentials, set(useless), lambda: self._codes.next_code(secret), is_person=False)

    async def log_in(self, credentials: Credentials, code: Callable[[], Awaitable[str]]) -> Renewed:
        """Log in with a person's code, whatever sessions there are; `code` is asked for when the login may begin."""
        return await self._renew(credentials, set(), code, is_person=True)

    async def _renew(
        self, credentials: Credentials, useless: set[int], code: Callable[[], Awaitable[str]], *, is_person: bool
    ) -> Renewed:
        least, most = _LOOK_SECONDS
        while True:
            answer = await self._ask(credentials, useless, code, is_person=is_person)
            if isinstance(answer, list):
                if usable := [stored for stored in answer if self._store.is_usable(stored)]:
                    return usable[0]
                self._tell_sealed(credentials.ucc, answer)
                useless.update(stored.fence for stored in answer)
            elif isinstance(answer, Wait) and answer.why == "login":
                await self._sleep(min(least, answer.seconds))
                least = min(least * 1.5, most)
            elif answer is not None:
                return answer

    async def _ask(
        self, credentials: Credentials, useless: set[int], code: Callable[[], Awaitable[str]], *, is_person: bool
    ) -> list[Stored] | Renewed | None:
        """Ask for the lease, and log in if this process has it; None: ask again. The place is not kept while another logs in."""
        async with self._logins:
            answer = await self._store.lease(credentials, useless, is_person=is_person)
            return await self._attempt(credentials, answer.fence, code) if isinstance(answer, Granted) else answer

    def _tell_sealed(self, ucc: str, found: list[Stored]) -> None:
        if self._store.is_shared and (makers := [stored.made_by for stored in found if stored.session is None]):
            text = f"a session of {ucc} that {makers[0]} made is sealed with a key that this process does not have"
            self._publish(SessionsNotShared(text, "give the same keys to all hosts"))

    async def _attempt(
        self, credentials: Credentials, fence: int, code: Callable[[], Awaitable[str]]
    ) -> Renewed | None:
        """Log in once; None where another process was let in meanwhile, or has a newer session: then ask again."""
        try:
            typed = await code()
            if not await self._store.begin(credentials.ucc, fence):
                return None
            async with asyncio.timeout(self._policy.login_seconds):
                new = await self._logs_in.log_in(credentials, typed)
        except Exception as error:  # noqa: BLE001 (whatever it was: it must not be tried again and again)
            return await self._failed(credentials, fence, _Trouble.of(error))
        kept = await self._store.put(credentials, fence, new)
        self._publish(_logged_in(credentials.ucc, new, kept))
        return kept

    async def _failed(self, credentials: Credentials, fence: int, trouble: _Trouble) -> Renewed:
        failures, wrong, pause = await self._store.fail(credentials, fence, trouble.name)
        to_do = _TO_DO.get(trouble.name, _REPORT)
        self._publish(
            LoginFailed(credentials.ucc, trouble.name, trouble.code, trouble.text, failures, round(pause, 1), to_do)
        )
        return Stopped(trouble.name) if wrong >= self._policy.most_wrong else Wait(pause, "failures")


def _logged_in(ucc: str, new: NewSession, kept: Stored | Full | None) -> Event:
    seconds = max(0, int(new.expires_at - kept.made_at)) if isinstance(kept, Stored) else 0
    return LoggedIn(ucc, new.egress_ip, seconds, new.clock_skew)
