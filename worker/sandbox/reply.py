"""Replies in the broker's shapes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

__all__ = [
    "JSON",
    "Reply",
    "acknowledged",
    "body_invalid",
    "completed",
    "foreign_session",
    "json_reply",
    "no_data",
    "no_session",
    "not_found",
    "not_whitelisted",
    "raw_reply",
    "refused",
    "rows",
    "too_many",
]


JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire; `code` is its stCode for the journal, None where it has none."""

    status: int
    body: bytes
    code: int | str | None = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict[str, str])


def json_reply(payload: Any, *, status: int = 200) -> Reply:
    """Return a JSON reply; the code is looked up in the payload."""
    return Reply(status, orjson.dumps(payload), code_in(payload))


def raw_reply(payload: Any, *, status: int, content_type: str, headers: dict[str, str]) -> Reply:
    """Return a reply as ordered: a string goes out as it is, anything else as JSON."""
    body = payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
    return Reply(status, body, code_in(payload), content_type, headers)


def acknowledged(order_number: str) -> Reply:
    """Return the broker's Ok to a cancel."""
    return Reply(200, b'{"nOrdNo":"%b","stat":"Ok","stCode":200}' % order_number.encode(), 200)


def refused(code: int, text: str, *, status: int = 200) -> Reply:
    """Return a refusal in the documented shape."""
    return json_reply({"stat": "Not_Ok", "emsg": text, "stCode": code}, status=status)


def not_found() -> Reply:
    """Return the documented answer for an order that is cancelled, dead or unknown."""
    return refused(1006, "Order already cancelled or not found.")


def completed() -> Reply:
    """Return the broker's answer for an order that is completely filled."""
    payload = {"stCode": 1021, "errMsg": "order is completed", "stat": "please provide valid order number"}
    return json_reply(payload, status=400)


def body_invalid() -> Reply:
    """Return the broker's answer to a body that it cannot read."""
    return json_reply({"stCode": 1007, "errMsg": "body invalid", "stat": "bad request"}, status=400)


def no_session() -> Reply:
    """Return the broker's answer to a token that it does not know or no longer accepts."""
    return json_reply({"stCode": 100022, "errMsg": "invalid session token", "stat": "Not_Ok"}, status=401)


def foreign_session() -> Reply:
    """Return the broker's answer to a session that is used from another address than that of its login."""
    return json_reply({"stCode": 1037, "errMsg": "session IP does not match request IP", "stat": "Not_Ok"})


def not_whitelisted(status: int) -> Reply:
    """Return the broker's answer to an order call from an address that the account has not named."""
    text = "unauthorized: source IP is not whitelisted for this account"
    return json_reply({"stCode": 100008, "errMsg": text, "stat": "Not_Ok"}, status=status)


def no_data() -> Reply:
    """Return the broker's answer to a read that finds nothing."""
    return json_reply({"stat": "Not_Ok", "errMsg": "No Data", "stCode": 5203})


def too_many() -> Reply:
    """Return the broker's answer above the rate."""
    payload = {"code": 429, "error": "Rate limit exceeded", "message": "too many request received"}
    return json_reply(payload, status=429)


def rows(serialized: Iterable[bytes]) -> Reply:
    """Order rows in the broker's envelope."""
    return Reply(200, b'{"stat":"Ok","stCode":200,"data":[' + b",".join(serialized) + b"]}", 200)


def code_in(payload: Any) -> int | str | None:
    """Return the code that a reply carries at its top, None when there is none."""
    if not isinstance(payload, dict):
        return None
    fields = cast("dict[str, Any]", payload)
    found = next((fields[key] for key in ("stCode", "errorCode", "code") if key in fields), None)
    return found if isinstance(found, int | str) else None
