"""The broker's login: TOTP, then MPIN, then a session, and the IP address that the broker sees."""

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson
from pydantic import SecretStr

from config.credentials import Credentials
from config.session_parts import is_here
from worker.kotak.login_replies import (
    Grant,
    LoginRefused,
    LoginTrouble,
    Step,
    clock_skew,
    expiry_of,
    read_grant,
    read_ip,
)
from worker.kotak.secrets import Secrets
from worker.kotak.session import NEO_FIN_KEY, Session
from worker.kotak.transport import prepare
from worker.kotak.unreachable import unreachable

__all__ = ["KotakLogin", "LoginRefused", "LoginTrouble", "NewSession"]

_PATHS: Final = {Step.VIEW: "/login/1.0/tradeApiLogin", Step.TRADE: "/login/1.0/tradeApiValidate"}
_CLIENT_IP: Final = "/login/1.0/get-client-ip"
_OWN_DOMAIN: Final = ".kotaksecurities.com"
_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:/[A-Za-z0-9._~/-]*)?"
)
_CODE: Final = re.compile(r"[0-9]{6}")
_IN_A_HEADER: Final = re.compile(r"[!-~]+")
_CONNECT_SECONDS: Final = 3.0
_IP_SECONDS: Final = 3.0
_NOTED_SKEW: Final = 10.0
_Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that was just made. Times are seconds since the epoch.

    `egress_ip` is this machine's address as the broker sees it, None where it did not say. `clock_skew`: so many seconds is
    this machine ahead of the broker's `Date`, None where there was none.
    """

    session: Session
    expires_at: float
    egress_ip: str | None
    clock_skew: float | None


class KotakLogin:
    """Logs accounts in. Nothing is tried twice, and no redirect is followed.

    `url` is where: https, or this machine, or one of `http_hosts`; anything else is a ValueError. A `baseUrl` is believed if
    it is https on the broker's domain, or a host of `trusted_hosts` (without TLS only if it is one of `http_hosts`, too), or
    this machine where `url` is. `call_seconds` bounds each of the two calls; `clock` is seconds since the epoch.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        url: str = "https://mis.kotaksecurities.com",
        trusted_hosts: Collection[str] = (),
        http_hosts: Collection[str] = (),
        call_seconds: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport, self._clock, self._call_seconds = transport, clock, call_seconds
        self._trusted_hosts, self._http_hosts = trusted_hosts, http_hosts
        self._url, (scheme, self._host) = url.rstrip("/"), _scheme_and_host(url)
        if scheme != "https" and not (is_here(self._host) or (scheme and self._host in http_hosts)):
            raise ValueError("the address of the login must be https")

    async def log_in(self, credentials: Credentials, code: str) -> NewSession:
        """Make a session with a TOTP code, in two calls and a third that asks for the IP address. Raises LoginRefused."""
        try:
            return await self._log_in(credentials, code)
        except LoginRefused as error:
            refusal = error.with_traceback(None)  # whose frames hold what is secret
        raise refusal

    async def _log_in(self, credentials: Credentials, code: str) -> NewSession:
        access_token, mpin = credentials.access_token.get_secret_value(), credentials.mpin.get_secret_value()
        mobile = credentials.mobile.get_secret_value()
        _check(access_token, code)
        hidden = [access_token, mpin, code, *_forms_of_mobile(mobile), *_plain(credentials.totp_secret)]
        headers = [
            ("accept", "application/json"),
            ("Authorization", access_token),
            ("neo-fin-key", NEO_FIN_KEY),
            ("Content-Type", "application/json"),
        ]
        fields = {"mobileNumber": mobile, "ucc": credentials.ucc, "totp": code}
        view, _ = await self._step(Step.VIEW, headers, fields, hidden)
        hidden += [view.token, view.sid]
        trade, skew = await self._step(Step.TRADE, _with(headers, view), {"mpin": mpin}, hidden)
        session = Session(self._believed(trade, hidden), trade.sid, trade.token)
        expires_at = expiry_of(trade.token, self._clock() - (skew or 0.0))
        return NewSession(session, expires_at, await self._egress_ip(_with(headers, trade)), skew)

    async def _step(
        self, step: Step, headers: _Headers, fields: dict[str, str], hidden: Iterable[str]
    ) -> tuple[Grant, float | None]:
        sent_at = self._clock()
        response, content = await self._exchange(
            "POST", _PATHS[step], headers, orjson.dumps(fields), self._call_seconds
        )
        skew = clock_skew(response.headers.get("date"), sent_at, self._clock())
        try:
            return read_grant(response.status_code, response.headers, content, step, hidden), skew
        except LoginRefused as error:
            refusal = _with_skew(error, skew)
        raise refusal

    def _believed(self, grant: Grant, hidden: Iterable[str]) -> str:
        """Answer where to trade. A session goes there with every call, so that a wrong place would be given it."""
        scheme, host = _scheme_and_host(grant.base_url)
        is_own = scheme == "https" and host.endswith(_OWN_DOMAIN)
        is_named = host in self._trusted_hosts and (scheme == "https" or host in self._http_hosts or is_here(host))
        if is_own or is_named or (is_here(host) and is_here(self._host)):
            return grant.base_url
        shown = Secrets([*hidden, grant.token, grant.sid]).covered(f"{scheme}://{host}") if host else "no address"
        text = f"the baseUrl of the answer is {shown}, not https on {_OWN_DOMAIN[1:]}"
        raise LoginRefused(LoginTrouble.UNREADABLE, None, f"{text} (NEO_CANCEL_LOGIN_HOSTS names further hosts)")

    async def _egress_ip(self, headers: _Headers) -> str | None:
        """Ask for the address that the broker sees. The session is good without it."""
        try:
            response, content = await self._exchange("GET", _CLIENT_IP, headers, b"", _IP_SECONDS)
        except LoginRefused:
            return None
        return read_ip(response.status_code, content)

    async def _exchange(
        self, method: str, path: str, headers: _Headers, body: bytes, seconds: float
    ) -> tuple[httpx.Response, bytes]:
        url = httpx.URL(self._url + path)
        extensions: dict[str, Any] = {
            "timeout": {"connect": min(_CONNECT_SECONDS, seconds), "read": seconds},
            "prepared": prepare(method, url, headers),
        }
        request = httpx.Request(method, url, headers=headers, content=body, extensions=extensions)
        try:
            async with asyncio.timeout(seconds):
                response = await self._transport.handle_async_request(request)
                try:
                    return response, await response.aread()
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            refusal = _no_answer(error, url.host)
        raise refusal  # out here: what was sent would come along with the transport's error


