"""Celery's Redis transport, with a gate: a message that cannot be read becomes a dead letter instead of ending the worker."""

import base64
import json
from collections.abc import Callable
from typing import Any, ClassVar, cast

import orjson
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError

from neo_cancel.errors import InvalidOrderError
from neo_cancel.messages import TASK_NAME
from neo_cancel.order import Lane
from worker.dispatch.intake import Chunk, read_chunk
from worker.ledger.dead_letter import dead_letter_commands

__all__ = ["GatedDelivery", "GatedSentinelTransport", "GatedTransport", "read"]


def read(message: Any) -> tuple[str | None, Chunk | None]:
    """Read a message from a queue: what is wrong with it, as its sender would need to hear it, or None and its chunk."""
    if not isinstance(message, dict):
        return "message: must be a JSON object, Celery protocol 2", None
    envelope = cast("dict[str, Any]", message)
    if told := _about_envelope(envelope):
        return told, None
    try:
        said = _parsed(envelope.get("body"), envelope["properties"].get("body_encoding"))
    except (TypeError, ValueError, RecursionError):
        return "body: must be a string of JSON", None
    if told := _about_body(said):
        return told, None
    try:
        return None, read_chunk(said[0][0])
    except InvalidOrderError as error:
        return str(error), None


def _about_envelope(envelope: dict[str, Any]) -> str | None:
    headers, properties = envelope.get("headers"), envelope.get("properties")
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        return "message: headers and properties must be objects"
    told = _about_headers(cast("dict[str, Any]", headers)) or _about_properties(cast("dict[str, Any]", properties))
    if told:
        return told
    if envelope.get("content-type") != "application/json":
        return "content-type: must be application/json"
    if envelope.get("content-encoding", "utf-8") != "utf-8":
        return "content-encoding: must be utf-8"
    return None


def _about_headers(headers: dict[str, Any]) -> str | None:
    if headers.get("task") != TASK_NAME:
        return f"headers.task={headers.get('task')!r}: must be {TASK_NAME}"
    if not isinstance(headers.get("id"), str):
        return "headers.id: must be a string"
    for name in ("eta", "expires", "chord", "group", "stamped_headers", "stamps"):
        if headers.get(name):
            return f"headers.{name}: is not supported"
    if headers.get("timelimit", [None, None]) != [None, None]:
        return "headers.timelimit: is not supported"
    return None


def _about_properties(properties: dict[str, Any]) -> str | None:
    if not isinstance(properties.get("delivery_tag"), str):
        return "properties.delivery_tag: must be a string"
    if not isinstance(properties.get("correlation_id"), str):
        return "properties.correlation_id: must be a string"
    delivery = properties.get("delivery_info")
    if not isinstance(delivery, dict) or not {"exchange", "routing_key"} <= delivery.keys():  # pyright: ignore[reportUnknownMemberType]
        return "properties.delivery_info: must hold exchange and routing_key"
    if properties.get("body_encoding", "utf-8") not in ("utf-8", "base64"):
        return "properties.body_encoding: must be utf-8 or base64"
    return None


def _parsed(body: Any, encoding: Any) -> Any:
    # Celery's own senders write base64, the producer does not.
    text = base64.b64decode(body, validate=True).decode() if encoding == "base64" else body
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)  # NaN and huge numbers, which Celery reads: no reason to refuse an order


def _about_body(said: Any) -> str | None:
    match said:
        case [[_], named, {} | None as options] if named == {}:
            if any(cast("dict[str, Any]", options or {}).values()):
                return "body: callbacks, errbacks, chain and chord are not supported"
            return None
        case _:
            return "body: must be [[chunk], {}, options]"


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
            self.add_dead_letter(f"message: must be JSON ({type(error).__name__})", text)
            return True

    def add_dead_letter(self, reason: str, message: object) -> None:
        """Keep a message aside, counted and visible."""
        with self.conn_or_acquire() as client, client.pipeline() as pipeline:  # type: ignore[attr-defined]  # pyright: ignore
            for command in dead_letter_commands(reason, message):
                pipeline.execute_command(*command)
            pipeline.execute()


class GatedDelivery:
    """Mixed into kombu's transports: looks at a message before Celery does, and lets the work begin before Celery does.

    Celery needs longer to hand a message to its task than the task needs to claim and send an order.
    """

    head_start: ClassVar[list[Callable[[str, Any], None]]] = []
    """Called with the id and the chunk of each message that is about to be delivered."""

    def _deliver(self, message: Any, queue: str) -> None:
        if queue in list(Lane):
            complaint, chunk = read(message)
            if chunk is None:
                self.channels[0].add_dead_letter(complaint, message)  # type: ignore[attr-defined]  # pyright: ignore
                return
            for begin in self.head_start:
                begin(message["headers"]["id"], chunk)
        super()._deliver(message, queue)  # type: ignore[misc]  # pyright: ignore


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
