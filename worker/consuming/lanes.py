"""A node's answer to the health check: which of its lanes it does not consume."""

from collections.abc import Iterable
from typing import Any, Final

from celery.worker.control import inspect_command

__all__ = ["IDLE_LANES", "begin_with"]

IDLE_LANES: Final = "idle_lanes"
"""The name of the control command."""

_told: Final[list[str]] = []


def begin_with(lanes: Iterable[str]) -> None:
    """Note the queues that this process was told to consume. Later calls change nothing.

    Celery is ready again after each reconnect, and then knows only those that it still consumes.
    """
    if not _told:
        _told.extend(lanes)


@inspect_command(name=IDLE_LANES)
def _idle_lanes(state: Any, **_: Any) -> dict[str, list[str]]:
    """Name the queues that this node was told to consume and does not: `cancel_consumer` took them away."""
    consumed = {queue.name for queue in state.consumer.task_consumer.queues}
    return {"idle": sorted(set(_told) - consumed)}
