"""What goes over the wire to the broker, byte by byte, and what is known when no reply comes back."""

from urllib.parse import unquote_plus

import httpx
import orjson
import pytest

from worker.kotak.client import KotakClient, MaybeSentError, NotSentError, Timeouts
from worker.kotak.session import Session

NUMBER = "260722000000001"
OK = {"nOrdNo": NUMBER, "stat": "Ok", "stCode": 200}
SESSION = Session("https://broker.test", "the-sid", "the-auth")
PATHS = {"regular": "/quick/order/cancel", "bracket": "/quick/order/bo/exit", "cover": "/quick/order/co/exit"}


class Recorder(httpx.AsyncBaseTransport):
    """Keeps the requests, answers or raises as told."""

    def __init__(self, answer=None, *, status=200, headers=None, raises=None) -> None:
        self.requests = []
        self._answer, self._status, self._headers, self._raises = answer, status, headers, raises
        self.is_closed = False

    async def handle_async_request(self, request):
        await request.aread()
        self.requests.append(request)
        if self._raises is not None:
            raise self._raises
        return httpx.Response(self._status, json=OK if self._answer is None else self._answer, headers=self._headers)

    async def aclose(self):
        self.is_closed = True


async def cancelled(recorder, session=SESSION, *, variety="regular", amo=False, trading_symbol=None, clock=None):
    client = KotakClient(recorder, Timeouts(), *([clock] if clock else []))
    return await client.cancel(
        session, order_number=NUMBER, variety=variety, amo=amo, trading_symbol=trading_symbol
    )  # fmt: skip


def form(request):
    """The one form field, decoded."""
    body = request.content.decode()
    assert body.startswith("jData=")
    assert "&" not in body
    return orjson.loads(unquote_plus(body.removeprefix("jData=")))


# ---------------------------------------------------------------------- the request


@pytest.mark.parametrize(("variety", "path"), PATHS.items())
async def test_each_variety_has_its_own_endpoint(variety, path):
    """POST, the path of the variety, no query string."""
    recorder = Recorder()
    await cancelled(recorder, variety=variety)
    assert ("POST", f"https://broker.test{path}") == (recorder.requests[0].method, str(recorder.requests[0].url))


@pytest.mark.parametrize(
    "base", ["https://h.test/e21", "https://h.test/e21/", "https://h.test/e21//", "https://h.test:8443/a/b"]
)
async def test_the_base_url_may_carry_a_path_and_end_in_a_slash(base):
    """Joined by concatenation: nothing of the path is dropped, no slash doubled."""
    recorder = Recorder()
    await cancelled(recorder, Session(base, "s", "a"))
    assert f"{base.rstrip('/')}/quick/order/cancel" == str(recorder.requests[0].url)