def _scheme_and_host(url: str) -> tuple[str, str]:
    """Take an address apart; both are empty where it is none, or more than scheme, host, port and a plain path.

    Parsers disagree on the rest (users, backslashes, percent signs), and the one that connects decides where a session goes.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None or not 0 < int(found["port"] or 1) < 1 << 16:
        return "", ""
    return found["scheme"], found["host"].strip("[]").lower()


def _check(access_token: str, code: str) -> None:
    """Refuse what need not be sent to be wrong."""
    if not _IN_A_HEADER.fullmatch(access_token):
        raise LoginRefused(LoginTrouble.WRONG_CREDENTIALS, None, "there is no access token that a header can carry")
    if not _CODE.fullmatch(code):
        raise LoginRefused(LoginTrouble.WRONG_TOTP, None, "a TOTP code is six digits")


def _with(headers: _Headers, grant: Grant) -> _Headers:
    return [*headers, ("Auth", grant.token), ("sid", grant.sid)]


def _plain(secret: SecretStr | None) -> tuple[str, ...]:
    return () if secret is None else (secret.get_secret_value(),)


def _forms_of_mobile(mobile: str) -> tuple[str, ...]:
    """List how a broker may write the number: with its country, without the plus, without the country."""
    return mobile, mobile.lstrip("+"), mobile[-10:]


def _with_skew(refusal: LoginRefused, skew: float | None) -> LoginRefused:
    """Add what may be the reason of a wrong code."""
    text = refusal.text
    if refusal.kind is LoginTrouble.WRONG_TOTP and abs(skew or 0.0) >= _NOTED_SKEW:
        where = "ahead of" if (skew or 0.0) > 0 else "behind"
        text = f"{text}; this machine's clock is {abs(skew or 0.0):.0f} s {where} the broker's, and codes depend on it"
    return LoginRefused(refusal.kind, refusal.code, text, skew, refusal.retry_after_seconds)


def _no_answer(error: Exception, host: str) -> LoginRefused:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return LoginRefused(LoginTrouble.TRANSIENT, None, unreachable(error, host).text)
    if isinstance(error, httpx.RemoteProtocolError):
        return LoginRefused(LoginTrouble.UNREADABLE, None, f"{host} answers with what is no reply")
    in_time = " in time" if isinstance(error, TimeoutError | httpx.TimeoutException) else f": {type(error).__name__}"
    return LoginRefused(LoginTrouble.TRANSIENT, None, f"no answer of {host}{in_time}")
