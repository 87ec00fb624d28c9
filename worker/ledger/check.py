"""What Redis must be like for nothing to be lost, checked where a process starts."""

from collections.abc import Mapping
from typing import Any, Final

from redis.exceptions import RedisError

from neo_cancel.connection import connect, shown_url

__all__ = ["complaints", "redis_complaints"]

_KEEPS_ALL: Final = "noeviction"


def redis_complaints(url: str) -> list[str]:
    """List what is wrong with the server at `url`, each with what to do; empty when nothing is."""
    address = shown_url(url)
    try:
        with connect(url) as client:
            facts = client.info("everything")
    except (RedisError, OSError) as error:
        return [f"Redis at {address} does not answer ({type(error).__name__}): start it; workers wait for it"]
    return complaints(address, facts)


def complaints(address: str, facts: Mapping[str, Any]) -> list[str]:
    """List what is wrong with a server, given its answer to INFO."""
    found: list[str] = []
    policy = facts.get("maxmemory_policy")
    if policy != _KEEPS_ALL:
        found.append(
            f"Redis at {address} has maxmemory-policy {policy}: it may throw accepted cancels away when it is full; "
            "set `maxmemory-policy noeviction`"
        )
    if facts.get("aof_enabled") != 1:
        found.append(
            f"Redis at {address} keeps no append-only file: accepted cancels are lost when it restarts; "
            "set `appendonly yes` and `appendfsync everysec`"
        )
    return found