async def test_the_five_headers_and_no_others():
    """The specification's five, plus what HTTP itself needs."""
    recorder = Recorder()
    await cancelled(recorder)
    sent = [(name.decode(), value.decode()) for name, value in recorder.requests[0].headers.raw]
    expected = [
        ("accept", "application/json"),
        ("Sid", "the-sid"),
        ("Auth", "the-auth"),
        ("neo-fin-key", "neotradeapi"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ]
    assert sorted(expected) == sorted(pair for pair in sent if pair[0] not in ("Host", "Content-Length"))


async def test_a_regular_order_is_named_by_its_number():
    """`on` and `am`, in one form field, as a string; no symbol is sent where none is needed."""
    recorder = Recorder()
    await cancelled(recorder, trading_symbol="TCS-EQ")
    assert {"on": NUMBER, "am": "NO"} == form(recorder.requests[0])


async def test_an_after_market_order_carries_its_symbol():
    """`ts` is mandatory with `am` YES, and an ampersand in it is encoded."""
    recorder = Recorder()
    await cancelled(recorder, amo=True, trading_symbol="M&MFIN-EQ")
    assert {"on": NUMBER, "am": "YES", "ts": "M&MFIN-EQ"} == form(recorder.requests[0])
    assert b"M%26MFIN-EQ" in recorder.requests[0].content


async def test_the_exact_body():
    """The bytes, once in full."""
    recorder = Recorder()
    await cancelled(recorder)
    assert b"jData=%7B%22on%22%3A%22260722000000001%22%2C%22am%22%3A%22NO%22%7D" == recorder.requests[0].content


@pytest.mark.parametrize("number", [None, NUMBER])
async def test_reads_are_gets_with_the_same_headers(number):
    """The book, and one order of it."""
    recorder = Recorder({"stat": "Ok", "data": [{"nOrdNo": NUMBER, "ordSt": "open"}]})
    client = KotakClient(recorder, Timeouts())
    page = await (client.read_book(SESSION) if number is None else client.read_order(SESSION, number))
    request = recorder.requests[0]
    path = "/quick/user/orders" + (f"/{number}" if number else "")
    expected = ("GET", f"https://broker.test{path}", b"", "the-auth", {NUMBER})
    assert expected == (request.method, str(request.url), request.content, request.headers["Auth"], set(page.rows))


async def test_the_time_outs_go_with_each_call():
    """A read of a whole book may take longer between two bytes than a cancel."""
    recorder = Recorder({"stat": "Ok", "data": []})
    client = KotakClient(recorder, Timeouts(connect=1, read=2, total=5, book=6))
    await client.cancel(SESSION, order_number=NUMBER, variety="regular", amo=False, trading_symbol=None)
    await client.read_book(SESSION)
    limits = [request.extensions["timeout"] for request in recorder.requests]
    assert [{"connect": 1, "read": 2}, {"connect": 1, "read": 6}] == limits


async def test_a_date_in_retry_after_is_seconds_from_now():
    """The client knows what time it is."""
    recorder = Recorder({"code": 429}, status=429, headers={"Retry-After": "Wed, 22 Jul 2026 06:00:07 GMT"})
    reply = await cancelled(recorder, clock=lambda: 1_784_700_000.0)
    assert 7.0 == reply.retry_after_seconds


@pytest.mark.parametrize("base", ["ftp://h.test", "https://", "https://h.test:port", "no address"])
async def test_an_address_that_cannot_be_called_sends_nothing(base):
    """A login reply of a shape that is new, for one."""
    recorder = Recorder()
    with pytest.raises(NotSentError):
        await cancelled(recorder, Session(base, "s", "a"))
    assert [] == recorder.requests


async def test_every_session_has_its_own_tokens_however_many_there_are():
    """What is prepared once a session is kept for some thousand of them only."""
    recorder = Recorder()
    client = KotakClient(recorder, Timeouts())
    sessions = [Session("https://h.test", f"sid-{number}", "a") for number in range(3001)]
    for session in [*sessions, sessions[0]]:
        await client.cancel(session, order_number=NUMBER, variety="regular", amo=False, trading_symbol=None)
    assert [*(session.sid for session in sessions), "sid-0"] == [
        request.headers["Sid"] for request in recorder.requests
    ]
    assert len(client._calls) <= 3000


async def test_closing_closes_the_connections():
    """The transport is the client's own."""
    recorder = Recorder()
    await KotakClient(recorder, Timeouts()).aclose()
    assert recorder.is_closed is True


def test_tokens_do_not_show():
    """Neither in a repr nor through it in a log line."""
    assert "Session(base_url='https://broker.test')" == repr(SESSION)


# ---------------------------------------------------------------------- no reply: errors as httpx raises them


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("no"),
        httpx.ConnectTimeout("no"),
        httpx.PoolTimeout("no"),
        httpx.UnsupportedProtocol("no"),
    ],
    ids=repr,
)
async def test_only_a_failure_to_connect_proves_that_nothing_was_sent(error):
    """No connection, no byte."""
    with pytest.raises(NotSentError):
        await cancelled(Recorder(raises=error))


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("late"),
        httpx.WriteTimeout("late"),
        httpx.ReadError("cut"),
        httpx.WriteError("cut"),
        httpx.CloseError("cut"),
        httpx.RemoteProtocolError("what"),
        httpx.LocalProtocolError("what"),
        httpx.DecodingError("what"),
        httpx.StreamError("what"),
        ConnectionResetError(104, "reset"),
        TimeoutError(),
        BrokenPipeError(),
        OSError("something else"),
    ],
    ids=repr,
)
async def test_everything_after_that_may_have_been_sent(error):
    """Whatever it is called: once there was a connection, the broker may have acted."""
    with pytest.raises(MaybeSentError):
        await cancelled(Recorder(raises=error))


async def test_the_error_names_the_cause_and_nothing_else():
    """No address and no token, the first exception behind it."""
    error = httpx.ReadError("https://broker.test the-auth")
    error.__cause__ = ConnectionResetError("the-auth")
    with pytest.raises(MaybeSentError) as caught:
        await cancelled(Recorder(raises=error))
    assert ("ConnectionResetError", error) == (str(caught.value), caught.value.__cause__)
