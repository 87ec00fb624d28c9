"""Redis clients from one URL: redis, rediss, unix and sentinel, with time-outs that end."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from neo_cancel.errors import InvalidOrderError

__all__ = ["Greeting", "connect", "connect_async", "shown_url"]

Greeting = Callable[[Any], Awaitable[None]]
"""What is done with a new connection of redis-py."""

_SCHEMES: Final = ("redis", "rediss", "unix", "sentinel")
_KEEPALIVE_SECONDS: Final = 5
_SENTINEL_TIMEOUT_SECONDS: Final = 0.4
_HOSTS: Final = re.compile(r"(?:(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:,|$))*", re.ASCII)
# redis-py takes 0 for what is no number: the cancels would lie where no worker looks.
_DATABASE: Final = re.compile(r"/?|/[0-9]{1,9}/?", re.ASCII)


class _Master(redis.Redis):
    """A client of a master that Sentinels name: closed with its connections to them, which redis-py leaves open."""

    def close(self) -> None:
        """Close every connection."""
        super().close()
        pool: Any = self.connection_pool
        for asked in pool.sentinel_manager.sentinels:
            asked.close()


class _AsyncMaster(redis.asyncio.Redis):
    """The same for an event loop."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close every connection."""
        await super().aclose(close_connection_pool)
        pool: Any = self.connection_pool
        for asked in pool.sentinel_manager.sentinels:
            await asked.aclose()


def shown_url(url: str) -> str:
    """Write a URL so that it may be logged: no password, no query, nothing that may be a spilt part of a password."""
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.isalnum():
        return "..."
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{scheme}://..."
    hosts = parts.netloc.rpartition("@")[2]
    # A password with an unescaped / ? # or @ in it spills into what looks like host, path or query.
    spilt = "@" in rest[len(parts.netloc) :] or parts.fragment or not _HOSTS.fullmatch(hosts)
    return f"{scheme}://..." if spilt else f"{scheme}://{hosts}{parts.path}"


def _checked(url: str) -> str:
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOrderError("redis_url", url, "must be a string")
    if url.partition("://")[0] not in _SCHEMES:
        raise InvalidOrderError("redis_url", shown_url(url), f"must start with one of {', '.join(_SCHEMES)}://")
    if shown_url(url).endswith("://..."):
        rule = "is no Redis URL; special characters in a password must be percent-encoded"
        raise InvalidOrderError("redis_url", shown_url(url), rule)
    if url.startswith(("redis://", "rediss://")) and not _DATABASE.fullmatch(urlsplit(url).path):
        rule = "must name the database by its number, such as redis://host:6379/0"
        raise InvalidOrderError("redis_url", shown_url(url), rule)
    return url


def _options(socket_timeout_seconds: float, retry: object) -> dict[str, Any]:
    return {
        "socket_timeout": socket_timeout_seconds,
        "socket_connect_timeout": min(socket_timeout_seconds, 1.0),
        "socket_keepalive": True,
        "health_check_interval": _KEEPALIVE_SECONDS,
        "retry": retry,
    }


def connect(url: str, *, socket_timeout_seconds: float = 1.0) -> "redis.Redis":
    """Make a client that answers or fails within about 2.5 s.

    `sentinel://host:port,host:port/service?db=0` asks the Sentinels for the master of `service` at every connect.
    """
    retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.2), 1)
    options = _options(socket_timeout_seconds, retry)
    client: redis.Redis = _open(_checked(url), options, redis.Redis.from_url, Sentinel)  # pyright: ignore[reportUnknownArgumentType]
    return client


def connect_async(
    url: str, *, socket_timeout_seconds: float = 1.0, retries: int = 1, greet: Greeting | None = None
) -> "redis.asyncio.Redis":
    """Make the same for an event loop.

    `greet` is awaited with every new connection, after a reconnect or failover, too, before its first command; what it
    raises is a failure to connect. None greets nothing.
    """
    retry = AsyncRetry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries)
    options = _options(socket_timeout_seconds, retry)
    if greet is not None:
        options["redis_connect_func"] = _set_up_and(greet)
    client: redis.asyncio.Redis = _open(_checked(url), options, redis.asyncio.Redis.from_url, AsyncSentinel)  # pyright: ignore[reportUnknownArgumentType]
    return client


def _set_up_and(greet: Greeting) -> Greeting:
    async def set_up(connection: Any) -> None:
        await connection.on_connect()  # what redis-py does when it is given nothing to call
        await greet(connection)

    return set_up


def _open(url: str, options: dict[str, Any], from_url: Callable[..., Any], sentinel: Callable[..., Any]) -> Any:
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            options = {name: value for name, value in options.items() if name != "socket_keepalive"}
        if parts.scheme != "sentinel":
            client = from_url(url, **options)
            # Built once for the check alone: an unknown option in the query would surface at the first call.
            client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
            return client
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        nodes = [_host_and_port(node) for node in hosts.split(",")]
        database = int(parse_qs(parts.query).get("db", ["0"])[0])
        # Each is asked once; the next one answers for it. Three dead ones still end within 3 s.
        brief = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), _SENTINEL_TIMEOUT_SECONDS)
        once = type(options["retry"])(NoBackoff(), 0)
        asked = sentinel(nodes, sentinel_kwargs={**brief, "retry": once})
        return asked.master_for(
            parts.path.strip("/") or "mymaster",
            redis_class=_AsyncMaster if sentinel is AsyncSentinel else _Master,
            username=unquote(username) or None,
            password=unquote(password) or None,
            db=database,
            **options,
        )
    except (ValueError, TypeError):
        raise InvalidOrderError("redis_url", shown_url(url), "is no Redis URL, or has an unknown option") from None


def _host_and_port(node: str) -> tuple[str, int]:
    host, _, port = node.partition(":")
    return host, int(port or 26_379)
