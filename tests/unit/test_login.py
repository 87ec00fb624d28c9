"""A login against a broker that is hostile: each answer ends in its trouble, with nothing secret in any trace of it."""

import asyncio
import base64
import json
import pickle
import socket
import struct
import time
import traceback
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from aiohttp import web
from pydantic import SecretStr

from config.credentials import Credentials, LoginKind
from worker.kotak.login import KotakLogin, LoginRefused, LoginTrouble
from worker.kotak.transport import BrokerTransport

UCC, MOBILE, ACCESS, MPIN, TOTP, CODE = (
    "AB123",
    "+919876543210",
    "access-token-5f3c9a1b",
    "482916",
    "JBSWY3DPEHPK3PXP",
    "650417",
)
VIEW_TOKEN, VIEW_SID, TOKEN, SID = "view-token-77aa01", "view-sid-88bb02", "trade-token-99cc03", "trade-sid-00dd04"
SECRETS = (MOBILE[1:], MOBILE[3:], ACCESS, MPIN, TOTP, VIEW_TOKEN, VIEW_SID, TOKEN, SID)
CREDENTIALS = Credentials(
    UCC, LoginKind.AUTOMATIC, SecretStr(MOBILE), SecretStr(ACCESS), SecretStr(MPIN), SecretStr(TOTP)
)  # fmt: skip
LOGIN, VALIDATE, CLIENT_IP = "/login/1.0/tradeApiLogin", "/login/1.0/tradeApiValidate", "/login/1.0/get-client-ip"
VIEW = {"token": VIEW_TOKEN, "sid": VIEW_SID, "kType": "View", "status": "success"}
TRADE = {
    "token": TOKEN,
    "sid": SID,
    "kType": "Trade",
    "status": "success",
    "baseUrl": "https://cis.kotaksecurities.com/e21",
}


class Hostile:
    """A broker that answers each path as it is told, and notes what came."""

    def __init__(self):
        self.calls, self.headers, self.bodies = [], {}, {}
        self.answers = {
            LOGIN: {"json": {"data": VIEW}},
            VALIDATE: {"json": {"data": TRADE}},
            CLIENT_IP: {"json": {"data": [{"ip": "203.0.113.7"}], "stCode": 1000}},
        }

    async def answer(self, request):
        self.calls.append(request.path)
        self.headers[request.path] = request.headers
        self.bodies[request.path] = await request.read()
        said = dict(self.answers.get(request.path, {"status": 418}))
        if cut := said.pop("cut", None):
            return await cut(request)
        if "json" in said:
            said = {"text": json.dumps(said.pop("json")), "content_type": "application/json", **said}
        return web.Response(**said)


@asynccontextmanager
async def hostile(**options):
    broker = Hostile()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", broker.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    transport = BrokerTransport()
    broker.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    broker.login = KotakLogin(transport, url=broker.url, call_seconds=0.5, **options)
    try:
        yield broker
    finally:
        await transport.aclose()
        await runner.cleanup()


async def refusal(broker, credentials=CREDENTIALS, code=CODE):
    """Answer why there is no session, after a search of the exception and all that hangs on it."""
    with pytest.raises(LoginRefused) as caught:
        await broker.login.log_in(credentials, code)
    error = caught.value
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if "/worker/" in frame.f_code.co_filename]
    held = [repr(value) for frame in frames for name, value in frame.f_locals.items() if name != "code"]
    shown = f"{error} {error!r} {error.args} {pickle.loads(pickle.dumps(error))} {held}"  # noqa: S301
    assert [] == [secret for secret in SECRETS if secret in shown]
    assert (None, None) == (error.__cause__, error.__context__)
    assert frames
    return error


def denied(text, code="401", status=401):
    return {"json": {"status": "error", "message": text, "errorCode": code}, "status": status}


def said(st_code, text, status=200, **more):
    return {"json": {"stat": "Not_Ok", "stCode": st_code, "errMsg": text, **more}, "status": status}


