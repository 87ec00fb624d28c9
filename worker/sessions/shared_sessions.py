"""The accounts' sessions as the broker's gateway asks for them: at hand, found in Redis, or made."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from redis.exceptions import RedisError

from worker.kotak.replies import NoSessionError
from worker.kotak.session import Session, Sessions
from worker.observe.events import Event, InternalError, Publish
from worker.observe.login_events import LoginNeeded, LoginStopped, TooManyPlaces
from worker.sessions.ports import AUTOMATIC, EXTERNAL, Credentials, CredentialsBook
from worker.sessions.renewal import Renewal, Renewed
from worker.sessions.shelf import Shelf
from worker.sessions.store import SessionStore
from worker.sessions.stored import Full, Stopped, Stored, Wait

__all__ = ["SharedSessions"]

_AGAIN_SECONDS: Final = 1.0
_STOPPED_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 8.0
_ENDS_SOON_SECONDS: Final = 60.0
_TOO_SHORT_SECONDS: Final = 600.0
"""A session of a broker that gives no longer ones is used until it is refused: to replace it would be a login a minute."""


@dataclass(slots=True)
class _Search:
    """A search for an account's session. `looked` is set when Redis has been looked into; a login may follow."""

    looked: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None


class SharedSessions:
    """See Sessions. One per process; it belongs to its event loop.

    An account that logs in by itself gets its session here; for one whose code a person types, `python -m worker.login` makes
    it. Sessions of all others come from `others`. `patience_seconds`: how long `renew` waits for a login; it goes on after that.
    """

    def __init__(
        self,
        store: SessionStore,
        renewal: Renewal,
        book: CredentialsBook,
        others: Sessions,
        publish: Publish,
        *,
        clock: Callable[[], float] = time.monotonic,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._store, self._renewal, self._book, self._others = store, renewal, book, others
        self._publish, self._clock, self._patience = publish, clock, patience_seconds
        self._shelf = Shelf(store.is_usable)
        self._at_hand = self._shelf.at_hand
        self._accounts = _Accounts()

    async def current(self, ucc: str) -> Session:
        """See Sessions. While there is none, a login is begun and not waited for: an order must not keep its place for it."""
        session = self._at_hand.get(ucc)
        return await self._find(ucc) if session is None else session

    async def renew(self, ucc: str, stale: Session) -> Session | None:
        """See Sessions."""
        if self._credentials(ucc) is None:
            return await self._others.renew(ucc, stale)
        self._shelf.refuse(ucc, stale)
        if ucc not in self._at_hand and (search := self._search(ucc)) is not None and search.task is not None:
            await asyncio.wait({search.task}, timeout=self._patience)
        return self._at_hand.get(ucc)

    async def warm(self, ucc: str, now: float) -> None:
        """Have a session at hand that does not end soon, if one can be had; `now` in seconds since the epoch."""
        held = self._shelf.held(ucc)
        if held is not None and (held.expires_at - now > _ENDS_SOON_SECONDS or held.seconds < _TOO_SHORT_SECONDS):
            return
        if held is not None:
            self._shelf.retire(ucc)
        if (search := self._search(ucc)) is not None and search.task is not None:
            await asyncio.wait({search.task})

    async def look(self) -> None:
        """Notice sessions that other processes have made. Once in a while; raises RedisError where the server is away."""
        await self._store.attend(self._shelf.places)
        for ucc in await self._store.changed():
            if self._credentials(ucc) is not None:
                self._take(ucc, await self._store.find(ucc))

    def forget(self) -> None:
        """Go by the accounts as they are now: they have changed."""
        for ucc in [ucc for ucc in self._at_hand if self._credentials(ucc) is None]:
            self._shelf.drop(ucc)
        self._accounts.not_before.clear()
        self._accounts.told.clear()

    def close(self) -> None:
        """End every search. A login that is under way may have reached the broker: the next one keeps its distance."""
        for search in self._accounts.searches.values():
            if search.task is not None:
                search.task.cancel()

    def _credentials(self, ucc: str) -> Credentials | None:
        credentials = self._book.of(ucc)
        return None if credentials is None or credentials.login == EXTERNAL else credentials

    async def _find(self, ucc: str) -> Session:
        if self._credentials(ucc) is None:
            return await self._others.current(ucc)
        if (search := self._search(ucc)) is not None:
            await search.looked.wait()
        session = self._at_hand.get(ucc)
        if session is None:
            raise NoSessionError(ucc)
        return session

    def _search(self, ucc: str) -> _Search | None:
        """Begin to search, or join the search that is under way; None where it is too soon for another one."""
        search, credentials = self._accounts.searches.get(ucc), self._credentials(ucc)
        if search is None and credentials is not None and self._clock() >= self._accounts.not_before.get(ucc, 0.0):
            search = self._accounts.searches[ucc] = _Search()
            search.task = asyncio.create_task(self._seek(credentials, search))
            search.task.add_done_callback(lambda _: self._accounts.searches.pop(ucc, None))
        return search

    async def _seek(self, credentials: Credentials, search: _Search) -> None:
        ucc, seconds = credentials.ucc, _AGAIN_SECONDS
        try:
            self._take(ucc, await self._store.find(ucc))
            search.looked.set()
            if not self._needs_another(ucc):
                return
            if credentials.login == AUTOMATIC:
                seconds = self._heed(ucc, await self._renewal.renew(credentials, self._shelf.refused(ucc)))
            else:
                self._tell(ucc, LoginNeeded(ucc, f"python -m worker.login {ucc}"))
        except (RedisError, OSError):
            pass  # the ledger's own client tells of it
        except Exception as error:  # noqa: BLE001 (orders wait for this account, and the others go on)
            self._publish(InternalError(repr(error), doing=f"session of {ucc}"))
        finally:
            search.looked.set()
            if seconds and self._needs_another(ucc):
                self._accounts.not_before[ucc] = self._clock() + seconds

    def _needs_another(self, ucc: str) -> bool:
        held = self._shelf.held(ucc)
        return held is None or held.fence in self._shelf.refused(ucc)

    def _heed(self, ucc: str, renewed: Renewed) -> float:
        """Do what came of a renewal; answer for how many seconds none is asked for."""
        if isinstance(renewed, Stored):
            self._shelf.put(renewed)  # also one that has ended by this machine's clock: the broker has just given it
            self._take(ucc, [])
            return 0.0
        if isinstance(renewed, Wait):
            return min(renewed.seconds, _AGAIN_SECONDS)
        if isinstance(renewed, Stopped):
            self._tell(ucc, _stopped(ucc, renewed))
        else:
            self._tell(ucc, _full(ucc, renewed))
        return _STOPPED_SECONDS

    def _take(self, ucc: str, found: list[Stored]) -> None:
        self._shelf.offer(ucc, found)
        if ucc in self._at_hand:
            self._accounts.told.pop(ucc, None)
            self._accounts.not_before.pop(ucc, None)

    def _tell(self, ucc: str, event: Event) -> None:
        """Publish what a person must mend, once until there is a session again."""
        if self._accounts.told.get(ucc) != event:
            self._accounts.told[ucc] = event
            self._publish(event)


@dataclass(slots=True)
class _Accounts:
    """Of the accounts without a session: searches under way, when the next one may begin, what was told last."""

    searches: dict[str, _Search] = field(default_factory=dict[str, _Search])
    not_before: dict[str, float] = field(default_factory=dict[str, float])
    told: dict[str, Event] = field(default_factory=dict[str, Event])


def _stopped(ucc: str, stopped: Stopped) -> Event:
    to_do = f"mend the account in the accounts file; after that, or after `python -m worker.login {ucc}`, it goes on"
    return LoginStopped(ucc, stopped.trouble, to_do)


def _full(ucc: str, full: Full) -> Event:
    to_do = "let workers at two addresses serve the account, not at a third one"
    return TooManyPlaces(ucc, full.places, to_do)
