"""A message as it lies in a queue (Celery's protocol 2, JSON): what it holds, or what is wrong with it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from neo_cancel.errors import InvalidOrderError
from worker.consuming.kinds import KINDS, Kind

__all__ = ["Message", "read"]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that can be worked on: `value` is what the reader of its kind made of its argument."""

    message_id: str
    kind: Kind[Any]
    value: Any


def read(message: object, kinds: Mapping[str, Kind[Any]] = KINDS) -> Message | str:
    """Read a message. A string names what is wrong with it, in the words of the wire, for its sender."""
    try:
        return _read(message, kinds)
    except RecursionError:
        # JSON can be read that is nested more deeply than Python can show it.
        return "message: is nested too deeply"


def _read(message: object, kinds: Mapping[str, Kind[Any]]) -> Message | str:
    if not isinstance(message, dict):
        return "message: must be a JSON object, Celery protocol 2"
    envelope = cast("dict[str, Any]", message)
    if complaint := _about_envelope(envelope, kinds):
        return complaint
    try:
        body = _parsed(envelope.get("body"), envelope["properties"].get("body_encoding"))
    except (TypeError, ValueError, RecursionError):
        return "body: must be a string of JSON"
    if complaint := _about_body(body):
        return complaint
    headers = envelope["headers"]
    kind = kinds[headers["task"]]
    try:
        return Message(headers["id"], kind, kind.read(body[0][0]))
    except InvalidOrderError as error:
        return str(error)


def _about_envelope(envelope: dict[str, Any], kinds: Mapping[str, Kind[Any]]) -> str | None:
    headers, properties = envelope.get("headers"), envelope.get("properties")
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        return "message: headers and properties must be objects"
    complaint = _about_headers(cast("dict[str, Any]", headers), kinds)
    if complaint := complaint or _about_properties(cast("dict[str, Any]", properties)):
        return complaint
    if envelope.get("content-type") != "application/json":
        return "content-type: must be application/json"
    if envelope.get("content-encoding", "utf-8") != "utf-8":
        return "content-encoding: must be utf-8"
    return None


def _about_headers(headers: dict[str, Any], kinds: Mapping[str, Kind[Any]]) -> str | None:
    if headers.get("task") not in list(kinds):
        return f"headers.task={headers.get('task')!r}: must be {' or '.join(kinds)}"
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


def _about_body(body: Any) -> str | None:
    match body:
        case [[_], named, {} | None as options] if named == {}:
            if any(cast("dict[str, Any]", options or {}).values()):
                return "body: callbacks, errbacks, chain and chord are not supported"
            return None
        case _:
            return "body: must be [[argument], {}, options]"
