"""The last net under every order: what is not final and waits nowhere is found and put back, however that came to be."""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from worker.ledger.client import LedgerClient
from worker.ledger.keys import COUNTERS, ORDER_PREFIX, SWEEP
from worker.ledger.requeuer import NO_OWNER, Requeuer
from worker.ledger.steps import stray_call
from worker.observe.events import Publish, Recovered

__all__ = ["Sweep"]

_WALK_SECONDS: Final = 30.0
_LEAST_A_SECOND: Final = 500
_MOST_A_SECOND: Final = 10_000
_AT_ONCE: Final = 250
_TWICE_SECONDS: Final = 5.0
_REMEMBERED_SECONDS: Final = 600
_COUNTER: Final = "recovered"


class Stray(NamedTuple):
    """An order that waits nowhere: its name, the worker that held it (NO_OWNER: none), and its fence, which changes with it."""

    name: str
    owner: str
    fence: str


class Sweep:
    """Walks over all records, slowly: once in half a minute, up to 300,000 of them; more take as much longer.

    `walk` is called once a second, by one of all workers at a time, and goes on where the last one stopped. What it finds is
    looked at again by this worker five seconds later, because an order may be on its way: `put_back`, called once a second,
    puts back what has not moved by then.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        requeuer: Requeuer,
        *,
        clock: Callable[[], float],
        publish: Publish,
    ) -> None:
        self._ledger, self._requeuer, self._publish = ledger, requeuer, publish
        self._prefix, self._clock = ledger.named(ORDER_PREFIX), clock
        self._found: dict[Stray, float] = {}  # when it was found

    async def walk(self) -> None:
        """Look at the next records. Raises RedisError."""
        cursor = await self._ledger.run("GET", SWEEP) or b"0"
        for _ in range(0, await self._records_a_second(), _AT_ONCE):
            cursor, keys = await self._ledger.run("SCAN", cursor, "MATCH", f"{self._prefix}*", "COUNT", _AT_ONCE)
            names = [key.decode().removeprefix(self._prefix) for key in keys]
            now = self._clock()
            for stray in await self._strays(names):
                self._found.setdefault(stray, now)
            if cursor == b"0":
                break
        await self._ledger.run("SET", SWEEP, cursor, "EX", _REMEMBERED_SECONDS)

    async def _records_a_second(self) -> int:
        keys: int = await self._ledger.run("DBSIZE")
        return min(max(int(keys / _WALK_SECONDS), _LEAST_A_SECOND), _MOST_A_SECOND)

    async def _strays(self, names: Iterable[str]) -> list[Stray]:
        named = [name for name in names if ":" in name]
        if not named:
            return []
        words: Any = await self._ledger.call(stray_call(named))
        texts = [word.decode() for word in words]
        return [Stray(*texts[at : at + 3]) for at in range(0, len(texts), 3)]

    async def put_back(self) -> int:
        """Look again at what was found, and put it back if it has not moved; answer how many orders went. Raises RedisError."""
        due = [stray for stray, at in self._found.items() if self._clock() - at >= _TWICE_SECONDS]
        for stray in due:
            del self._found[stray]
        still = set(due).intersection(await self._strays([stray.name for stray in due]))
        moved = 0
        for owner in {stray.owner for stray in still}:
            moved += await self._requeue(owner, sorted(stray.name for stray in still if stray.owner == owner))
        if moved:
            await self._ledger.run("HINCRBY", COUNTERS, _COUNTER, moved)
        return moved

    async def _requeue(self, owner: str, names: list[str]) -> int:
        if owner == "unreadable":
            return sum([await self._requeuer.unreadable.end(NO_OWNER, name) for name in names])
        why = "lost" if owner == NO_OWNER else "died"
        moved = await self._requeuer.requeue(owner, names, why=why)
        if moved:
            self._publish(Recovered("stray", moved, worker=None if owner == NO_OWNER else owner))
        return moved
