"""Every key in Redis: its name, its type, how long it lives, and what may touch it.

key                       type        lives              holds
nc:order:UCC:NUMBER       string      time to live       "status fence owner accepted_ms maybe_sent crashes {document}"
nc:batch:ID               list        time to live       UCC:NUMBER of every order of a bulk
risk, routine             list        permanent          Celery's queues, one list per lane
nc:queued:LANE            sorted set  permanent          orders that wait in that queue, by their message's time
nc:workers                sorted set  permanent          workers by the end of their lease
nc:held:WORKER            set         while work goes on what a worker holds; emptied by its work or by recovery
nc:urgent:WORKER          list        a day              orders held by that worker for which more was asked
nc:taken:WORKER           list        a day              what a worker took since it last cleared its suspects
nc:backlog:LANE:UCC       list        until worked off   orders of an account beyond what its workers take at once
nc:backlogs               sorted set  permanent          backlogs by when another worker takes them over
nc:front:LANE             list        60 s               how far that queue was worked off at recovery's latest looks
nc:leader:JOB             string      under its period   a worker has begun the job in this period, for all workers
nc:sweep                  string      10 minutes         how far the walk over all records has come
nc:watch                  sorted set  permanent          orders that ended while they may still work, by their next look
nc:events                 stream      about 20,000       "ended": lines of "UCC:NUMBER status"
nc:dead_letters           list        about 10,000       messages, orders and records that cannot be used, with the reason
nc:counters               hash        permanent          what happened how often, over all workers
nc:pace:UCC               string      seconds            when an account sent, over all workers, and what holds it back
nc:read:UCC               string      seconds            when an account's book may be read next, over all workers
nc:session:UCC            hash        the sessions' own  for each egress address "fence made_ms expires_ms maker sealed"
nc:login:UCC              hash        30 days            an account's logins: lease, fence, cool-down, failures; nothing secret
nc:sessions               sorted set  two days           accounts by when they last got a session
nc:places                 sorted set  a day              egress addresses by when a worker there was last seen
nc:egress:HOST            string      a week             a host's egress address

These are the names of the default namespace. A name is a Key; the client that sends it puts the service's own namespace in
(neo_cancel/namespace.py): `desk:order:...` and the queues `desk:risk`, `desk:routine` in the namespace `desk`.

Names that a producer uses, too, come from neo_cancel.keys; no other module writes a name. Every step that must be atomic is one
Lua script, its keys and arguments explained at its head: `neo_cancel/lua` holds the producer's, `lua` beside this file the
workers'. A record is read by OrderRecord.decode and written by scripts only, which look at nothing but the six words before
its JSON document.
"""

from typing import Final

from neo_cancel.keys import (
    BACKLOGS,
    EVENTS,
    ORDER_PREFIX,
    URGENT_PREFIX,
    WATCH,
    WORKERS,
    backlog_key,
    named_key,
    order_key,
    place_of_backlog,
    queue_key,
    queued_key,
)
from neo_cancel.namespace import Key
from neo_cancel.order import Lane

__all__ = [
    "BACKLOGS",
    "BACKLOG_PREFIX",
    "COUNTERS",
    "DEAD_LETTERS",
    "DEAD_LETTERS_KEPT",
    "EVENTS",
    "EVENTS_KEPT",
    "HELD_PREFIX",
    "ORDER_PREFIX",
    "PERMANENT",
    "PLACES",
    "RISK_QUEUED",
    "ROUTINE_QUEUED",
    "SESSIONS",
    "SWEEP",
    "TAKEN_PREFIX",
    "URGENT_PREFIX",
    "WATCH",
    "WORKERS",
    "backlog_key",
    "egress_key",
    "front_key",
    "held_key",
    "leader_key",
    "login_key",
    "named_key",
    "next_read_key",
    "order_key",
    "pace_key",
    "place_of_backlog",
    "queue_key",
    "queued_key",
    "session_key",
    "taken_key",
    "urgent_key",
]

EVENTS_KEPT: Final = 20_000
DEAD_LETTERS_KEPT: Final = 10_000

SWEEP: Final = Key("nc:sweep")
DEAD_LETTERS: Final = Key("nc:dead_letters")
COUNTERS: Final = Key("nc:counters")
SESSIONS: Final = Key("nc:sessions")
PLACES: Final = Key("nc:places")
BACKLOG_PREFIX: Final = Key("nc:backlog:")
HELD_PREFIX: Final = Key("nc:held:")
TAKEN_PREFIX: Final = Key("nc:taken:")
RISK_QUEUED: Final = queued_key(Lane.RISK)
ROUTINE_QUEUED: Final = queued_key(Lane.ROUTINE)

PERMANENT: Final = (*Lane, WORKERS, WATCH, EVENTS, DEAD_LETTERS, COUNTERS, BACKLOGS, RISK_QUEUED, ROUTINE_QUEUED)
"""Keys that never expire, by design; everything else has a time to live or is emptied by the work itself."""


def front_key(lane: str) -> Key:
    """Name how far a lane's queue was worked off lately."""
    return Key(f"nc:front:{lane}")


def held_key(worker: str) -> Key:
    """Name what a worker holds."""
    return Key(f"{HELD_PREFIX}{worker}")


def leader_key(job: str) -> Key:
    """Name that a job, which one worker does for all, was begun in this period."""
    return Key(f"nc:leader:{job}")


def urgent_key(worker: str) -> Key:
    """Name what became urgent while a worker held it."""
    return Key(f"{URGENT_PREFIX}{worker}")


def taken_key(worker: str) -> Key:
    """Name what a worker took since it last cleared its suspects."""
    return Key(f"{TAKEN_PREFIX}{worker}")


def next_read_key(ucc: str) -> Key:
    """Name when an account's book may be read next."""
    return Key(f"nc:read:{ucc}")


def pace_key(ucc: str) -> Key:
    """Name what an account sent lately, and what holds it back."""
    return Key(f"nc:pace:{ucc}")


def session_key(ucc: str) -> Key:
    """Name an account's sessions."""
    return Key(f"nc:session:{ucc}")


def login_key(ucc: str) -> Key:
    """Name what is known of an account's logins."""
    return Key(f"nc:login:{ucc}")


def egress_key(host: str) -> Key:
    """Name the address from which the broker sees a host."""
    return Key(f"nc:egress:{host}")