async def test_a_login_is_two_calls_and_a_question_for_the_address():
    async with hostile() as broker:
        made = await broker.login.log_in(CREDENTIALS, CODE)
    assert [LOGIN, VALIDATE, CLIENT_IP] == broker.calls
    assert {"mobileNumber": MOBILE, "ucc": UCC, "totp": CODE} == json.loads(broker.bodies[LOGIN])
    assert {"mpin": MPIN} == json.loads(broker.bodies[VALIDATE])
    session = made.session
    assert ("https://cis.kotaksecurities.com/e21", SID, TOKEN) == (session.base_url, session.sid, session.auth)
    assert ("203.0.113.7", 0.0) == (made.egress_ip, made.clock_skew)
    assert [] == [secret for secret in SECRETS if secret in repr(made)]


async def test_each_call_has_the_documented_headers():
    async with hostile() as broker:
        await broker.login.log_in(CREDENTIALS, CODE)
    seen = {
        path: [headers.get(name) for name in ("Authorization", "neo-fin-key", "Auth", "sid")]
        for path, headers in broker.headers.items()
    }
    expected = {
        LOGIN: [ACCESS, "neotradeapi", None, None],
        VALIDATE: [ACCESS, "neotradeapi", VIEW_TOKEN, VIEW_SID],
        CLIENT_IP: [ACCESS, "neotradeapi", TOKEN, SID],
    }
    assert expected == seen


HTML = {"text": "<html><title>Log in</title></html>", "content_type": "text/html"}
FOREIGN = "unauthorized: source IP is not whitelisted"


@pytest.mark.parametrize("step", [LOGIN, VALIDATE])
@pytest.mark.parametrize(
    ("answer", "trouble", "code"),
    [
        (said(100008, FOREIGN), LoginTrouble.NOT_WHITELISTED, "100008"),
        (said(100008, FOREIGN, 401), LoginTrouble.NOT_WHITELISTED, "100008"),
        (said(100008, FOREIGN, 403), LoginTrouble.NOT_WHITELISTED, "100008"),
        ({"json": {"error": [{"code": "100008", "message": FOREIGN}]}, "status": 403}, LoginTrouble.NOT_WHITELISTED, "100008"),
        (said(429, "Invalid UCC"), LoginTrouble.WRONG_UCC, "429"),
        (said(429, "Invalid UCC", 429), LoginTrouble.WRONG_UCC, "429"),
        (denied("Invalid credentials or TOTP."), LoginTrouble.WRONG_TOTP, "401"),
        (denied("Invalid credentials or TOTP.", status=200), LoginTrouble.WRONG_TOTP, "401"),
        (denied("Invalid MPIN."), LoginTrouble.WRONG_MPIN, "401"),
        ({"json": {"data": {"status": "failure", "message": "Wrong MPIN"}}}, LoginTrouble.WRONG_MPIN, None),
        (HTML, LoginTrouble.TRANSIENT, None),
        ({**HTML, "status": 502}, LoginTrouble.TRANSIENT, None),
        ({**HTML, "status": 401}, LoginTrouble.TRANSIENT, None),
        ({"status": 504}, LoginTrouble.TRANSIENT, None),
        (denied("TOTP service away", "500", 500), LoginTrouble.TRANSIENT, "500"),
        (said(429, "too many request received", 429), LoginTrouble.TRANSIENT, "429"),
        (said(1005, "Internal Error"), LoginTrouble.TRANSIENT, "1005"),
        ({"text": "", "status": 200}, LoginTrouble.UNREADABLE, None),
        ({"text": "[1, 2]", "status": 200}, LoginTrouble.UNREADABLE, None),
        ({"text": "[" * 60_000, "status": 200}, LoginTrouble.UNREADABLE, None),
        ({"text": "x" * 200_000, "status": 200}, LoginTrouble.UNREADABLE, None),
        (said(200032, "invalid URL"), LoginTrouble.UNREADABLE, "200032"),
        (said(98765, "the moon is full"), LoginTrouble.UNREADABLE, "98765"),
        ({"json": {"data": VIEW | TRADE | {"kType": "Other"}}}, LoginTrouble.UNREADABLE, None),
        ({"json": {"data": {"status": "success"}}}, LoginTrouble.UNREADABLE, None),
        ({"json": {"data": VIEW | TRADE, "stat": "Not_Ok", "emsg": f"no {TOKEN}"}}, LoginTrouble.UNREADABLE, None),
        ({"json": {"data": TRADE | VIEW}, "status": 500}, LoginTrouble.TRANSIENT, None),
    ],
)  # fmt: skip
async def test_an_answer_is_judged_by_its_content(step, answer, trouble, code):
    """HTTP 200 with a failure is a failure; what comes with a 401 need not be wrong credentials."""
    async with hostile() as broker:
        broker.answers[step] = answer
        error = await refusal(broker)
    assert (trouble, code) == (error.kind, error.code)
    assert step == broker.calls[-1]


