"""What tests of the ledger's room stand on: a scripted ledger, jobs, and a worker on a stand-in for Redis with the same Lua."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import fakeredis

from neo_cancel import CancelOrder, OrderRecord
from neo_cancel.keys import named_key
from neo_cancel.scripts import ScriptCall
from tests.accepting import accept_call
from worker.ledger.assembly import LedgerCallbacks, LedgerOptions, LedgerRoom
from worker.ledger.claims import Claimed
from worker.ledger.client import LedgerClient
from worker.ledger.server import Server
from worker.observe.events import Event
from worker.orders.job import Job

UCC = "AB123"
LEASE_SECONDS = 3600.0
DAY_MS = 86_400_000


def number(last: int) -> str:
    return f"2510150001{last:05}"


def name(last: int) -> str:
    return f"{UCC}:{number(last)}"


def order(last: int = 1, **fields: Any) -> CancelOrder:
    return CancelOrder(ucc=UCC, order_number=number(last), **fields)


def job(last: int = 1, *, status: str = "sending", fence: int = 1, enqueued_ms: int = 1000, crashes: int = 0) -> Job:
    document = json.dumps(order(last).to_wire())
    return Job.decode(f"{status} {fence} w1 {enqueued_ms} 0 {crashes} {document}".encode())


class ScriptedLedger:
    """A ledger that gives the answers it was made with, one a script call, and remembers what it was asked.

    An answer that is an exception is raised; a function is called with the script call.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[ScriptCall] = []
        self.commands: list[tuple[Any, ...]] = []
        self.members: set[bytes] = set()
        self.restarted_ms = 0
        self.offset = 0.0

    async def call(self, call: ScriptCall) -> Any:
        self.calls.append(call)
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(call) if callable(answer) else answer

    async def run(self, *command: Any) -> Any:
        self.commands.append(command)
        return self.members if command[0] == "SMEMBERS" else 1

    def learn_time(self, server_ms: int, *, asked_at: float) -> None:
        self.offset = float(server_ms)

    def now(self) -> float:
        return 1.0

    def known_time(self) -> float:
        return 1.0

    def scripts(self) -> list[str]:
        return [call.script.name for call in self.calls]


class Worker:
    """One worker's part of the ledger on a stand-in for Redis, and what it was called back with."""

    def __init__(self, redis: fakeredis.FakeAsyncRedis, *, server: Server | None = None, pickup: float = 0.0) -> None:
        self.redis = redis
        self.events: list[Event] = []
        self.written: list[tuple[str, bool]] = []
        self.urgent: list[str] = []
        self.until: list[float] = []
        self.lost = 0
        self.client = LedgerClient(redis, server or Server(), self.events.append)
        self.room = LedgerRoom(
            self.client,
            LedgerOptions(lease=LEASE_SECONDS, gather=0.0, time_to_live=600, watch_interval=60.0, pickup=pickup),
            LedgerCallbacks(
                is_watched=lambda _, status: status == "unknown",
                on_asked=self.on_asked,
                on_written=lambda job, is_ours: self.written.append((job.name, is_ours)),
                on_lost=self.on_lost,
            ),
            self.events.append,
        )

    def on_asked(self, job: Job, is_risk: bool, until: float) -> None:
        if is_risk:
            self.urgent.append(job.name)
        self.until.append(until)

    def on_lost(self) -> None:
        self.lost += 1

    @property
    def id(self) -> str:
        return self.room.lease.worker

    async def enqueue(self, *orders: CancelOrder, to_backlog: bool = False) -> None:
        await self.client.call(accept_call(orders, batch=None, ttl_seconds=600, to_backlog=to_backlog))

    async def claim(self, *lasts: int, lane: str = "routine", at_most: int = 100) -> list[Job]:
        return (await self.claimed(*lasts, lane=lane, at_most=at_most)).jobs

    async def claimed(self, *lasts: int, lane: str = "routine", at_most: int = 100) -> Claimed:
        return await self.room.claims.claim(lane, {UCC: [order(last) for last in lasts]}, {UCC: at_most})

    async def record(self, last: int = 1) -> OrderRecord:
        return OrderRecord.decode(await self.redis.get(named_key(name(last))))

    async def names(self, key: str) -> Sequence[str]:
        """Read a set, a list or a sorted set."""
        kind = (await self.redis.type(key)).decode()
        read = {"set": self.redis.smembers, "list": lambda key: self.redis.lrange(key, 0, -1)}
        members = await read.get(kind, lambda key: self.redis.zrange(key, 0, -1))(key)
        return sorted(member.decode() for member in members)
