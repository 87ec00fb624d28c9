"""The ledger as a producer asks it: each question is a call to Redis, awaited."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from neo_cancel.bulk import keys_of
from neo_cancel.enqueue import enqueue_script
from neo_cancel.errors import LedgerUnavailableError
from neo_cancel.keys import EVENTS, WORKERS, batch_key, order_key
from neo_cancel.namespace import Namespace
from neo_cancel.plan import Rounds
from neo_cancel.translation import translated
from neo_cancel.waiting import Pending

__all__ = ["AsyncLedger"]

_LOG: Final = logging.getLogger("neo_cancel")
_Read = TypeVar("_Read")
_DEFAULT: Final = Namespace()


class AsyncLedger:
    """Ask Redis at `address`, which holds no password, in one namespace. Errors are those of neo_cancel.errors."""

    # Any: redis-py types the replies of its two clients as one.
    def __init__(self, redis: Any, address: str, namespace: Namespace = _DEFAULT) -> None:
        self._redis, self.address = redis, address
        self._named, self._applied = namespace.named, namespace.applied

    async def aclose(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._redis.aclose()

    async def load_scripts(self) -> None:
        """Make sure that Redis is there and knows the scripts."""
        with translated(self.address):
            await self._redis.script_load(enqueue_script().text)

    async def run(self, rounds: Rounds) -> None:
        """Run scripts until each has its reply; `rounds` keeps those that came, whatever is raised."""
        with translated(self.address):
            while group := rounds.next_group():
                for script in rounds.to_load():
                    await self._redis.script_load(script.text)
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for call in group:
                        pipeline.execute_command(*self._applied(call.command))
                    rounds.take(await pipeline.execute(raise_on_error=False))

    async def members(self, batch: str) -> list[str]:
        """Name the orders of a bulk, each once; nothing for a bulk that the ledger does not know."""
        with translated(self.address):
            members: list[bytes] = await self._redis.lrange(self._named(batch_key(batch)), 0, -1)
        # A chunk whose answer got lost was sent again and stands in the list twice.
        return list(dict.fromkeys(name.decode() for name in members))

    async def value(self, ucc: str, order_number: str) -> bytes | None:
        """Read the record of an order; None where the ledger holds none."""
        with translated(self.address):
            value: bytes | None = await self._redis.get(self._named(order_key(ucc, order_number)))
        return value

    async def values(self, names: Sequence[str]) -> list[bytes | None]:
        """Read the records of orders named UCC:ORDER_NUMBER, as many as one command may carry."""
        with translated(self.address):
            values: list[bytes | None] = await self._redis.mget(self._applied(keys_of(names)))
        return values

    async def last_event(self) -> str | bytes:
        """Name the newest event, or the beginning of the stream."""
        with translated(self.address):
            last = await self._redis.xrevrange(self._named(EVENTS), count=1)
        return last[0][0] if last else "0-0"

    async def next_events(self, pending: Pending) -> Any:
        """Wait for events after the waiter's cursor, half a second at most."""
        with translated(self.address):
            streams = {self._named(EVENTS): pending.cursor}
            return await self._redis.xread(streams, count=500, block=pending.block_milliseconds)

    async def retry_until_available(self, pending: Pending, read: Callable[[], Awaitable[_Read]]) -> _Read:
        """Read, and try again while Redis is away and the waiter has time left. The log says so once, and when it is back."""
        while True:
            try:
                value = await read()
            except LedgerUnavailableError as error:
                if pending.remaining_seconds <= 0:
                    raise
                if not pending.is_away:
                    _LOG.warning("%s; the wait goes on", error)
                pending.is_away = True
                await asyncio.sleep(pending.pause_seconds)
                continue
            if pending.is_away:
                _LOG.warning("Redis at %s answers again", self.address)
            pending.is_away = False
            return value

    async def warn_if_still(self, pending: Pending) -> None:
        """Say in the log when nothing has happened for long, and whether a worker is alive."""
        if pending.is_still():
            _LOG.warning(pending.stillness(await self.retry_until_available(pending, self._live_workers)))

    async def _live_workers(self) -> int:
        with translated(self.address):
            seconds, microseconds = await self._redis.time()
            count: int = await self._redis.zcount(self._named(WORKERS), seconds * 1000 + microseconds // 1000, "+inf")
        return count
