"""Celery's Redis transport, with a gate: what a message makes the delivery raise parks that message and ends no worker."""

import json
from collections.abc import Callable, Mapping, Sequence
from queue import Empty
from typing import Any, ClassVar, Final, cast

from kombu.exceptions import InconsistencyError, OperationalError
from kombu.transport import redis as kombu_redis
from kombu.utils.json import loads
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, RedisError

from neo_cancel.keys import lane_of_queue
from neo_cancel.namespace import DEFAULT_NAMESPACE, Namespace
from neo_cancel.order import Lane
from worker.consuming.envelope import Message, read
from worker.dispatch.intake import without_value
from worker.ledger.dead_letter import dead_letter_commands
from worker.observe.events import Event, MessageRefused, Publish

__all__ = ["GatedDelivery", "GatedSentinelTransport", "GatedTransport", "subscribers"]

_LANES: Final = frozenset(Lane)
_OWN_OPTIONS: Final = ("namespace", "keyprefix_queue", "keyprefix_binding_permanent", "keyprefix_binding_deadlines")
_SHOWN: Final = 300
_NO_FAULT_OF_MESSAGES: Final = (RedisError, OSError, OperationalError, InconsistencyError, Empty)

subscribers: Final[list[Publish]] = []
"""Told of each message that becomes a dead letter. kombu makes transports and channels, so they cannot be given it."""


def _publish(event: Event) -> None:
    for subscriber in subscribers:
        subscriber(event)


def _is_fault_of_message(error: Exception) -> bool:
    # kombu counts KeyError among the connection errors; over a message it is one like any other. DataError is redis-py's
    # word for an argument that no command can carry.
    return isinstance(error, DataError) or not isinstance(error, _NO_FAULT_OF_MESSAGES)


def _refuse(channel: Any, reason: str, message: object, queue: str | None = None) -> None:
    """Make a message a dead letter; say so without anything that it holds."""
    characters = None
    try:
        characters = len(message if isinstance(message, str) else json.dumps(message, default=repr))
    except (RecursionError, TypeError, ValueError):  # such as one nested more deeply than JSON can be written
        message = ""
    channel.add_dead_letter(reason, message)
    _publish(MessageRefused(without_value(reason)[:_SHOWN], characters, queue))


class _Gate:
    """Mixed into kombu's channels: reads as they do; a text that would make them raise becomes a dead letter."""

    _popped: Any = None
    namespace: str = DEFAULT_NAMESPACE

    def _connparams(self, asynchronous: bool = False) -> Any:
        # kombu 5.7 raises AttributeError where a task ends after its connection, and Celery takes that for its own end: the
        # worker would never consume again. A connection error is what both expect.
        if self.connection is None or self.connection.client is None:  # type: ignore[attr-defined]  # pyright: ignore
            raise RedisConnectionError("the channel is closed")
        return super()._connparams(asynchronous)  # type: ignore[misc]  # pyright: ignore

    def _create_client(self, asynchronous: bool = False) -> Any:
        # kombu builds a client for each of its calls; building one costs more than most of them.
        if asynchronous:
            client: Any = super()._create_client(asynchronous=True)  # type: ignore[misc]  # pyright: ignore
            client.set_response_callback("BRPOP", self._note_popped)
            return cast("Any", client)
        kept: Any = getattr(self, "_kept_client", None)
        if kept is None or kept.connection_pool is not self.pool:  # type: ignore[attr-defined]  # pyright: ignore
            kept = self._kept_client = super()._create_client()  # type: ignore[misc]  # pyright: ignore
        return cast("Any", kept)

    def _note_popped(self, reply: Any, **_: Any) -> Any:
        if reply:
            self._popped = reply[1]
        return reply

    def _brpop_read(self, **options: Any) -> Any:
        self._popped = None
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # pyright: ignore
        except Exception as error:
            if self._popped is None or not _is_fault_of_message(error):
                raise
            _refuse(self, f"message: must be JSON ({type(error).__name__})", _as_text(self._popped))
            return True

    def _handle_message(self, client: Any, reply: Any) -> Any:
        handled: Any = super()._handle_message(client, reply)  # type: ignore[misc]  # pyright: ignore
        payload = cast("dict[str, Any]", handled)
        if isinstance(payload["data"], bytes):
            # kombu would raise, or log all that the message holds; without data it passes over it.
            try:
                loads(payload["data"])
            except Exception as error:  # noqa: BLE001 - a neighbour on the same Redis can publish anything
                _refuse(self, f"control message: must be JSON ({type(error).__name__})", _as_text(payload["data"]))
                payload["data"] = None
        return payload

    def message_to_python(self, raw_message: Any) -> Any:
        """Make kombu's message. What the gate has read of it, Celery need not read again."""
        message: Any = super().message_to_python(raw_message)  # type: ignore[misc]  # pyright: ignore
        known: Message | None = self.connection.in_delivery  # type: ignore[attr-defined]  # pyright: ignore
        if known is not None:
            # In this form, protocol 1 in the clothes of 2, Celery takes arguments that have been read.
            message._decoded_cache = {"args": [known.argument], "kwargs": {}}  # noqa: SLF001
        return cast("Any", message)

    def add_dead_letter(self, reason: str, message: object) -> None:
        """Keep a message aside, counted and visible."""
        namespace = Namespace(self.namespace)
        with self.conn_or_acquire() as client, client.pipeline() as pipeline:  # type: ignore[attr-defined]  # pyright: ignore
            for command in dead_letter_commands(reason, message):
                pipeline.execute_command(*namespace.applied(command))
            pipeline.execute()


