"""The record of every order in Redis: the keys, their types, how long they live, and what may touch them.

key                       type        lives              holds
nc:order:UCC:NUMBER       string      time to live       "status fence owner accepted_ms maybe_sent crashes {document}"
nc:batch:ID               list        time to live       UCC:NUMBER of every order of a bulk
risk, routine             list        permanent          Celery's queues, one list per lane
nc:queued:LANE            sorted set  permanent          orders that wait in that queue, by their message's time
nc:workers                sorted set  permanent          workers by the end of their lease
nc:held:WORKER            set         while work goes on what a worker holds; emptied by its work or by recovery
nc:urgent:WORKER          list        60 s               orders held by that worker that became urgent
nc:taken:WORKER           list        60 s               what a worker took since it last cleared its suspects
nc:backlog:LANE:UCC       list        time to live       orders of an account beyond what its workers take at once
nc:backlogs               sorted set  permanent          backlogs by when nobody will have worked on them for too long
nc:front:LANE             list        60 s               how far that queue was worked off at recovery's latest looks
nc:recovery               string      a second           the recovery pass has been done by somebody
nc:watch                  sorted set  permanent          orders that ended while they may still work, by their next look
nc:events                 stream      about 20,000       "ended": lines of "UCC:NUMBER status"
nc:parked                 list        about 10,000       messages nobody could read, with the reason
nc:counters               hash        permanent          what happened how often, over all workers
nc:pace:UCC               list        seconds            when an account sent, over all workers
nc:pace:UCC:risk          string      under 2 s          a risk cancel of the account waits for its turn
nc:pace:UCC:slow          hash        60 s               how much the broker's complaints slow the account

Every step that must be atomic is one Lua script in `lua/`, its keys and arguments explained at its head. A record is read by
OrderRecord.decode and written by nobody but the scripts. The header before the JSON document is all that scripts look at.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import Any, Final

from neo_cancel.messages import CancelOrder, Lane, envelope

__all__ = ["DEFAULT_TTL_SECONDS", "Script", "ScriptCall", "load_script"]

DEFAULT_TTL_SECONDS: Final = 7 * 86_400
EVENTS_KEPT: Final = 20_000
PARKED_KEPT: Final = 10_000

WORKERS: Final = "nc:workers"
WATCH: Final = "nc:watch"
EVENTS: Final = "nc:events"
PARKED: Final = "nc:parked"
COUNTERS: Final = "nc:counters"
BACKLOGS: Final = "nc:backlogs"
RECOVERY: Final = "nc:recovery"
RISK_QUEUED: Final = "nc:queued:risk"
ROUTINE_QUEUED: Final = "nc:queued:routine"

PERMANENT: Final = (
    *Lane,
    WORKERS,
    WATCH,
    EVENTS,
    PARKED,
    COUNTERS,
    BACKLOGS,
    RISK_QUEUED,
    ROUTINE_QUEUED,
)
"""Keys that never expire, by design; everything else has a time to live or is emptied by the work itself."""


def order_key(ucc: str, order_number: str) -> str:
    """Name the record of an order."""
    return f"nc:order:{ucc}:{order_number}"


def named_key(name: str) -> str:
    """Name the record of an order given as UCC:ORDER_NUMBER."""
    return f"nc:order:{name}"


def batch_key(batch: str) -> str:
    """Name the members of a bulk."""
    return f"nc:batch:{batch}"


def queued_key(lane: str) -> str:
    """Name what waits in a lane's queue."""
    return f"nc:queued:{lane}"


def front_key(lane: str) -> str:
    """Name how far a lane's queue was worked off lately."""
    return f"nc:front:{lane}"


def held_key(worker: str) -> str:
    """Name what a worker holds."""
    return f"nc:held:{worker}"


def urgent_key(worker: str) -> str:
    """Name what became urgent while a worker held it."""
    return f"nc:urgent:{worker}"


def taken_key(worker: str) -> str:
    """Name what a worker took since it last cleared its suspects."""
    return f"nc:taken:{worker}"


def backlog_key(lane: str, ucc: str) -> str:
    """Name an account's backlog."""
    return f"nc:backlog:{lane}:{ucc}"


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest the server knows it by."""

    text: str
    digest: str


@cache
def load_script(name: str) -> Script:
    """Read `lua/NAME.lua` once."""
    text = resources.files("neo_cancel").joinpath("lua", f"{name}.lua").read_text()
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script, ready for any client: EVALSHA digest, number of keys, keys, arguments."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[Any]

    @property
    def command(self) -> tuple[Any, ...]:
        """The command to send once the server knows the script."""
        return ("EVALSHA", load_script(self.script).digest, len(self.keys), *self.keys, *self.arguments)


def document(order: CancelOrder, batch: str | None) -> str:
    """Write the JSON document of a fresh record, which is the order's text in the message, too."""
    wire = order.to_wire()
    if batch is not None:
        wire["batch"] = batch
    return json.dumps(wire)


def enqueue_call(
    chunk: Sequence[CancelOrder], *, batch: str | None, ttl_seconds: int, to_backlog: bool = False
) -> ScriptCall:
    """Accept orders of one account and lane: records, queue entry and message in one atomic step.

    With `to_backlog` they wait in the account's backlog, and a message only wakes somebody up to look there.
    """
    ucc, lane = chunk[0].ucc, str(chunk[0].lane)
    documents = [document(order, batch) for order in chunk]
    before, after = envelope(ucc=ucc, lane=lane, orders=[] if to_backlog else documents, batch=batch)
    fixed = [lane, queued_key(lane), batch_key(batch) if batch else "", backlog_key(lane, ucc) if to_backlog else ""]
    prefix = f"nc:order:{ucc}:"
    return ScriptCall(
        "enqueue",
        [*fixed, *(prefix + order.order_number for order in chunk)],
        [ttl_seconds, before, after, lane, *documents],
    )


def requeue_call(
    *,
    lane: str,
    ucc: str,
    owner: str,
    orders: Sequence[tuple[str, int, str]],
    why: str,
    crashes: int,
    to_end: bool = False,
) -> ScriptCall:
    """Put orders back into a queue: (order number, fence it must still have, JSON document) for each; `owner` "-" for nobody.

    `why` is died, released or lost; `crashes` is added to each order's count. They go to the queue's front, because they
    have waited already, or `to_end`.
    """
    before, after = envelope(ucc=ucc, lane=lane, orders=[document for _, _, document in orders])
    return ScriptCall(
        "requeue",
        [lane, queued_key(lane), held_key(owner), *(order_key(ucc, number) for number, _, _ in orders)],
        [before, after, why, crashes, owner, "end" if to_end else "front", *(fence for _, fence, _ in orders)],
    )


def ended_names(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> list[str]:
    """Read entries of the event stream: UCC:ORDER_NUMBER of every order that became final, oldest first."""
    return [line.partition(" ")[0] for _, fields in entries for line in fields[b"ended"].decode().split("\n")]
