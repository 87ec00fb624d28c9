"""Orders go back into their queues: their worker died or let go, or their message is gone."""

from collections.abc import Sequence
from typing import Any, Final

from neo_cancel.bulk import keys_of
from neo_cancel.messages import CHUNK_SIZE
from neo_cancel.record import Status
from worker.ledger.client import LedgerClient
from worker.ledger.keys import RISK_QUEUED, ROUTINE_QUEUED, held_key, order_key
from worker.ledger.steps import Entry, PutBack, forget_call, record_call, requeue_call
from worker.orders.job import Job
from worker.orders.ports import Log

__all__ = ["MOST_CRASHES", "Requeuer"]

MOST_CRASHES: Final = 3
_AT_ONCE: Final = 20


class Requeuer:
    """Whose orders they were, it is told. `ttl_seconds` is how long the records live that it ends."""

    def __init__(self, ledger: LedgerClient, *, ttl_seconds: int, log: Log) -> None:
        self._ledger, self._ttl_seconds, self._log = ledger, ttl_seconds, log

    async def requeue(self, owner: str, names: Sequence[str], *, why: str, suspects: int = 0) -> int:
        """Put orders that `owner` held ("-" for nobody) back into their queues; say how many went.

        `why` is died, released or lost. The first `suspects` names may have killed their worker. Orders go to the front,
        suspects behind the others. An order that was suspected twice comes back in a message of its own and at the end:
        if there are many like it, they must not kill one worker after the other before anybody else had a turn. One
        suspected three times does not come back.
        """
        values: Any = await self._ledger.redis.mget(keys_of(names)) if names else []
        groups: dict[tuple[str, str, int, str], list[PutBack]] = {}
        poison: list[Job] = []
        gone: list[str] = []
        for at, (name, value) in enumerate(zip(names, values, strict=True)):
            if value is None:
                gone.append(name)
                continue
            try:
                job = Job.decode(value)
            except (ValueError, KeyError, TypeError) as error:
                await self._put_aside(owner, name, value, error)
                continue
            crashes = int(at < suspects)
            if crashes and job.crashes + 1 >= MOST_CRASHES:
                poison.append(job)
                continue
            alone = name if job.crashes + crashes >= MOST_CRASHES - 1 else ""
            document = value.split(b" ", 6)[6].decode()
            groups.setdefault((job.lane, job.ucc, crashes, alone), []).append(
                PutBack(job.order_number, job.fence, document)
            )
        await self._end_poison(owner, poison)
        if gone:
            await self._ledger.call(forget_call(owner, gone))
        # Each goes in front of the one before.
        calls = [
            requeue_call(
                lane=lane,
                ucc=ucc,
                owner=owner,
                orders=group[at : at + CHUNK_SIZE],
                why=why,
                crashes=crashes,
                to_end=bool(alone),
            )
            for (lane, ucc, crashes, alone), group in sorted(groups.items(), key=lambda group: -group[0][2])
            for at in range(0, len(group), CHUNK_SIZE)
        ]
        moved = 0
        # In a worker that is busy each answer is waited for longer than the server needs for it.
        for at in range(0, len(calls), _AT_ONCE):
            moved += sum(await self._ledger.call_all(calls[at : at + _AT_ONCE]))
        return moved

    async def _end_poison(self, owner: str, jobs: Sequence[Job]) -> None:
        """End orders that keep killing workers: unknown, not watched, and told to somebody."""
        for job in jobs:
            job.status = Status.UNKNOWN
            job.crashes += 1
            job.doubt()
            job.update(
                text=f"dead letter: {job.crashes} workers died when they took it",
                waiting_for=None,
                final_at=self._ledger.now(),
            )
            entry = Entry(order_key(job.ucc, job.order_number), job.fence, job.encode(None))
            await self._ledger.call(record_call(owner, [entry], ttl_seconds=self._ttl_seconds))
            await self._ledger.add_dead_letter(job.document["text"], job.document)
            self._log.error(
                "dead letter: workers died when they took it",
                order=job.name,
                crashes=job.crashes,
                to_do="check it with the broker",
            )

    async def _put_aside(self, owner: str, name: str, value: bytes, error: Exception) -> None:
        """Make a record that cannot be read a dead letter: it must not hold up the others."""
        await self._ledger.add_dead_letter(
            f"record of {name}: cannot be read ({error!r})", value.decode(errors="replace")
        )
        await self._ledger.redis.srem(held_key(owner), name)  # pyright: ignore[reportGeneralTypeIssues]
        await self._ledger.redis.zrem(RISK_QUEUED, name)
        await self._ledger.redis.zrem(ROUTINE_QUEUED, name)
        self._log.error("dead letter: the record cannot be read", order=name, to_do="see the dead letters")