@pytest.mark.parametrize(
    ("step", "answer", "trouble"),
    [
        (LOGIN, said(900901, "Invalid Credentials", 401), LoginTrouble.WRONG_CREDENTIALS),
        (LOGIN, {"status": 401}, LoginTrouble.WRONG_CREDENTIALS),
        (LOGIN, said(100022, "invalid session token", 401), LoginTrouble.WRONG_CREDENTIALS),
        (LOGIN, said(4711, "Your account is locked"), LoginTrouble.WRONG_CREDENTIALS),
        (VALIDATE, said(4711, "Your account is locked"), LoginTrouble.WRONG_MPIN),
        # The first half of the login is gone: nothing is wrong with the credentials.
        (VALIDATE, said(100022, "invalid session token", 401), LoginTrouble.TRANSIENT),
    ],
)
async def test_a_denial_is_of_the_credentials_or_of_the_mpin_by_the_step_that_it_answers(step, answer, trouble):
    async with hostile() as broker:
        broker.answers[step] = answer
        assert trouble == (await refusal(broker)).kind


@pytest.mark.parametrize("part", ["token", "sid", "kType", "status", "baseUrl"])
@pytest.mark.parametrize(
    "value", [None, "", 7, "a b", "https://cis.kotaksecurities.com\t.evil.test", "a\r\nSid: x", "\N{EURO SIGN}"]
)
@pytest.mark.parametrize("step", [LOGIN, VALIDATE])
async def test_a_success_that_lacks_a_part_is_none(step, part, value):
    good = VIEW if step == LOGIN else TRADE
    if part not in good:
        return
    async with hostile() as broker:
        broker.answers[step] = {"json": {"data": good | {part: value}}}
        assert LoginTrouble.UNREADABLE == (await refusal(broker)).kind
        assert step == broker.calls[-1]


@pytest.mark.parametrize("step", [LOGIN, VALIDATE])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nothing_is_sent_after_a_redirect(step, status):
    async with hostile() as broker, hostile() as thief:
        good = VIEW if step == LOGIN else TRADE
        broker.answers[step] = {"status": status, "headers": {"Location": f"{thief.url}{step}"}, "json": {"data": good}}
        error = await refusal(broker)
        assert (LoginTrouble.UNREADABLE, f"HTTP {status}: a redirect is not followed") == (error.kind, error.text)
        assert ([], step) == (thief.calls, broker.calls[-1])


async def test_a_redirect_of_the_question_for_the_address_is_not_followed():
    async with hostile() as broker, hostile() as thief:
        broker.answers[CLIENT_IP] = {"status": 302, "headers": {"Location": f"{thief.url}{CLIENT_IP}"}}
        assert (await broker.login.log_in(CREDENTIALS, CODE)).egress_ip is None
        assert [] == thief.calls


def own(base_url):
    return {"json": {"data": TRADE | {"baseUrl": base_url}}}


