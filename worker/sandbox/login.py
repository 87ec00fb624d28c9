"""The broker's login: TOTP, then MPIN, then a session; and the caller's IP."""

import asyncio
import re
import uuid
from dataclasses import dataclass
from typing import Any, cast

import orjson
from aiohttp import web

from worker.sandbox.book import Account, Book
from worker.sandbox.delivery import Act, Delivery, answer
from worker.sandbox.exchange import Effect
from worker.sandbox.journal import Call, Journal
from worker.sandbox.login_record import UnderWay
from worker.sandbox.origin import ip_of
from worker.sandbox.reply import Reply, body_invalid, json_reply, no_session
from worker.sandbox.wire import key_problem

__all__ = ["BASE_PATH", "Login", "base_url_of"]


BASE_PATH = "/r1"

_SIX_DIGITS = re.compile(r"[0-9]{6}")
_WRONG = "Invalid credentials or TOTP."


@dataclass(frozen=True, slots=True)
class View:
    """The first half of a login: it can be turned into a session with the MPIN."""

    ucc: str
    sid: str


class Login:
    """Answers the login calls. `under_way` counts those of all accounts that are known."""

    def __init__(self, book: Book, journal: Journal, delivery: Delivery) -> None:
        self._book = book
        self._journal = journal
        self._delivery = delivery
        self.clear()

    def routes(self) -> list[web.RouteDef]:
        """Return the login routes, the same for all accounts."""
        return [
            web.post("/login/1.0/tradeApiLogin", self._login),
            web.post("/login/1.0/tradeApiValidate", self._validate),
            web.get("/login/1.0/get-client-ip", self._client_ip),
        ]

    def clear(self) -> None:
        """Forget every login that was begun."""
        self._views: dict[str, View] = {}
        self.under_way = UnderWay()

    async def _login(self, request: web.Request) -> web.StreamResponse:
        call = self._journal.arrive("login")
        fields = await _fields(request)
        if isinstance(fields, Reply):
            return answer(call, fields)
        call.ucc = str(fields.get("ucc"))
        account = self._book.accounts.get(call.ucc)
        if account is not None:
            account.record.counts["attempts"] += 1
        access_token = request.headers["Authorization"]
        return await self._perform(request, call, lambda _: self._begin(account, fields, access_token))

    async def _perform(self, request: web.Request, call: Call, act: Act) -> web.StreamResponse:
        """Answer a call in the account's own time, and count it while it is under way."""
        account = self._book.accounts.get(call.ucc or "")
        if account is None:
            return await self._delivery.perform(request, call, act)
        with self.under_way.one_more(), account.record.under_way.one_more():
            if account.rules.login.login_seconds:
                await asyncio.sleep(account.rules.login.login_seconds)
            return await self._delivery.perform(request, call, act)

    def _begin(self, account: Account | None, fields: dict[str, Any], access_token: str) -> Reply:
        missing = [key for key in ("mobileNumber", "ucc", "totp") if not isinstance(fields.get(key), str)]
        if missing:
            return json_reply(
                {"error": [{"code": "400", "message": f"Missing required field '{missing[0]}'"}]}, status=400
            )
        if account is None:
            return json_reply({"stCode": 429, "errMsg": "Invalid UCC", "status": "failure"})
        if not _knows(account, access_token, fields["mobileNumber"]):
            return _denied(_WRONG)
        if not _accepts_totp(account, fields["totp"], self._book.clock.now()):
            return _denied(_WRONG)
        account.record.counts["accepted"] += 1
        view, token = View(account.ucc, str(uuid.uuid4())), self._book.token(account)
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

        def act(_: Effect) -> Reply:
            refusal = self._refusal(token, request.headers["Authorization"], fields.get("mpin"))
            return refusal or self._finish(token, view, ip_of(request), base_url_of(request))

        return await self._perform(request, call, act)

    def _refusal(self, token: str, access_token: str, mpin: Any) -> Reply | None:
        view = self._views.get(token)
        account = None if view is None else self._book.accounts.get(view.ucc)
        if account is None:
            return no_session()
        if not _knows(account, access_token):
            return _denied(_WRONG)
        if account.is_locked:
            account.record.counts["locked"] += 1
            return _denied("Account is locked after too many wrong MPINs.")
        return None if _accepts_mpin(account, mpin) else _denied("Invalid MPIN.")

    def _finish(self, token: str, view: View, ip: str, base_url: str) -> Reply:
        self._views.pop(token, None)
        self._book.accounts[view.ucc].record.counts["logins"] += 1
        session = self._book.issue(view.ucc, ip=ip)
        granted = {"token": session.auth, "sid": session.sid, "baseUrl": base_url, "kType": "Trade"}
        return _granted(granted | {"ucc": view.ucc, "dataCenter": "E41", "hsServerId": "server4"})

    async def _client_ip(self, request: web.Request) -> web.StreamResponse:
        call = self._journal.arrive("client_ip")
        session = self._book.sessions.get(request.headers.get("Auth", ""))
        call.ucc = session.ucc if session else None
        if session is None or not session.alive or request.headers.get("Sid") != session.sid:
            return answer(call, no_session())
        payload = {"data": [{"ip": ip_of(request)}], "stCode": 1000}
        return await self._delivery.perform(request, call, lambda _: json_reply(payload))


def base_url_of(request: web.Request) -> str:
    """Return the trading address that this server hands out: the name it was called by, and a path."""
    return f"{request.scheme}://{request.host}{BASE_PATH}"


def _knows(account: Account, access_token: str, mobile: str | None = None) -> bool:
    """Whether the credentials are the account's; a call without a mobile number is judged by the rest."""
    rules = account.rules
    is_right = rules.access_token in {None, access_token} and (mobile is None or rules.mobile in {None, mobile})
    account.record.counts["wrong_credentials"] += not is_right
    return is_right


def _accepts_totp(account: Account, code: str, now: float) -> bool:
    secret = account.rules.totp_secret
    if not _SIX_DIGITS.fullmatch(code):
        account.record.counts["wrong_totp"] += 1
        return False
    return secret is None or account.record.use_totp(secret, code, now, account.rules.login.totp_drift)


def _accepts_mpin(account: Account, mpin: Any) -> bool:
    is_right = isinstance(mpin, str) and _SIX_DIGITS.fullmatch(mpin) and account.rules.mpin in {None, mpin}
    account.record.wrong_mpins = 0 if is_right else account.record.wrong_mpins + 1
    account.record.counts["wrong_mpin"] += not is_right
    return bool(is_right)


async def _fields(request: web.Request) -> dict[str, Any] | Reply:
    body = await request.read()
    problem = key_problem(request.headers)
    if problem is not None:
        return problem
    if not request.headers.get("Authorization"):
        return _denied(_WRONG)
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body_invalid()
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) else body_invalid()


def _granted(data: dict[str, Any]) -> Reply:
    return json_reply({"data": data | {"status": "success"}})


def _denied(text: str) -> Reply:
    return json_reply({"status": "error", "message": text, "errorCode": "401"}, status=401)