def _as_text(data: Any) -> str:
    try:
        return data if isinstance(data, str) else bytes(data).decode()
    except UnicodeDecodeError:
        return repr(data)


class GatedDelivery:
    """Mixed into kombu's transports: reads a message before Celery does, and lets the work begin before Celery does.

    Celery needs longer to hand a message to its task than the task needs to claim and send an order. What the delivery
    of a message raises ends here, unless a connection is at fault: the message becomes a dead letter and is acknowledged.
    """

    head_start: ClassVar[list[Callable[[Message], None]]] = []
    """Called with each message that is about to be delivered. kombu makes the transports, so they have it from the class."""

    in_delivery: Message | None = None
    """The message that Celery is being given just now."""

    def _deliver(self, message: Any, queue: str) -> None:
        delivery_tag = None
        try:
            found = read(message) if lane_of_queue(queue) in _LANES else None
            if isinstance(found, str):
                _refuse(self._consuming(queue), found, message, queue)
            elif found is None:  # what Celery says to itself
                super()._deliver(message, queue)  # type: ignore[misc]  # pyright: ignore
            else:
                sealed = found.sealed(queue)
                delivery_tag = sealed["properties"]["delivery_tag"]
                self._hand_over(found, sealed, queue)
        except Exception as error:
            if not _is_fault_of_message(error):
                raise
            channel = self._consuming(queue)
            _refuse(channel, f"message: cannot be delivered ({type(error).__name__})", message, queue)
            if delivery_tag is not None:
                channel.basic_ack(delivery_tag)

    def _hand_over(self, found: Message, sealed: Mapping[str, Any], queue: str) -> None:
        for begin in self.head_start:
            begin(found)
        self.in_delivery = found
        try:
            super()._deliver(sealed, queue)  # type: ignore[misc]  # pyright: ignore
        finally:
            self.in_delivery = None

    def _consuming(self, queue: str) -> Any:
        channels = cast("Sequence[Any]", self.channels)  # type: ignore[attr-defined]  # pyright: ignore
        return next((channel for channel in channels if queue in channel.active_queues), channels[0])


class GatedChannel(_Gate, kombu_redis.Channel):
    """See _Gate."""

    from_transport_options = (*kombu_redis.Channel.from_transport_options, *_OWN_OPTIONS)


class GatedTransport(GatedDelivery, kombu_redis.Transport):  # type: ignore[misc]
    """The transport for redis, rediss and unix URLs."""

    Channel = GatedChannel


class GatedSentinelChannel(_Gate, kombu_redis.SentinelChannel):
    """See _Gate."""

    from_transport_options = (*kombu_redis.SentinelChannel.from_transport_options, *_OWN_OPTIONS)


class GatedSentinelTransport(GatedDelivery, kombu_redis.SentinelTransport):  # type: ignore[misc]
    """The transport for sentinel URLs."""

    Channel = GatedSentinelChannel
