"""arq. It polls: the pause is cut to 20 ms, where 500 ms is its default, so that its bulk does not suffer for it."""

from typing import Any

from arq.connections import ArqRedis, RedisSettings, create_pool

from tests.benchmarks.rivals import call
from tests.benchmarks.rivals.sending import AsyncSending, Sending

QUIET = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}
_SETTINGS = RedisSettings.from_dsn(call.REDIS_URL or "redis://127.0.0.1")


async def cancel(context: dict[str, Any], ucc: str, number: str) -> str:
    """Cancel one order."""
    return await call.cancel(context["client"], ucc, number)


async def _open(context: dict[str, Any]) -> None:
    context["client"] = call.session()


async def _close(context: dict[str, Any]) -> None:
    await context["client"].close()


class WorkerSettings:
    """What arq's command line reads."""

    functions = (cancel,)
    on_startup = _open
    on_shutdown = _close
    redis_settings = _SETTINGS
    max_jobs = call.AT_ONCE
    poll_delay = 0.02
    keep_result = call.RESULT_SECONDS


def sending() -> Sending:
    """Make the producer."""
    pools: list[ArqRedis] = []

    async def connect() -> None:
        pools.append(await create_pool(_SETTINGS))

    return AsyncSending(connect, lambda ucc, number: pools[0].enqueue_job("cancel", ucc, number))
