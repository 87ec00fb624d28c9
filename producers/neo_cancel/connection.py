"""Redis clients from one URL: redis, rediss, unix and sentinel, with time-outs that end."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from neo_cancel.errors import InvalidOrderError

__all__ = ["connect", "connect_async", "shown_url"]

_SCHEMES: Final = ("redis", "rediss", "unix", "sentinel")
_KEEPALIVE_SECONDS: Final = 5


def shown_url(url: str) -> str:
    """Write a URL so that it may be logged: no password, no query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _checked(url: str) -> str:
    if urlsplit(url).scheme not in _SCHEMES:
        raise InvalidOrderError("redis_url", shown_url(url), f"must start with one of {', '.join(_SCHEMES)}://")
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
    return _open(_checked(url), options, redis.Redis.from_url, Sentinel)


def connect_async(url: str, *, socket_timeout_seconds: float = 1.0, retries: int = 1) -> "redis.asyncio.Redis":
    """Make the same for an event loop."""
    retry = AsyncRetry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries)
    options = _options(socket_timeout_seconds, retry)
    return _open(_checked(url), options, redis.asyncio.Redis.from_url, AsyncSentinel)


def _open(url: str, options: dict[str, Any], from_url: Callable[..., Any], sentinel: Callable[..., Any]) -> Any:
    try:
        parts = urlsplit(url)
        if parts.scheme != "sentinel":
            return from_url(url, **options)
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        nodes = [_host_and_port(node) for node in hosts.split(",")]
        database = int(parse_qs(parts.query).get("db", ["0"])[0])
        asked = sentinel(nodes, socket_timeout=options["socket_timeout"])
        return asked.master_for(
            parts.path.strip("/") or "mymaster",
            username=unquote(username) or None,
            password=unquote(password) or None,
            db=database,
            **options,
        )
    except ValueError as error:
        raise InvalidOrderError("redis_url", shown_url(url), f"is no Redis URL: {error}") from None


def _host_and_port(node: str) -> tuple[str, int]:
    host, _, port = node.partition(":")
    return host, int(port or 26_379)
