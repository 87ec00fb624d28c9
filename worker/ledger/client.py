"""The worker's way to the ledger: scripts that run for as long as it takes, plain commands, and the server's clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from neo_cancel.namespace import Namespace
from neo_cancel.scripts import ScriptCall
from worker.ledger.dead_letter import dead_letter_commands
from worker.ledger.server import Server
from worker.ledger.uptime import uptime
from worker.observe.events import LedgerAway, Publish

if TYPE_CHECKING:
    import redis.asyncio

__all__ = ["LedgerClient"]

_FIRST_PAUSE_SECONDS: Final = 0.1
_LEAST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 2.0
_PUBLISHED_TRIES: Final = (2, 10)
_PUBLISHED_EVERY: Final = 100
_DEFAULT: Final = Namespace()

Command = tuple[Any, ...]
"""A Redis command and its arguments."""

_Answer = TypeVar("_Answer")


class LedgerClient:
    """One per process; all methods belong to its event loop.

    Every Key of a command is put into the namespace. `redis` greets each new connection with `server.greet`, or
    `restarted_ms` stays 0 (see connect_async).
    """

    def __init__(
        self, redis: "redis.asyncio.Redis", server: Server, publish: Publish, namespace: Namespace = _DEFAULT
    ) -> None:
        self._redis, self._server, self._publish = redis, server, publish
        self._applied, self.named = namespace.applied, namespace.named
        self._offset = time.time() - uptime()
        self._has_learned = False

    @property
    def restarted_ms(self) -> int:
        """When the server began that was reached last, in ms: what was written before that may be forgotten."""
        return self._server.started_ms

    def now(self) -> float:
        """Seconds since the epoch by the server's clock, which all workers and records share."""
        return uptime() + self._offset

    def known_time(self) -> float:
        """Answer like `now`, and 0 while no server has told its time."""
        return self.now() if self._has_learned else 0.0

    def learn_time(self, server_ms: float, *, asked_at: float) -> None:
        """Set the clock by a time that the server has just answered; `asked_at`: when it was asked, by uptime.

        An answer that was long under way, or that a busy loop read late, says only between which two times the server's clock
        is: a clock that is between them stays as it is. Steps of this machine's wall clock change nothing.
        """
        server_at = server_ms / 1000
        least, most = server_at - uptime(), server_at - asked_at
        if not self._has_learned:
            self._offset, self._has_learned = (least + most) / 2, True
        self._offset = min(max(self._offset, least), most)

    async def call(self, call: ScriptCall) -> Any:
        """Run a script and wait for a server that is away. The script may run twice; the second run then changes nothing."""

        async def run() -> Any:
            try:
                return await self.run(*call.command)
            except NoScriptError:
                await self._redis.script_load(call.script.text)
                return await self.run(*call.command)

        return await self.retry_until_available(run)

    async def call_all(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Run scripts one after the other and read their answers together; otherwise like `call`."""

        async def run() -> list[Any]:
            answers = await self._pipelined([call.command for call in calls])
            if any(isinstance(answer, NoScriptError) for answer in answers):
                for text in {call.script.text for call in calls}:
                    await self._redis.script_load(text)
                answers = await self._pipelined([call.command for call in calls])
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

        return await self.retry_until_available(run)

    async def run(self, *command: Any) -> Any:
        """Run one plain command, once. Raises RedisError where the server is away or refuses."""
        return cast("Any", await self._redis.execute_command(*self._applied(command)))  # type: ignore[no-untyped-call]

    async def run_all(self, commands: Sequence[Command]) -> None:
        """Run plain commands in one step: all of them or none. Raises RedisError like `run`."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            for command in commands:
                pipeline.execute_command(*self._applied(command))
            await pipeline.execute()

    async def retry_until_available(self, step: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Repeat a step while the server is away, full or read-only, for as long as it takes: at once, then with jitter."""
        try:
            return await step()
        except Exception as error:
            if not _may_come_back(error):
                raise
        # Only now: to set tenacity up costs as much as a script call.
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_come_back),
            wait=wait_random_exponential(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, min=_LEAST_PAUSE_SECONDS),
            before_sleep=self._publish_away,
            sleep=asyncio.sleep,
        )
        return await retrying(step)

    async def add_dead_letter(self, reason: str, message: object) -> None:
        """Keep what cannot be used aside, counted and visible. Raises RedisError where the server is away."""
        await self.run_all(dead_letter_commands(reason, message))

    async def aclose(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._redis.aclose()

    async def _pipelined(self, commands: Sequence[Command]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*self._applied(command))
            return await pipeline.execute(raise_on_error=False)

    def _publish_away(self, state: RetryCallState) -> None:
        tries = state.attempt_number + 1
        if tries in _PUBLISHED_TRIES or tries % _PUBLISHED_EVERY == 0:
            error = state.outcome.exception() if state.outcome else None
            self._publish(LedgerAway(error=type(error).__name__, tries=tries))


def _may_come_back(error: BaseException) -> bool:
    # A server that forgot a script between two commands learns it at the next try.
    if isinstance(
        error, (RedisConnectionError, RedisTimeoutError, OSError, OutOfMemoryError, ReadOnlyError, NoScriptError)
    ):
        return True
    # A full disk, a replica without its master and a master without its replicas have no error class of their own.
    return isinstance(error, RedisError) and str(error).startswith(("MISCONF", "MASTERDOWN", "NOREPLICAS"))
