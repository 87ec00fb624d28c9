"""A message as it lies in a queue (Celery's protocol 2, JSON): what it holds, or what is wrong with it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import orjson

from neo_cancel.errors import InvalidOrderError
from neo_cancel.messages import new_id
from worker.consuming.kinds import KINDS, Kind

__all__ = ["Message", "read"]


_ID_LENGTH: Final = 255
_SHOWN: Final = 200
_WITHOUT_BODY: Final[Mapping[str, Any]] = {"content-type": "application/json", "content-encoding": "utf-8"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message that can be worked on: `value` is what the reader of its kind made of its argument.

    `argument` is that argument as JSON gives it and `body` the text that it was read from; `shown` is how its sender
    shows it, None as the value shows itself, and `enqueued_ms` when the message was written. None: its sender did not say.
    """

    message_id: str
    kind: Kind[Any]
    value: Any
    argument: Any = field(default=None, compare=False)
    body: str = field(default="", compare=False)
    shown: str | None = field(default=None, compare=False)
    enqueued_ms: int | None = field(default=None, compare=False)
    ignores_result: bool = field(default=False, compare=False)

    def sealed(self, lane: str) -> dict[str, Any]:
        """Write it anew for Celery, with a delivery tag of its own: nothing that was not checked reaches Celery or kombu.

        `lane` is the queue that it came from, and to which it returns if it is never acknowledged.
        """
        headers: dict[str, Any] = {
            "lang": "py",
            "task": self.kind.task,
            "id": self.message_id,
            "root_id": self.message_id,
            "argsrepr": str(self.value) if self.shown is None else self.shown,
            "kwargsrepr": "{}",
            "ignore_result": self.ignores_result,
        }
        if self.enqueued_ms is not None:
            headers["enqueued_ms"] = self.enqueued_ms
        properties = {
            "correlation_id": self.message_id,
            "delivery_info": {"exchange": "", "routing_key": lane},
            "priority": 0,
            "body_encoding": "utf-8",
            "delivery_tag": new_id(),
        }
        return {**_WITHOUT_BODY, "body": self.body, "headers": headers, "properties": properties}


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
        text = _text(envelope.get("body"), envelope["properties"].get("body_encoding"))
        body = _parsed(text)
    except (TypeError, ValueError, RecursionError):
        return "body: must be a string of JSON"
    if complaint := _about_body(body):
        return complaint
    try:
        return _message(envelope["headers"], text, body[0][0], kinds)
    except InvalidOrderError as error:
        return str(error)


def _message(headers: Mapping[str, Any], text: str, argument: Any, kinds: Mapping[str, Kind[Any]]) -> Message:
    kind, shown, enqueued_ms = kinds[headers["task"]], headers.get("argsrepr"), headers.get("enqueued_ms")
    return Message(
        headers["id"],
        kind,
        kind.read(argument),
        argument=argument,
        body=text,
        shown=shown[:_SHOWN] if isinstance(shown, str) else None,
        enqueued_ms=enqueued_ms if type(enqueued_ms) is int else None,
        ignores_result=headers.get("ignore_result") is True,
    )


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
    task, message_id = headers.get("task"), headers.get("id")
    if task not in list(kinds):
        return str(InvalidOrderError("headers.task", task, f"must be {' or '.join(kinds)}"))
    if not isinstance(message_id, str):
        return "headers.id: must be a string"
    if not 0 < len(message_id) <= _ID_LENGTH or not message_id.isprintable():
        return f"headers.id: must be 1 to {_ID_LENGTH} printable characters"
    for name, nothing in _UNSUPPORTED.items():
        if headers.get(name) not in nothing:
            return f"headers.{name}: is not supported"
    return None


_UNSUPPORTED: Final[Mapping[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("eta", "expires", "chord", "group", "compression"), (None,)),
    "timelimit": (None, [None, None]),
    "stamped_headers": (None, []),
    "stamps": (None, {}),
}
"""What Celery would obey, by header, and how senders say that they do not ask for it. Anything else asks for it."""


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


def _text(body: Any, encoding: Any) -> str:
    # Celery's own senders write base64, the producer does not.
    text = base64.b64decode(body, validate=True).decode() if encoding == "base64" else body
    if not isinstance(text, str):
        raise TypeError("no text")
    text.encode()  # half a character cannot be written again
    return text


def _parsed(text: str) -> Any:
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
