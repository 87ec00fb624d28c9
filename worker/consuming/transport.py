"""Celery's Redis transport, with a gate: a message that cannot be read becomes a dead letter instead of ending the worker."""

import json
from collections.abc import Callable
from typing import Any, ClassVar, Final, cast

from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError

from neo_cancel.order import Lane
from worker.consuming.envelope import Message, read
from worker.ledger.dead_letter import dead_letter_commands
from worker.observe.events import Event, MessageRefused, Publish

__all__ = ["GatedDelivery", "GatedSentinelTransport", "GatedTransport", "subscribers"]

_QUEUES: Final = frozenset(Lane)
_SHOWN: Final = 300

subscribers: Final[list[Publish]] = []
"""Told of each message that becomes a dead letter. kombu makes transports and channels, so they cannot be given it."""


def _publish(event: Event) -> None:
    for subscriber in subscribers:
        subscriber(event)


class _Gate:
    """Mixed into kombu's channels: reads as they do; what would make them raise becomes a dead letter."""

    def _connparams(self, asynchronous: bool = False) -> Any:
        # kombu 5.7 raises AttributeError where a task ends after its connection, and Celery takes that for its own end: the
        # worker would never consume again. A connection error is what both expect.
        if self.connection is None or self.connection.client is None:  # type: ignore[attr-defined]  # pyright: ignore
            raise RedisConnectionError("the channel is closed")
        return super()._connparams(asynchronous)  # type: ignore[misc]  # pyright: ignore

    def _create_client(self, asynchronous: bool = False) -> Any:
        # kombu builds a client for each of its calls; building one costs more than most of them.
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # pyright: ignore
        kept: Any = getattr(self, "_kept_client", None)
        if kept is None or kept.connection_pool is not self.pool:  # type: ignore[attr-defined]  # pyright: ignore
            kept = self._kept_client = super()._create_client()  # type: ignore[misc]  # pyright: ignore
        return cast("Any", kept)

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # pyright: ignore
        except (ValueError, RecursionError) as error:
            text = getattr(error, "doc", None) or repr(getattr(error, "object", b""))
            reason = f"message: must be JSON ({type(error).__name__})"
            self.add_dead_letter(reason, text)
            _publish(MessageRefused(reason, len(text)))
            return True

    def add_dead_letter(self, reason: str, message: object) -> None:
        """Keep a message aside, counted and visible."""
        with self.conn_or_acquire() as client, client.pipeline() as pipeline:  # type: ignore[attr-defined]  # pyright: ignore
            for command in dead_letter_commands(reason, message):
                pipeline.execute_command(*command)
            pipeline.execute()


class GatedDelivery:
    """Mixed into kombu's transports: reads a message before Celery does, and lets the work begin before Celery does.

    Celery needs longer to hand a message to its task than the task needs to claim and send an order.
    """

    head_start: ClassVar[list[Callable[[Message], None]]] = []
    """Called with each message that is about to be delivered. kombu makes the transports, so they have it from the class."""

    def _deliver(self, message: Any, queue: str) -> None:
        if queue in _QUEUES:
            found = read(message)
            if isinstance(found, str):
                self._refuse(found, message, queue)
                return
            for begin in self.head_start:
                begin(found)
        super()._deliver(message, queue)  # type: ignore[misc]  # pyright: ignore

    def _refuse(self, reason: str, message: object, queue: str) -> None:
        channel: Any = self.channels[0]  # type: ignore[attr-defined]  # pyright: ignore
        characters = None
        try:
            characters = len(json.dumps(message, default=repr))
            channel.add_dead_letter(reason, message)
        except RecursionError:  # nested more deeply than JSON can be written
            channel.add_dead_letter(reason, "")
        _publish(MessageRefused(reason[:_SHOWN], characters, queue))


class GatedChannel(_Gate, kombu_redis.Channel):
    """See _Gate."""


class GatedTransport(GatedDelivery, kombu_redis.Transport):  # type: ignore[misc]
    """The transport for redis, rediss and unix URLs."""

    Channel = GatedChannel


class GatedSentinelChannel(_Gate, kombu_redis.SentinelChannel):
    """See _Gate."""


class GatedSentinelTransport(GatedDelivery, kombu_redis.SentinelTransport):  # type: ignore[misc]
    """The transport for sentinel URLs."""

    Channel = GatedSentinelChannel
