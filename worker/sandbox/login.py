"""The broker's login: TOTP, then MPIN, then a session; and the caller's IP."""

import base64
import hashlib
import hmac
import re
import time
import uuid
from dataclasses import dataclass
from typing import Any, cast

import orjson
from aiohttp import web

from worker.sandbox.book import Account, Book, session_token
from worker.sandbox.delivery import Delivery, answer
from worker.sandbox.exchange import Effect
from worker.sandbox.journal import Call, Journal
from worker.sandbox.reply import Reply, body_invalid, json_reply, no_session
from worker.sandbox.wire import key_problem

__all__ = ["BASE_PATH", "Login", "base_url_of"]


BASE_PATH = "/r1"

_SIX_DIGITS = re.compile(r"[0-9]{6}")
_TOTP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class View:
    """The first half of a login: it can be turned into a session with the MPIN."""

    ucc: str
    sid: str


class Login:
    """Answers the login calls."""

    def __init__(self, book: Book, journal: Journal, delivery: Delivery) -> None:
        self._book = book
        self._journal = journal
        self._delivery = delivery
        self._views: dict[str, View] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the login routes, the same for all accounts."""
        return [
            web.post("/login/1.0/tradeApiLogin", self._login),
            web.post("/login/1.0/tradeApiValidate", self._validate),
            web.get("/login/1.0/get-client-ip", self._client_ip),
        ]

    def clear(self) -> None:
        """Forget every login that was begun."""
        self._views = {}

    async def _login(self, request: web.Request) -> web.StreamResponse:
        call = self._journal.arrive("login")
        fields = await _fields(request)
        if isinstance(fields, Reply):
            return answer(call, fields)
        call.ucc = str(fields.get("ucc"))
        return await self._delivery.perform(request, call, lambda _: self._begin(call, fields))

    def _begin(self, call: Call, fields: dict[str, Any]) -> Reply:
        missing = [key for key in ("mobileNumber", "ucc", "totp") if not isinstance(fields.get(key), str)]
        if missing:
            return json_reply(
                {"error": [{"code": "400", "message": f"Missing required field '{missing[0]}'"}]}, status=400
            )
        account = self._book.accounts.get(call.ucc or "")
        if account is None:
            return json_reply({"stCode": 429, "errMsg": "Invalid UCC", "status": "failure"})
        if not _accepts_totp(account, fields["totp"]):
            return _denied("Invalid credentials or TOTP.")
        view, token = View(account.ucc, str(uuid.uuid4())), session_token(account.ucc)
        self._views[token] = view
        return _granted({"token": token, "sid": view.sid, "kType": "View", "ucc": account.ucc})

    async def _validate(self, request: web.Request) -> web.StreamResponse:
        call = self._journal.arrive("validate")
        fields = await _fields(request)
        token = request.headers.get("Auth", "")
        view = self._views.get(token)
        call.ucc = view.ucc if view else None
        if isinstance(fields, Reply):
            return answer(call, fields)
        if view is None or request.headers.get("sid") != view.sid:
            return answer(call, no_session())
        base_url = base_url_of(request)

        def act(_: Effect) -> Reply:
            return self._finish(token, view, fields.get("mpin"), base_url)

        return await self._delivery.perform(request, call, act)

    def _finish(self, token: str, view: View, mpin: Any, base_url: str) -> Reply:
        account = self._book.accounts.get(view.ucc)
        if account is None:
            return no_session()
        if not _accepts_mpin(account, mpin):
            return _denied("Invalid MPIN.")
        self._views.pop(token, None)
        account.logins += 1
        session = self._book.issue(view.ucc)
        granted = {"token": session.auth, "sid": session.sid, "baseUrl": base_url, "kType": "Trade"}
        return _granted(granted | {"ucc": view.ucc, "dataCenter": "E41", "hsServerId": "server4"})

    async def _client_ip(self, request: web.Request) -> web.StreamResponse:
        call = self._journal.arrive("client_ip")
        session = self._book.sessions.get(request.headers.get("Auth", ""))
        call.ucc = session.ucc if session else None
        if session is None or not session.alive or request.headers.get("Sid") != session.sid:
            return answer(call, no_session())
        payload = {"data": [{"ip": request.remote}], "stCode": 1000}
        return await self._delivery.perform(request, call, lambda _: json_reply(payload))


def base_url_of(request: web.Request) -> str:
    """Return the trading address that this server hands out: the name it was called by, and a path."""
    return f"{request.scheme}://{request.host}{BASE_PATH}"


def totp_codes(secret: str, now: float) -> set[str]:
    """Return the codes (RFC 6238, 30 s) of a base32 secret that are good at `now` (epoch seconds).

    One step of drift either way is allowed.
    """
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    step = int(now) // _TOTP_SECONDS
    return {_totp_code(key, step + drift) for drift in (-1, 0, 1)}


def _totp_code(key: bytes, step: int) -> str:
    digest = hmac.new(key, step.to_bytes(8, "big"), hashlib.sha1).digest()
    start = digest[-1] & 0x0F
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


def _accepts_totp(account: Account, totp: str) -> bool:
    if not _SIX_DIGITS.fullmatch(totp):
        return False
    secret = account.rules.totp_secret
    if secret is None:
        return True
    if totp in account.used_totp or totp not in totp_codes(secret, time.time()):
        return False
    account.used_totp.add(totp)
    return True


def _accepts_mpin(account: Account, mpin: Any) -> bool:
    if not isinstance(mpin, str) or not _SIX_DIGITS.fullmatch(mpin):
        return False
    return account.rules.mpin in {None, mpin}


async def _fields(request: web.Request) -> dict[str, Any] | Reply:
    body = await request.read()
    problem = key_problem(request.headers)
    if problem is not None:
        return problem
    if not request.headers.get("Authorization"):
        return _denied("Invalid credentials or TOTP.")
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body_invalid()
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) else body_invalid()


def _granted(data: dict[str, Any]) -> Reply:
    return json_reply({"data": data | {"status": "success"}})


def _denied(text: str) -> Reply:
    return json_reply({"status": "error", "message": text, "errorCode": "401"}, status=401)
