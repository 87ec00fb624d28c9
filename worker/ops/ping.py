"""Ask worker nodes whether they answer and what they consume, over Celery's remote control."""

import socket
from types import TracebackType
from typing import Any, Final, Self

from celery import Celery

from config.settings import Settings
from worker.consuming.celery_app import celery_app
from worker.consuming.lanes import IDLE_LANES

__all__ = ["Pinger"]

_ANSWER_SECONDS: Final = 2.0


class Pinger:
    """Asks nodes by name through a Celery app, which it closes. The answer comes from the very loop that consumes."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Ask through the Redis of the settings. Raises ConfigurationError where they name none."""
        return cls(celery_app("neo-cancel-health", settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._app.close()

    def answers(self, node: str, *, timeout_seconds: float = _ANSWER_SECONDS) -> bool:
        """Ask one node; False when it does not answer in time. `%h` in its name is this host."""
        return self._ask(node, "ping", timeout_seconds) is not None

    def idle_lanes(self, node: str, *, timeout_seconds: float = _ANSWER_SECONDS) -> list[str] | None:
        """Ask one node which queues it was told to consume and does not; None when it does not answer in time."""
        reply = self._ask(node, IDLE_LANES, timeout_seconds)
        return None if reply is None else reply.get("idle")

    def _ask(self, node: str, command: str, timeout_seconds: float) -> dict[str, Any] | None:
        name = node.replace("%h", socket.gethostname())
        replies: Any = self._app.control.broadcast(
            command, destination=[name], reply=True, timeout=timeout_seconds, limit=1
        )
        return next((reply[name] for reply in replies or () if name in reply), None)
