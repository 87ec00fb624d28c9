"""Worker nodes that were started: when they have a lease in the ledger and consume."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, cast

from config.settings import Settings
from neo_cancel.connection import connect
from neo_cancel.namespace import Namespace
from worker.ledger.keys import WORKERS
from worker.ops.ping import Pinger
from worker.ops.process import Child

__all__ = ["leases", "wait_for_nodes"]

_PING_SECONDS: Final = 0.5


def leases(redis_url: str) -> frozenset[bytes]:
    """Read which workers of the environment's namespace have a lease, by id; one that signed off is not among them."""
    namespace = Namespace(_settings(redis_url).namespace)
    with connect(redis_url) as client:
        found = cast("list[bytes]", client.zrangebyscore(namespace.named(WORKERS), "(0", "+inf"))
    return frozenset(found)


def wait_for_nodes(
    nodes: Mapping[str, Child],
    *,
    redis_url: str,
    before: frozenset[bytes],
    timeout_seconds: float,
    check: Callable[[], None] | None = None,
    read_leases: Callable[[str], frozenset[bytes]] = leases,
    open_pinger: Callable[[Settings], Pinger] = Pinger.from_settings,
) -> None:
    """Wait until nodes that were started under these names have leases that were not there `before`, and consume.

    `timeout_seconds` is for each step of each node. Raises ChildError when a node ends or takes longer, and what `check`
    raises.
    """

    def wait(child: Child, is_ready: Callable[[], bool]) -> None:
        child.wait_until(is_ready, check=check, timeout_seconds=timeout_seconds)

    def has_leases(count: int) -> bool:
        return len(read_leases(redis_url) - before) >= count

    for count, child in enumerate(nodes.values(), start=1):
        wait(child, partial(has_leases, count))
    with open_pinger(_settings(redis_url)) as pinger:
        for node, child in nodes.items():
            wait(child, partial(pinger.answers, node, timeout_seconds=_PING_SECONDS))


def _settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url)  # pyright: ignore[reportCallIssue]
