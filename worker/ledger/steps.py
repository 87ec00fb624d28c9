"""The workers' atomic steps in the ledger: a function for each Lua script, whose head explains keys, arguments and answer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from neo_cancel.messages import envelope
from neo_cancel.namespace import Key
from neo_cancel.order import Lane
from neo_cancel.scripts import ScriptCall, load_script
from worker.ledger.keys import (
    BACKLOG_PREFIX,
    BACKLOGS,
    EVENTS,
    EVENTS_KEPT,
    HELD_PREFIX,
    ORDER_PREFIX,
    RISK_QUEUED,
    ROUTINE_QUEUED,
    TAKEN_PREFIX,
    URGENT_PREFIX,
    WATCH,
    WORKERS,
    backlog_key,
    front_key,
    held_key,
    named_key,
    next_read_key,
    order_key,
    pace_key,
    queue_key,
    queued_key,
    taken_key,
    urgent_key,
)

__all__ = [
    "NOTHING",
    "Asked",
    "Entry",
    "PutBack",
    "Wanted",
    "claim_call",
    "dead_call",
    "draw_call",
    "forget_call",
    "lost_call",
    "mend_call",
    "orphans_call",
    "pace_call",
    "read_call",
    "record_call",
    "renew_call",
    "requeue_call",
    "slow_call",
    "stray_call",
    "watch_call",
]

NOTHING = -1
"""Claim at most this: not even what may have been sent already."""


class Entry(NamedTuple):
    """One record to write: its key, the fence it must still have, its text, and its next look in ms (None: no look)."""

    key: Key
    fence: int
    text: bytes | str
    look_ms: int | None = None


class Asked(NamedTuple):
    """Orders of one account that a message asks for: their names, UCC:ORDER_NUMBER, and how many to take at most."""

    ucc: str
    names: Sequence[str]
    at_most: int


class PutBack(NamedTuple):
    """One order to put back: its account and number, the fence its record must still have, and its JSON text for the message."""

    ucc: str
    order_number: str
    fence: int
    document: str


def _call(script: str, keys: Sequence[Key], arguments: Sequence[Any]) -> ScriptCall:
    return ScriptCall(load_script("worker.ledger", script), keys, arguments)


def _hands(worker: str) -> list[Key]:
    """Name what every step that takes orders reads and writes about the worker."""
    return [WORKERS, held_key(worker), taken_key(worker)]


def renew_call(worker: str, *, lease_ms: int, is_first: bool) -> ScriptCall:
    """Keep a worker's lease, or take the first one."""
    keys = [*_hands(worker), urgent_key(worker)]
    return _call("renew", keys, [worker, lease_ms, int(is_first)])


def claim_call(worker: str, lane: str, accounts: Sequence[Asked]) -> ScriptCall:
    """Take orders of some accounts; what is more than `at_most` of one goes into its backlog."""
    keys = [*_hands(worker), RISK_QUEUED, ROUTINE_QUEUED, BACKLOGS]
    keys += (backlog_key(lane, account.ucc) for account in accounts)
    keys += (named_key(name) for account in accounts for name in account.names)
    arguments: list[Any] = [worker, lane, ORDER_PREFIX, URGENT_PREFIX, len(accounts)]
    for account in accounts:
        arguments += (len(account.names), account.at_most)
    return _call("claim", keys, arguments)


def draw_call(worker: str, backlogs: Mapping[Key, int], *, attended_ms: int) -> ScriptCall:
    """Take from each backlog at most so many orders, and mark it as being worked on for `attended_ms`."""
    keys = [*_hands(worker), RISK_QUEUED, ROUTINE_QUEUED, BACKLOGS, *backlogs]
    return _call("draw", keys, [worker, attended_ms, ORDER_PREFIX, *backlogs.values()])


def watch_call(worker: str, *, at_most: int) -> ScriptCall:
    """Take orders from the watch list whose next look is due."""
    return _call("watch", [*_hands(worker), WATCH], [worker, at_most, ORDER_PREFIX])


def orphans_call(lanes: Iterable[str], *, attended_ms: int) -> ScriptCall:
    """Take over a backlog of these lanes that no worker works on any more."""
    return _call("orphans", [BACKLOGS], [attended_ms, *(backlog_key(lane, "") for lane in lanes)])


