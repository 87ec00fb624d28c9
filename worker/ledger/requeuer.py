"""Orders go back into their queues: their worker died or let go, or their message is gone."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from neo_cancel.errors import InvalidOrderError
from neo_cancel.order import CancelOrder
from neo_cancel.parcels import CHUNK_SIZE
from neo_cancel.record import Status
from neo_cancel.scripts import ScriptCall
from worker.ledger.client import LedgerClient
from worker.ledger.crashes import MOST_CRASHES
from worker.ledger.keys import named_key, order_key
from worker.ledger.steps import Entry, PutBack, forget_call, record_call, requeue_call
from worker.ledger.unreadable import Unreadable
from worker.ledger.watch_policy import WatchPolicy
from worker.observe.events import PoisonRemoved, Publish
from worker.orders.job import Job, UnreadableRecordError

__all__ = ["NO_OWNER", "Requeuer"]

NO_OWNER: Final = "-"
_CALLS_AT_ONCE: Final = 20


class Requeuer:
    """Puts orders back, and takes care of those that cannot go back.

    `ttl_seconds` is how long the records live that it ends.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        watch_policy: WatchPolicy,
        unreadable: Unreadable,
        *,
        ttl_seconds: int,
        publish: Publish,
    ) -> None:
        self._ledger, self._watch_policy, self.unreadable = ledger, watch_policy, unreadable
        self._ttl_seconds, self._publish = ttl_seconds, publish

    async def requeue(self, owner: str, names: Sequence[str], *, why: str, suspects: int = 0) -> int:
        """Put orders that `owner` held (NO_OWNER: no worker did) back into their queues; answer how many went.

        `why` is died, released or lost. The first `suspects` names may have killed their worker. Orders go to the front,
        suspects behind the others. An order that was suspected twice comes back in a message of its own and at the end:
        if there are many like it, they must not kill one worker after the other while all others wait. One suspected
        three times does not come back; from then on it is watched. Called twice, it does nothing for what has moved on meanwhile.
        """
        values: Any = await self._ledger.run("MGET", *map(named_key, names)) if names else []
        sorting = _Sorting()
        for at, (name, value) in enumerate(zip(names, values, strict=True)):
            sorting.add(name, value, is_suspect=at < suspects)
        if sorting.gone:
            others: Any = await self._ledger.call(forget_call(owner, sorting.gone))
            sorting.unreadable += (name.decode() for name in others)
        for name in sorting.unreadable:
            await self.unreadable.end(owner, name)
        for job in sorting.poison:
            await self._end_poison(owner, job)
        calls = list(sorting.calls(owner, why))
        moved = 0
        # In a busy worker each answer is waited for longer than the server needs for it.
        for at in range(0, len(calls), _CALLS_AT_ONCE):
            moved += sum(await self._ledger.call_all(calls[at : at + _CALLS_AT_ONCE]))
        return moved

    async def _end_poison(self, owner: str, job: Job) -> None:
        """End an order that keeps killing workers: `unknown`, a dead letter. One that was watched keeps its end."""
        job.crashes += 1
        job.doubt()
        now = self._ledger.now()
        reason = f"dead letter: {job.crashes} workers died when they took it"
        if not job.is_final:
            job.status = Status.UNKNOWN
            job.update(text=reason, waiting_for=None, final_at=now)
        look_ms = self._watch_policy.next_look_ms(job, now)
        entry = Entry(order_key(job.ucc, job.order_number), job.fence, job.encode(None), look_ms)
        await self._ledger.call(record_call(owner, [entry], ttl_seconds=self._ttl_seconds))
        await self._ledger.add_dead_letter(reason, job.document)
        self._publish(PoisonRemoved(job.name, job.crashes))


class _Group(NamedTuple):
    """Orders that go back together. `alone` is the name of an order that gets a message of its own, else empty."""

    lane: str
    crashes: int
    alone: str


@dataclass(slots=True)
class _Sorting:
    """What is to be done with each order. Pure; `gone` are names without a record."""

    groups: dict[_Group, list[PutBack]] = field(default_factory=dict[_Group, list[PutBack]])
    poison: list[Job] = field(default_factory=list[Job])
    gone: list[str] = field(default_factory=list[str])
    unreadable: list[str] = field(default_factory=list[str])

    def add(self, name: str, value: bytes | None, *, is_suspect: bool) -> None:
        """Sort one order by its record, which is None where it has gone."""
        if value is None:
            self.gone.append(name)
            return
        try:
            job = Job.decode(value, name)
        except UnreadableRecordError:
            self.unreadable.append(name)
            return
        crashes = job.crashes + is_suspect
        if is_suspect and crashes >= MOST_CRASHES:
            self.poison.append(job)
            return
        group = _Group(job.lane, int(is_suspect), name if crashes >= MOST_CRASHES - 1 else "")
        self.groups.setdefault(group, []).append(PutBack(job.ucc, job.order_number, job.fence, _asked_for(job)))

    def calls(self, owner: str, why: str) -> Iterator[ScriptCall]:
        """Make the calls, in this order: each message goes in front of the one before, so suspects come first."""
        for group, orders in sorted(self.groups.items(), key=lambda item: -item[0].crashes):
            orders.sort(key=lambda order: order.ucc)  # those of an account side by side
            for at in range(0, len(orders), CHUNK_SIZE):
                yield requeue_call(
                    lane=group.lane,
                    owner=owner,
                    orders=orders[at : at + CHUNK_SIZE],
                    why=why,
                    crashes=group.crashes,
                    to_end=bool(group.alone),
                )


def _asked_for(job: Job) -> str:
    """Write an order for a message, as it is asked for by now: should its record be lost, a worker writes it anew from that.

    A record may hold what no producer could ask for, such as what the book corrected. Then the order is only named: a claim
    takes what the record says.
    """
    try:
        CancelOrder.from_wire(job.document)
    except InvalidOrderError:
        return json.dumps({"ucc": job.ucc, "order_number": job.order_number, "lane": job.lane})
    return json.dumps(job.document)
