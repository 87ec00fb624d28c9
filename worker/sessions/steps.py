"""The atomic steps of logins and sessions: a function for each Lua script, whose head explains keys, arguments and answer."""

from collections.abc import Collection
from typing import Any, Final

from neo_cancel.namespace import Key
from neo_cancel.scripts import ScriptCall, load_script
from worker.ledger.keys import PLACES, SESSIONS, login_key, session_key
from worker.sessions.policy import LoginPolicy

__all__ = ["MOST_PLACES", "UNKNOWN_PLACE", "begin_call", "fail_call", "lease_call", "put_call"]

MOST_PLACES: Final = 2
"""The broker lets so many sessions of an account send orders, each from an address of its own."""
UNKNOWN_PLACE: Final = "-"
_GONE_MS: Final = 300_000
_SPARE_MS: Final = 1000


def _call(script: str, keys: list[Key], arguments: list[Any]) -> ScriptCall:
    return ScriptCall(load_script("worker.sessions", script), keys, arguments)


def lease_call(
    ucc: str,
    attempt: str,
    *,
    place: str | None,
    fingerprint: str,
    is_person: bool,
    useless: Collection[int],
    policy: LoginPolicy,
) -> ScriptCall:
    """Ask to log an account in."""
    keys = [login_key(ucc), session_key(ucc), PLACES]
    times = [int(policy.lease_seconds * 1000), int(policy.cool_down_seconds * 1000)]
    who = [place or "", fingerprint, policy.most_wrong, int(is_person)]
    return _call("lease", keys, [attempt, *times, *who, _GONE_MS, _SPARE_MS, MOST_PLACES, *useless])


def begin_call(ucc: str, fence: int, *, policy: LoginPolicy) -> ScriptCall:
    """Note that an attempt begins."""
    return _call("begin", [login_key(ucc)], [fence, int(policy.held_seconds * 1000)])


def fail_call(
    ucc: str, fence: int, *, fingerprint: str, trouble: str, is_wrong: bool, pauses: tuple[float, float]
) -> ScriptCall:
    """Note that an attempt failed; `pauses`: the first and the longest one, in seconds."""
    milliseconds = [int(seconds * 1000) for seconds in pauses]
    return _call("fail", [login_key(ucc)], [fence, fingerprint, trouble, int(is_wrong), *milliseconds])


def put_call(ucc: str, fence: int, *, place: str, text: str, expires_ms: int, fingerprint: str) -> ScriptCall:
    """Keep a new session."""
    keys = [session_key(ucc), login_key(ucc), SESSIONS, PLACES]
    return _call("put", keys, [fence, place, text, expires_ms, fingerprint, ucc, _GONE_MS, MOST_PLACES])
