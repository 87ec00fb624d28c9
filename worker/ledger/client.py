"""The worker's way to the ledger: scripts that run for as long as it takes, the server's clock, and when it began."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from neo_cancel.scripts import ScriptCall
from worker.ledger.dead_letter import dead_letter_commands
from worker.orders.ports import Log

if TYPE_CHECKING:
    import redis.asyncio

__all__ = ["LedgerClient"]

_LATER_SECONDS: Final = 2.0
_INFO_LINE: Final = re.compile(rb"(\w+):([^\r\n]*)")


class LedgerClient:
    """One per process; all methods belong to its event loop.

    `restarted_ms` is when the server began that was reached last: it may have forgotten what it was told before that.
    """

    def __init__(self, redis: "redis.asyncio.Redis", log: Log) -> None:
        self.redis, self._log = redis, log
        self.restarted_ms = 0
        self._server: bytes | None = None
        self._offset = 0.0
        # Before the first command on every connection: whoever claims after a restart must know of it.
        redis.connection_pool.connection_kwargs["redis_connect_func"] = self._greet

    def now(self) -> float:
        """Seconds since the epoch by the server's clock, which all workers and records share."""
        return time.time() + self._offset

    def learn_time(self, server_ms: int) -> None:
        """Set the clock by what the server just said."""
        self._offset = server_ms / 1000 - time.time()

    async def call(self, call: ScriptCall) -> Any:
        """Run a script, for as long as it takes. It may run twice: what it did the first time makes the second do nothing."""

        async def run() -> Any:
            try:
                return cast("Any", await self.redis.execute_command(*call.command))  # type: ignore[no-untyped-call]
            except NoScriptError:
                await self.redis.script_load(call.script.text)
                return cast("Any", await self.redis.execute_command(*call.command))  # type: ignore[no-untyped-call]

        return await self.retry_until_available(run)

    async def call_all(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Run scripts one after the other, their answers read together; otherwise like `call`."""

        async def run() -> list[Any]:
            async with self.redis.pipeline(transaction=False) as pipeline:
                for call in calls:
                    pipeline.execute_command(*call.command)
                answers = await pipeline.execute(raise_on_error=False)
            if any(isinstance(answer, NoScriptError) for answer in answers):
                for script in {call.script for call in calls}:
                    await self.redis.script_load(script.text)
                return await run()
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

        return cast("list[Any]", await self.retry_until_available(run))

    async def retry_until_available(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """Wait for a server that is away, full or read-only: with jitter, for as long as it takes."""
        tries = 0
        while True:
            try:
                return await step()
            except NoScriptError:  # forgotten between two commands
                continue
            except (RedisError, OSError) as error:
                if not _may_come_back(error):
                    raise
                tries += 1
                if tries in (1, 10) or tries % 100 == 0:
                    self._log.error("ledger away", error=type(error).__name__, tries=tries, to_do="check Redis")
                await asyncio.sleep(min(_LATER_SECONDS, 0.05 * 2 ** min(tries, 6)) * random.uniform(0.5, 1))

    async def add_dead_letter(self, reason: str, message: object) -> None:
        """Keep what cannot be used aside, counted and visible. Raises RedisError where the server is away."""
        async with self.redis.pipeline(transaction=False) as pipeline:
            for command in dead_letter_commands(reason, message):
                pipeline.execute_command(*command)
            await pipeline.execute()

    async def _greet(self, connection: Any) -> None:
        """Set a new connection up, and find out whether it leads to another server process than the last one."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        about = dict(_INFO_LINE.findall(bytes(await connection.read_response(disable_decoding=True))))
        if about[b"run_id"] != self._server:
            self._server = about[b"run_id"]
            started_ms = int(about[b"server_time_usec"]) // 1000 - int(about[b"uptime_in_seconds"]) * 1000
            self.restarted_ms = max(self.restarted_ms, started_ms)


def _may_come_back(error: Exception) -> bool:
    if isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError, OutOfMemoryError, ReadOnlyError)):
        return True
    # A disk that is full, a replica whose master is away or a master without its replicas: told as plain errors.
    return str(error).startswith(("MISCONF", "MASTERDOWN", "NOREPLICAS"))