@pytest.mark.parametrize(
    "base_url",
    [
        "http://cis.kotaksecurities.com/e21",
        "https://kotaksecurities.com.evil.test",
        "https://evilkotaksecurities.com",
        "https://evil.test/.kotaksecurities.com",
        "https://evil.test#.kotaksecurities.com",
        "https://evil.test?.kotaksecurities.com",
        "https://evil.test\\.kotaksecurities.com",
        "https://cis.kotaksecurities.com@evil.test",
        "https://evil.test:443@cis.kotaksecurities.com",
        "https://cis.kotaksecurities.com:0",
        "https://cis.kotaksecurities.com:99999",
        "https://cis.kotaksecurities.com%2eevil.test",
        "https:cis.kotaksecurities.com",
        "//cis.kotaksecurities.com",
        "cis.kotaksecurities.com",
        "ftp://cis.kotaksecurities.com",
        "https://named.test.evil.test",
        "http://named.test",
        "http://2130706433",
        f"https://{TOKEN}.evil.test",
        f"https://{SID}",
    ],
)
async def test_a_base_url_elsewhere_gets_no_session(base_url):
    async with hostile(trusted_hosts={"named.test", "plain.test"}, http_hosts={"plain.test"}) as broker:
        broker.answers[VALIDATE] = own(base_url)
        error = await refusal(broker)
    assert LoginTrouble.UNREADABLE == error.kind
    assert "not https on kotaksecurities.com (NEO_CANCEL_LOGIN_HOSTS names further hosts)" in error.text
    assert VALIDATE == broker.calls[-1]


@pytest.mark.parametrize(
    "base_url",
    [
        "https://e21.kotaksecurities.com/e21/",
        "https://CIS.KOTAKSECURITIES.COM:443",
        "https://named.test/r1",
        "http://plain.test:8765/r1",
        "http://127.0.0.1:8765/r1",
        "http://[::1]:8765",
        "http://localhost/r1",
    ],
)
async def test_a_base_url_of_the_broker_or_that_is_named_is_believed(base_url):
    async with hostile(trusted_hosts={"named.test", "plain.test"}, http_hosts={"plain.test"}) as broker:
        broker.answers[VALIDATE] = own(base_url)
        assert base_url == (await broker.login.log_in(CREDENTIALS, CODE)).session.base_url


class Elsewhere(BrokerTransport):
    """Sends to the hostile broker what is for another host."""

    def __init__(self, url):
        super().__init__()
        self._to = url

    async def handle_async_request(self, request):
        request.url = request.url.copy_with(**self._to)
        del request.extensions["prepared"]
        return await super().handle_async_request(request)


async def test_this_machine_is_believed_only_by_a_login_on_this_machine():
    async with hostile() as broker:
        transport = Elsewhere({"scheme": "http", "host": "127.0.0.1", "port": int(broker.url.rpartition(":")[2])})
        broker.login = KotakLogin(transport)
        broker.answers[VALIDATE] = own("http://127.0.0.1:8765")
        assert LoginTrouble.UNREADABLE == (await refusal(broker)).kind
        assert [LOGIN, VALIDATE] == broker.calls
        await transport.aclose()


@pytest.mark.parametrize(
    "url", ["http://mis.kotaksecurities.com", "http://evil.test", "", "mis.test", "https://a@b.test"]
)
def test_a_login_without_tls_is_made_to_this_machine_and_named_hosts_only(url):
    with pytest.raises(ValueError, match="must be https"):
        KotakLogin(BrokerTransport(), url=url, http_hosts={"sandbox"})


@pytest.mark.parametrize("url", ["http://sandbox:8765", "http://localhost:1/", "https://mis.kotaksecurities.com/"])
def test_a_login_is_made_there(url):
    KotakLogin(BrokerTransport(), url=url, http_hosts={"sandbox"})


async def cut(request):
    request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()


async def silent(_):
    await asyncio.sleep(30)


@pytest.mark.parametrize("step", [LOGIN, VALIDATE])
@pytest.mark.parametrize(
    ("failure", "text"), [(silent, "no answer of 127.0.0.1 in time"), (cut, "no answer of 127.0.0.1: ReadError")]
)
async def test_no_answer_is_transient_and_is_not_asked_for_again(step, failure, text):
    async with hostile() as broker:
        broker.answers[step] = {"cut": failure}
        error = await refusal(broker)
    assert (LoginTrouble.TRANSIENT, text) == (error.kind, error.text)
    assert 1 == broker.calls.count(step)


