"""What the broker's answers to a login mean. Pure: bytes in; tokens, or a refusal without a secret in it, out."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Final, cast

import orjson

from worker.kotak.replies import Reply, parse_reply
from worker.kotak.secrets import Secrets

__all__ = ["Grant", "LoginRefused", "LoginTrouble", "Step", "clock_skew", "expiry_of", "read_grant", "read_ip"]


class LoginTrouble(StrEnum):
    """Why there is no session."""

    WRONG_CREDENTIALS = "wrong credentials"  # access token or mobile number, or the account is locked
    WRONG_TOTP = "wrong TOTP"  # the broker's text does not tell it from a wrong mobile number
    WRONG_MPIN = "wrong MPIN"
    WRONG_UCC = "wrong UCC"
    NOT_WHITELISTED = "not whitelisted"  # 100008: this machine's IP is not the account's
    TRANSIENT = "transient"  # no connection, no answer in time, 5xx, 429, a page of a gateway
    UNREADABLE = "unreadable"  # an answer that is neither a session nor a refusal that is known


class LoginRefused(Exception):  # noqa: N818 - the broker's word for it
    """There is no session. `code` and `text` are the broker's, without a secret; None and our own words where it has none.

    `clock_skew` as in NewSession. `retry_after_seconds` is what the broker asks for, None where it does not.
    """

    def __init__(
        self,
        kind: LoginTrouble,
        code: str | None,
        text: str,
        clock_skew: float | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(kind, code, text, clock_skew, retry_after_seconds)
        self.kind, self.code, self.text = kind, code, text
        self.clock_skew, self.retry_after_seconds = clock_skew, retry_after_seconds

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" + (f" ({self.code})" if self.code else "")


class Step(StrEnum):
    """A call of the login, by the `kType` that it grants."""

    VIEW = "View"
    TRADE = "Trade"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a step gives: tokens that a header can carry, and after the second step where to trade (not checked here)."""

    sid: str = field(repr=False)
    token: str = field(repr=False)
    base_url: str = field(repr=False)


_SUCCESS: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)
_DENIED: Final = frozenset({"401", "403"})
_SERVER_ERROR: Final = 500
_NOT_WHITELISTED: Final = "100008"
_TRANSIENT_STATUS: Final = frozenset({408, 424, 425, 429})
_TRANSIENT_CODES: Final = frozenset({"1005", "429", "900807"})
_SESSION_GONE: Final = frozenset({"100022", "100021", "1003"})
_WRONG: Final = (
    (re.compile(r"\bucc\b"), LoginTrouble.WRONG_UCC),
    (re.compile(r"\bt?otp\b"), LoginTrouble.WRONG_TOTP),
    (re.compile(r"\bmpin\b"), LoginTrouble.WRONG_MPIN),
)
_DENIAL: Final = re.compile(r"credential|authori[sz]|mobile|access token|\block|block|suspend|disabled")
_TOKEN: Final = re.compile(r"[!-~]{1,8192}")


def read_grant(http_status: int, headers: Mapping[str, str], body: bytes, step: Step, hidden: Iterable[str]) -> Grant:
    """Read the answer to a step by its content: HTTP 200 proves nothing. Raises LoginRefused, with nothing `hidden` in it."""
    if http_status in _REDIRECT:
        raise LoginRefused(LoginTrouble.UNREADABLE, None, f"HTTP {http_status}: a redirect is not followed")
    document = _object(_json(body))
    data = _object(document.get("data"))
    secrets = Secrets([*hidden, *(part for part in (data.get("token"), data.get("sid")) if isinstance(part, str))])
    reply = parse_reply(http_status, headers, body, secrets=secrets)
    if reply.text is None and data:
        inner = parse_reply(http_status, headers, orjson.dumps(data), secrets=secrets)
        reply = Reply(http_status, ok=False, code=reply.code or inner.code, text=inner.text)
    if not _is_success(document, data, reply):
        raise _refusal(reply, step, body)
    return _granted(data, step)


def _is_success(document: dict[str, Any], data: dict[str, Any], reply: Reply) -> bool:
    """Believe a success only where nothing contradicts it."""
    outer = {str(document[key]).lower() for key in ("status", "stat") if key in document}
    return (
        reply.http_status in _SUCCESS
        and str(data.get("status")).lower() == "success"
        and outer <= {"success", "ok"}
        and reply.code not in {_NOT_WHITELISTED, *_DENIED, *_TRANSIENT_CODES, *_SESSION_GONE}
    )