def record_call(worker: str, entries: Sequence[Entry], *, ttl_seconds: int) -> ScriptCall:
    """Write what a worker knows of orders it holds."""
    arguments: list[Any] = [worker, ttl_seconds, EVENTS_KEPT, ORDER_PREFIX, BACKLOG_PREFIX]
    for entry in entries:
        arguments += (entry.fence, entry.text, "" if entry.look_ms is None else entry.look_ms)
    fixed = [held_key(worker), EVENTS, WATCH, RISK_QUEUED, ROUTINE_QUEUED, BACKLOGS]
    return _call("record", [*fixed, *(entry.key for entry in entries)], arguments)


def dead_call(*, at_most: int) -> ScriptCall:
    """Find a worker whose lease ran out, and some of what it held."""
    return _call("dead", [WORKERS], [at_most, HELD_PREFIX, TAKEN_PREFIX, ORDER_PREFIX])


def lost_call(lane: str, *, pickup_ms: int, at_most: int) -> ScriptCall:
    """Find orders whose message has vanished from the lane's queue."""
    return _call("lost", [queue_key(lane), queued_key(lane), front_key(lane)], [pickup_ms, at_most])


def forget_call(owner: str, names: Sequence[str]) -> ScriptCall:
    """Drop what is left of orders whose records have gone."""
    keys = [held_key(owner), RISK_QUEUED, ROUTINE_QUEUED, *map(named_key, names)]
    return _call("forget", keys, [ORDER_PREFIX])


def stray_call(names: Sequence[str]) -> ScriptCall:
    """Find those of some orders that are in nobody's care."""
    keys = [RISK_QUEUED, ROUTINE_QUEUED, WORKERS, BACKLOGS, *map(named_key, names)]
    return _call("stray", keys, [ORDER_PREFIX, BACKLOG_PREFIX, HELD_PREFIX, *map(str, Lane)])


def mend_call(owner: str, name: str, unreadable: bytes, record: str, *, ttl_seconds: int, look_ms: float) -> ScriptCall:
    """End an order whose record cannot be read, unless it is another record by now; empty: a key of another kind."""
    keys = [named_key(name), held_key(owner), RISK_QUEUED, ROUTINE_QUEUED, WATCH, EVENTS]
    return _call("mend", keys, [name, unreadable, record, ttl_seconds, int(look_ms), EVENTS_KEPT])


def requeue_call(
    *, lane: str, owner: str, orders: Sequence[PutBack], why: str, crashes: int, to_end: bool = False
) -> ScriptCall:
    """Put orders back into a queue; `owner` is the worker that held them, "-" for none.

    `why` is died, released or lost; `crashes` is added to each order's count. They go to the queue's front, because they
    have waited already, or `to_end`.
    """
    texts: dict[str, list[str]] = {}
    for order in orders:
        texts.setdefault(order.ucc, []).append(order.document)
    before, after = envelope(lane=lane, orders=texts)
    fixed = [queue_key(lane), queued_key(lane), held_key(owner), WATCH]
    fields = [before, after, why, crashes, owner, "end" if to_end else "front", ORDER_PREFIX]
    return _call(
        "requeue",
        [*fixed, *(order_key(order.ucc, order.order_number) for order in orders)],
        [*fields, *(order.fence for order in orders)],
    )


class Wanted(NamedTuple):
    """Sends that an account wants: how many, its rate in sends per second, and whether a risk order is first."""

    ucc: str
    sends: int
    rate: float
    is_risk: bool


def pace_call(accounts: Sequence[Wanted], *, ahead_us: int, now_us: int) -> ScriptCall:
    """Ask for sends of some accounts, all processes together. `now_us`: the server's clock as far as it is known, 0 if not."""
    arguments: list[Any] = [ahead_us, now_us]
    for one in accounts:
        arguments += (one.sends, one.rate, "risk" if one.is_risk else "routine")
    return _call("pace", [pace_key(one.ucc) for one in accounts], arguments)


def read_call(ucc: str, *, reads_per_second: float) -> ScriptCall:
    """Reserve the next time at which an account's book may be read."""
    return _call("read", [next_read_key(ucc)], [reads_per_second])


def slow_call(ucc: str, *, pause_us: int = 0) -> ScriptCall:
    """Slow an account down, and let it send nothing for so long: the broker complained."""
    return _call("slow", [pace_key(ucc)], [pause_us])
