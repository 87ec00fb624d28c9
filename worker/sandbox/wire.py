"""The broker's side of the wire: header and body checks, strict as documented."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote_plus

import orjson

from worker.sandbox.reply import Reply, body_invalid, json_reply, refused

__all__ = ["CancelCall", "header_problem", "key_problem", "query_problem", "read_cancel", "read_form", "read_history"]


_FORM = "application/x-www-form-urlencoded"
_CANCEL_KEYS = frozenset({"on", "am", "ts"})
# Kotak's own SDK sends no neo-fin-key after the login, and the broker takes its calls.
_SDK_AGENT = "NeoSDK-Python/"


@dataclass(frozen=True, slots=True)
class CancelCall:
    """What a cancel asks for; `trading_symbol` None means that none was sent."""

    order_number: str
    amo: bool
    trading_symbol: str | None


def header_problem(headers: Mapping[str, str], *, form: bool) -> Reply | None:
    """Return the refusal for a missing or wrong header, None when all is as documented."""
    if headers.get("accept") != "application/json":
        return _bad_header("accept", "application/json")
    problem = None if _from_sdk(headers) else key_problem(headers)
    if problem is not None:
        return problem
    if form and headers.get("Content-Type") != _FORM:
        return _bad_header("Content-Type", _FORM)
    return None


def key_problem(headers: Mapping[str, str]) -> Reply | None:
    """Return the refusal for a missing or wrong neo-fin-key."""
    return None if headers.get("neo-fin-key") == "neotradeapi" else _bad_header("neo-fin-key", "neotradeapi")


def query_problem(query: Mapping[str, str]) -> Reply | None:
    """Return the refusal for a query string; `sId` alone is tolerated."""
    if set(query) <= {"sId"}:
        return None
    payload = {"stat": "Not_Ok", "stCode": 5202, "errMsg": "Error: Invalid Request", "tid": "server4_1258509"}
    return json_reply(payload, status=400)


def read_form(body: bytes) -> dict[str, Any] | Reply:
    """Return the JSON object in the only form field, `jData`, or the refusal."""
    if not body.startswith(b"jData=") or b"&" in body:
        return body_invalid()
    try:
        fields = orjson.loads(unquote_plus(body[6:].decode()))
    except ValueError:
        return body_invalid()
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) else body_invalid()


def read_cancel(fields: dict[str, Any]) -> CancelCall | Reply:
    """Return the cancel in a `jData` object, or the refusal."""
    number, amo, symbol = fields.get("on"), fields.get("am", "NO"), fields.get("ts")
    if not fields.keys() <= _CANCEL_KEYS:
        return _bad_input(f"unknown field {min(fields.keys() - _CANCEL_KEYS)}")
    if not isinstance(number, str) or not number:
        return _bad_input("on must be an order number")
    if not isinstance(amo, str) or amo not in {"YES", "NO"}:
        return _bad_input("am must be YES or NO")
    if symbol is not None and not isinstance(symbol, str):
        return _bad_input("ts must be a trading symbol")
    if amo == "YES" and not symbol:
        return _bad_input("ts is mandatory when am is YES")
    return CancelCall(number, amo == "YES", symbol)


def read_history(fields: dict[str, Any]) -> str | Reply:
    """Return the order number in a history request, or the refusal."""
    number = fields.get("nOrdNo")
    if fields.keys() != {"nOrdNo"} or not isinstance(number, str):
        return _bad_input("nOrdNo must be an order number")
    return number


def _from_sdk(headers: Mapping[str, str]) -> bool:
    return "neo-fin-key" not in headers and headers.get("User-Agent", "").startswith(_SDK_AGENT)


def _bad_header(name: str, value: str) -> Reply:
    return refused(1009, f"Bad input: header {name} must be {value}", status=400)


def _bad_input(text: str) -> Reply:
    return refused(1009, f"Bad input: {text}", status=400)