def _granted(data: dict[str, Any], step: Step) -> Grant:
    wanted = ("token", "sid") if step is Step.VIEW else ("token", "sid", "baseUrl")
    missing = [key for key in wanted if not (isinstance(data.get(key), str) and _TOKEN.fullmatch(data[key]))]
    if data.get("kType") != step:
        missing.append(f"kType {step}")
    if missing:
        text = f"the answer says success and has no usable {', '.join(missing)}"
        raise LoginRefused(LoginTrouble.UNREADABLE, None, text)
    return Grant(data["sid"], data["token"], data.get("baseUrl") or "" if step is Step.TRADE else "")


def _refusal(reply: Reply, step: Step, body: bytes) -> LoginRefused:
    kind = _kind(reply, step) if reply.readable else _kind_of_noise(reply.http_status, body)
    text = reply.text or f"HTTP {reply.http_status} without a readable reason"
    return LoginRefused(kind, reply.code, text, retry_after_seconds=reply.retry_after_seconds)


def _kind(reply: Reply, step: Step) -> LoginTrouble:
    """Read the code and the text before the HTTP status: "Invalid UCC" comes with a code 429, 100008 with a 401."""
    text = (reply.text or "").lower()
    if reply.code == _NOT_WHITELISTED:
        return LoginTrouble.NOT_WHITELISTED
    if reply.http_status >= _SERVER_ERROR:
        return LoginTrouble.TRANSIENT
    if wrong := next((kind for pattern, kind in _WRONG if pattern.search(text)), None):
        return wrong
    if reply.http_status in _TRANSIENT_STATUS or reply.code in _TRANSIENT_CODES:
        return LoginTrouble.TRANSIENT
    if step is Step.TRADE and reply.code in _SESSION_GONE:
        return LoginTrouble.TRANSIENT  # the first half of the login is gone; a new login makes a new one
    return _kind_of_denial(reply, step, text)


def _kind_of_denial(reply: Reply, step: Step, text: str) -> LoginTrouble:
    """Count a no of any words as wrong credentials: a broker locks accounts, so that it must not be asked for ever."""
    if str(reply.http_status) in _DENIED or reply.code in _DENIED or _DENIAL.search(text):
        return LoginTrouble.WRONG_CREDENTIALS if step is Step.VIEW else LoginTrouble.WRONG_MPIN
    return LoginTrouble.UNREADABLE


def _kind_of_noise(http_status: int, body: bytes) -> LoginTrouble:
    if http_status >= _SERVER_ERROR or http_status in _TRANSIENT_STATUS or body.lstrip()[:1] == b"<":
        return LoginTrouble.TRANSIENT
    return LoginTrouble.WRONG_CREDENTIALS if str(http_status) in _DENIED else LoginTrouble.UNREADABLE


def read_ip(http_status: int, body: bytes) -> str | None:
    """Read the IP address of the answer to get-client-ip; None where there is none."""
    rows = _object(_json(body)).get("data")
    first = _object(rows[0] if isinstance(rows, list) and rows else None)  # pyright: ignore[reportUnknownArgumentType]
    try:
        return str(ip_address(str(first.get("ip")))) if http_status in _SUCCESS else None
    except ValueError:
        return None


# ---------------------------------------------------------------------- times

_DAY_SECONDS: Final = 86_400
_IST_SECONDS: Final = 19_800


def expiry_of(token: str, now: float) -> float:
    """When a session ends, in seconds since the epoch: the token's own word, else the next midnight in India.

    A token that names a time that is over, or more than two days off, is not believed.
    """
    end = _object(_json(_payload(token))).get("exp")
    if isinstance(end, int | float) and not isinstance(end, bool) and now < end <= now + 2 * _DAY_SECONDS:
        return float(end)
    return float(((now + _IST_SECONDS) // _DAY_SECONDS + 1) * _DAY_SECONDS - _IST_SECONDS)


def _payload(token: str) -> bytes:
    """Take what a JWT says, unverified: only the broker can verify it."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - head, payload, signature
        return b""
    try:
        return base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except ValueError:
        return b""


def clock_skew(date: str | None, sent_at: float, answered_at: float) -> float | None:
    """By how many seconds this machine is ahead of a reply's `Date`: the least that explains it, 0 where none is needed.

    The reply was made between the two times, and its date is cut to the second. None where there is no date.
    """
    try:
        made = parsedate_to_datetime(date or "")
        made_at = made.replace(tzinfo=made.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    least, most = sent_at - (made_at + 1), answered_at - made_at
    return min(max(least, 0.0), most)


# ---------------------------------------------------------------------- JSON


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
