"""Any HTTP reply of the broker as one value. Pure: bytes in, Reply out, never an exception."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import orjson

from worker.kotak.secrets import NO_SECRETS, Secrets

__all__ = ["MAX_TEXT", "READ_TEXT", "NoReply", "NoSessionError", "NotSent", "Reply", "TooLateError", "parse_reply"]

MAX_TEXT: Final = 300
READ_TEXT: Final = 4096
"""So much of a text is looked at: what is secret is found in it before the text is cut to MAX_TEXT."""
MAX_RETRY_AFTER_SECONDS: Final = 300.0
_MAX_CODE: Final = 32
_MAX_BODY: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """The broker's answer to one call.

    `ok` is `stat` "Ok" and nothing else: neither HTTP 200 nor stCode 200 proves success (specification, section 6).
    `code` and `text` are the first ones found in any of the shapes that are known, None where there are none.
    `readable`: the body was a JSON object. `retry_after_seconds` is the header of that name, None without one.
    `order_number` is the broker's nOrdNo, which may differ in length from ours.
    """

    http_status: int
    ok: bool
    code: str | None = None
    text: str | None = None
    readable: bool = True
    retry_after_seconds: float | None = None
    order_number: str | None = None

    def is_of_another(self, order_number: str) -> bool:
        """Tell a reply that a gateway sent too late or twice. In the specification's own sample nOrdNo is longer than `on`."""
        named = self.order_number
        return named is not None and named != order_number and len(named) == len(order_number)


class NoSessionError(Exception):
    """No call can be made: there is no session for an account."""


class TooLateError(Exception):
    """The call's turn was over before a connection was there. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """Something may have been sent, and no reply came."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """No byte left this machine; `why` names host and cause, never a token. `is_for_a_person`: it does not pass by itself."""

    why: str
    is_for_a_person: bool = False


def parse_reply(
    http_status: int, headers: Mapping[str, str], body: bytes, *, now: float = 0.0, secrets: Secrets = NO_SECRETS
) -> Reply:
    """Read a reply of any shape: JSON of every known form, JSON served as text, HTML, empty, truncated, noise.

    `now` (seconds since the epoch) turns a Retry-After date into seconds. No text of the reply shows one of the `secrets`.
    """
    retry_after = _retry_after(headers, now)
    document = _json_object(body)
    if document is None:
        return Reply(http_status, ok=False, readable=False, retry_after_seconds=retry_after)
    stat = document.get("stat")
    number = document.get("nOrdNo")
    is_ok = isinstance(stat, str) and stat.strip().lower() == "ok"
    return Reply(
        http_status,
        ok=is_ok,
        code=_first(_code_text(value, secrets) for value in _code_places(document)),
        text=None if is_ok else _first(_plain_text(value, secrets) for value in _text_places(document)),
        retry_after_seconds=retry_after,
        order_number=secrets.covered(number[:READ_TEXT])[:_MAX_CODE] if isinstance(number, str) else None,
    )


def _json_object(body: bytes) -> dict[str, Any] | None:
    if len(body) > _MAX_BODY:  # a reply to a cancel is under 1 KB; megabytes of it are noise
        return None
    try:
        document = orjson.loads(body)
    except ValueError:
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _head(value: Any) -> dict[str, Any]:
    """Take the first entry of a list of errors."""
    return _object(value[0]) if isinstance(value, list) and value else {}  # pyright: ignore[reportUnknownArgumentType]


def _text_places(document: dict[str, Any]) -> Iterable[Any]:
    yield from (document.get("emsg"), document.get("errMsg"), document.get("message"), document.get("error"))
    yield _head(document.get("error")).get("message")
    data = _object(document.get("data"))
    yield _head(data.get("error")).get("message")
    yield _object(document.get("fault")).get("message")
    yield from (document.get("desc"), document.get("description"), document.get("stat"))


def _code_places(document: dict[str, Any]) -> Iterable[Any]:
    yield from (document.get("stCode"), document.get("errorCode"), document.get("code"))
    yield _head(document.get("error")).get("code")
    yield _head(_object(document.get("data")).get("error")).get("code")
    yield _object(document.get("fault")).get("code")


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def _plain_text(value: Any, secrets: Secrets) -> str | None:
    if not isinstance(value, str):
        return None
    return secrets.covered(" ".join(value[:READ_TEXT].split()))[:MAX_TEXT] or None


def _code_text(value: Any, secrets: Secrets) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return secrets.covered(str(value)[:READ_TEXT].strip())[:_MAX_CODE] or None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(0.0, min(seconds, MAX_RETRY_AFTER_SECONDS)) if seconds == seconds else None  # noqa: PLR0124 (NaN)