async def test_no_connection_is_transient():
    async with hostile() as broker:
        broker.login = KotakLogin(BrokerTransport(), url="http://127.0.0.1:1")
        error = await refusal(broker)
    assert (LoginTrouble.TRANSIENT, "127.0.0.1 refuses connections") == (error.kind, error.text)


@pytest.mark.parametrize(
    "answer", [{"status": 500}, {"cut": cut}, HTML, {"json": {"data": []}}, {"json": {"data": [{"ip": ACCESS}]}}]
)
async def test_a_session_is_good_without_an_answer_to_the_question_for_the_address(answer):
    async with hostile() as broker:
        broker.answers[CLIENT_IP] = answer
        made = await broker.login.log_in(CREDENTIALS, CODE)
    assert (TOKEN, None) == (made.session.auth, made.egress_ip)


async def test_what_a_broker_repeats_of_a_login_is_covered():
    echoed = f"no {MOBILE}, {MOBILE[3:]}, {ACCESS.upper()}, {MPIN}, {CODE}, {TOTP.lower()}, {VIEW_TOKEN}, {VIEW_SID}."
    async with hostile() as broker:
        broker.answers[VALIDATE] = said(f"{ACCESS}", echoed)
        error = await refusal(broker)
    assert ("no ***, ***, ***, ***, ***, ***, ***, ***.", "***") == (error.text, error.code)


@pytest.mark.parametrize("bad", ["", "12345", "1234567", "12345a", "\N{FULLWIDTH DIGIT ONE}23456", "123456\n"])
async def test_what_is_no_code_is_not_sent(bad):
    async with hostile() as broker:
        assert LoginTrouble.WRONG_TOTP == (await refusal(broker, code=bad)).kind
        assert [] == broker.calls


@pytest.mark.parametrize("bad", ["", "a b", "a\r\nAuth: b", "\N{EURO SIGN}"])
async def test_an_access_token_that_no_header_can_carry_is_not_sent(bad):
    async with hostile() as broker:
        credentials = Credentials(UCC, LoginKind.TYPED, SecretStr(MOBILE), SecretStr(bad), SecretStr(MPIN), None)
        assert LoginTrouble.WRONG_CREDENTIALS == (await refusal(broker, credentials)).kind
        assert [] == broker.calls


@pytest.mark.parametrize(("ahead", "words"), [(95, "95 s ahead of the broker's"), (-95, "95 s behind the broker's")])
async def test_a_clock_that_differs_from_the_broker_s_is_told_with_a_code_that_was_refused(ahead, words):
    async with hostile(clock=lambda: 1_800_000_000.0) as broker:
        broker.answers[LOGIN] = denied("Invalid credentials or TOTP.")
        # The least that explains the date: it is cut to the second.
        date = formatdate(1_800_000_000 - ahead - (ahead > 0), usegmt=True)
        broker.answers[LOGIN]["headers"] = {"Date": date}
        error = await refusal(broker)
    assert (LoginTrouble.WRONG_TOTP, ahead) == (error.kind, error.clock_skew)
    assert words in error.text


async def test_a_clock_that_differs_is_told_with_the_session():
    async with hostile(clock=lambda: 1_800_000_000.0) as broker:
        broker.answers[VALIDATE]["headers"] = {"Date": formatdate(1_800_003_600, usegmt=True)}
        made = await broker.login.log_in(CREDENTIALS, CODE)
    assert -3600.0 == made.clock_skew


async def test_a_broker_that_asks_for_patience_is_quoted():
    async with hostile() as broker:
        broker.answers[LOGIN] = {**said(429, "too many request received", 429), "headers": {"Retry-After": "60"}}
        error = await refusal(broker)
    assert 60.0 == error.retry_after_seconds


def jwt(payload):
    middle = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJSUzI1NiJ9.{middle}.c2lnbmF0dXJl"


async def test_a_session_lasts_as_long_as_its_token_says():
    end = int(time.time()) + 1234
    async with hostile() as broker:
        broker.answers[VALIDATE] = {"json": {"data": TRADE | {"token": jwt({"exp": end})}}}
        assert end == (await broker.login.log_in(CREDENTIALS, CODE)).expires_at
