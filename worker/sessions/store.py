"""Sessions in Redis, shared by all processes, and who may log in."""

import os
import socket
from collections.abc import Collection
from functools import partial
from typing import Any, Final

from neo_cancel.messages import new_id
from worker.ledger.client import LedgerClient
from worker.ledger.keys import PLACES, SESSIONS, egress_key, session_key
from worker.sessions.policy import LoginPolicy
from worker.sessions.ports import Credentials, NewSession
from worker.sessions.steps import UNKNOWN_PLACE, begin_call, fail_call, lease_call, put_call
from worker.sessions.stored import Answer, Full, Granted, Stopped, Stored, Wait, read_stored
from worker.sessions.vault import Vault

__all__ = ["SessionStore", "this_host"]

_HOST_SECONDS: Final = 7 * 86_400
_DAY_SECONDS: Final = 86_400
_OVERLAP_MS: Final = 2000


def this_host() -> str:
    """Name this machine or container, in one word."""
    return "".join(socket.gethostname().split()) or "host"


class SessionStore:
    """One per process; all methods belong to its event loop. Without a vault no session leaves this process.

    `place` is the address from which the broker sees this process, None until that is known: a login tells it, or one that
    another process of this `host` has made. `find` and `changed` raise RedisError where the server is away; the others wait.
    """

    def __init__(self, ledger: LedgerClient, vault: Vault | None, policy: LoginPolicy, *, host: str) -> None:
        self._ledger, self._vault, self._policy, self._host = ledger, vault, policy, host
        self._seen_ms, self._seen = 0, dict[str, str]()
        self._has_asked = False
        self.place: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether other processes can use the sessions that this one makes."""
        return self._vault is not None

    def share(self, vault: Vault | None) -> None:
        """Seal sessions from now on, where that was not possible yet."""
        self._vault = self._vault or vault

    async def find(self, ucc: str) -> list[Stored]:
        """List the sessions of an account that have not ended, for whatever address, the newest first."""
        await self._ask_for_place()
        pairs = _pairs(await self._ledger.run("HGETALL", session_key(ucc)))
        return self._read(ucc, [word for pair in pairs for word in pair])

    async def lease(
        self, credentials: Credentials, useless: Collection[int] = (), *, is_person: bool = False
    ) -> Answer:
        """Ask to log an account in; a session that this process can use, with no fence of `useless`, is answered instead.

        `is_person`: asked for by a person, whatever sessions there are.
        """
        ucc = credentials.ucc
        call = lease_call(
            ucc,
            new_id(),
            place=self.place,
            fingerprint=credentials.fingerprint,
            is_person=is_person,
            useless=useless,
            policy=self._policy,
        )
        kind, *words = [_text(word) for word in await self._ledger.call(call)]
        if kind == "session":
            return self._read(ucc, words)
        if kind == "granted":
            return Granted(int(words[0]))
        if kind == "wait":
            return Wait(int(words[0]) / 1000, words[1])
        return Stopped(words[0]) if kind == "stopped" else Full(tuple(words))

    async def begin(self, ucc: str, fence: int) -> bool:
        """Note that the login begins; False where a newer one was let in meanwhile, and this one must not begin."""
        return bool(await self._ledger.call(begin_call(ucc, fence, policy=self._policy)))

    async def fail(self, credentials: Credentials, fence: int, trouble: str) -> tuple[int, int, float]:
        """Note that the login failed; answer how often it did, how often it was called wrong, and the pause in seconds."""
        call = fail_call(
            credentials.ucc,
            fence,
            fingerprint=credentials.fingerprint,
            trouble=trouble,
            is_wrong=trouble.startswith("WRONG_"),
            pauses=self._policy.pauses(trouble),
        )
        failures, wrong, pause_ms = await self._ledger.call(call)
        return failures, wrong, pause_ms / 1000

    async def put(self, credentials: Credentials, fence: int, new: NewSession) -> Stored | Full | None:
        """Keep a new session for all; None where a newer one is there, or Full where two other addresses have one."""
        ucc, place = credentials.ucc, new.egress_ip or UNKNOWN_PLACE
        await self.learn(new.egress_ip)
        made_by = f"{self._host}:{os.getpid()}"
        stored = Stored(ucc, place, fence, self._ledger.now(), new.expires_at, made_by, new.session)
        call = put_call(
            ucc,
            fence,
            place=place,
            text=stored.sealed(self._vault),
            expires_ms=int(new.expires_at * 1000),
            fingerprint=credentials.fingerprint,
        )
        kind, *places = [_text(word) for word in await self._ledger.call(call)]
        if kind == "full":
            return Full(tuple(places))
        return stored if kind == "kept" else None

    async def learn(self, place: str | None) -> None:
        """Remember from which address the broker sees this host; None is no news."""
        if place is not None and place != self.place:
            self.place = place
            command = ("SET", egress_key(self._host), place, "EX", _HOST_SECONDS)
            await self._ledger.retry_until_available(partial(self._ledger.run, *command))

    async def attend(self, places: Collection[str]) -> None:
        """Say, once in a while, that a worker lives at its own address, or at those of the sessions that it uses."""
        await self._ask_for_place()
        alive = {self.place} if self.place else set(places) - {UNKNOWN_PLACE}
        now_ms = int(self._ledger.now() * 1000)
        if alive:
            scores = [word for place in sorted(alive) for word in (now_ms, place)]
            await self._ledger.run_all([("ZADD", PLACES, *scores), ("EXPIRE", PLACES, _DAY_SECONDS)])

    async def changed(self) -> list[str]:
        """List the accounts that got a session since the last call; the first one lists all."""
        pairs = _pairs(await self._ledger.run("ZRANGEBYSCORE", SESSIONS, self._seen_ms, "+inf", "WITHSCORES"))
        if pairs:
            # A little less than the newest: the server's clock may step back.
            self._seen_ms = max(0, int(float(pairs[-1][1])) - _OVERLAP_MS)
        before, self._seen = self._seen, dict(pairs)
        return [ucc for ucc, at in pairs if before.get(ucc) != at]

    def is_usable(self, stored: Stored) -> bool:
        """Tell whether a session may work from here."""
        fits = self.place is None or stored.place in (self.place, UNKNOWN_PLACE)
        return fits and stored.session is not None and stored.expires_at > self._ledger.now()

    async def _ask_for_place(self) -> None:
        if self.place is None and not self._has_asked:
            known = await self._ledger.run("GET", egress_key(self._host))
            self._has_asked = True
            if known is not None and self.place is None:
                self.place = _text(known)

    def _read(self, ucc: str, words: list[str]) -> list[Stored]:
        found = [
            read_stored(ucc, place, text, self._vault) for place, text in zip(words[::2], words[1::2], strict=True)
        ]
        return sorted((one for one in found if one is not None), key=lambda one: one.fence, reverse=True)


def _text(word: Any) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


def _pairs(answer: Any) -> list[tuple[str, str]]:
    """Read pairs from what redis-py makes of a reply: a mapping, pairs, or one list."""
    if isinstance(answer, dict):
        answer = list(answer.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    elif answer and not isinstance(answer[0], tuple | list):
        answer = list(zip(answer[::2], answer[1::2], strict=True))
    return [(_text(one), _text(other)) for one, other in answer]
