"""HTTP/1.1 as brokers and their gateways speak it, over real sockets: what is a reply, what is not, what can have left."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import httpx
import pytest
import trustme

from worker.kotak.replies import TooLateError
from worker.kotak.transport import BrokerTransport, prepare

LIMITS = {"connect": 2.0, "read": 0.5}


class Broker:
    """Answers each request with the next of the given bytes; None closes the connection."""

    def __init__(self, *answers) -> None:
        self._answers = list(answers)
        self.requests, self.connections = [], 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while self._answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                self.requests.append(head + await reader.readexactly(int(length[0].split(b":")[1]) if length else 0))
                for part in self._answers.pop(0) or ():
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if self._answers and self._answers[0] is None:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def talking_to(broker, *, certificates=None, scheme="http", trust=None):
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0, ssl=certificates)
    transport = BrokerTransport(ssl_context=trust)
    url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/quick/order/cancel"

    async def send(method="POST", **extensions):
        about = {"timeout": LIMITS} | extensions
        request = httpx.Request(method, url, headers=[("Sid", "s")], extensions=about)
        if method == "POST":
            request = httpx.Request(method, url, content=b"jData=1", extensions=about)
        return await transport.handle_async_request(request)

    send.room = transport._room
    try:
        yield send
    finally:
        await transport.aclose()
        server.close()
        await server.wait_closed()


def whole(body=b"{}", status=b"200 OK", extra=b""):
    return [b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), extra, body)]


async def body_of(response):
    return await response.aread()


REPLIES = {
    "with a length": whole(b'{"stat":"Ok"}'),
    "byte by byte": [bytes([byte]) for byte in whole(b'{"stat":"Ok"}')[0]],
    "chunked": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b'6\r\n{"stat\r\n',
        b'7\r\n":"Ok"}\r\n0\r\n\r\n',
    ],
    "after 100 Continue": [b"HTTP/1.1 100 Continue\r\n\r\n", *whole(b'{"stat":"Ok"}')],
    "to the end of the connection": [b"HTTP/1.1 200 OK\r\n\r\n", b'{"stat":', b'"Ok"}'],
    "HTTP/1.0": [b'HTTP/1.0 200 OK\r\n\r\n{"stat":"Ok"}'],
}


@pytest.mark.parametrize("name", REPLIES)
async def test_every_way_to_end_a_body_is_understood(name):
    broker = Broker(REPLIES[name], None)
    async with talking_to(broker) as send:
        response = await send()
        assert (200, b'{"stat":"Ok"}') == (response.status_code, await body_of(response))


async def test_a_connection_is_used_again():
    """Also after an empty body and after an error."""
    broker = Broker(whole(), whole(b"", b"204 No Content"), whole(b"oops", b"502 Bad Gateway"), whole())
    async with talking_to(broker) as send:
        assert [200, 204, 502, 200] == [(await send()).status_code for _ in range(4)]
    assert (1, 4) == (broker.connections, len(broker.requests))


async def test_a_request_whose_time_is_over_when_the_connection_is_there_is_not_written():
    """A handshake must not come between a turn and its send; the connection is there for the next one."""
    broker, asked = Broker(whole()), []
    async with talking_to(broker) as send:
        with pytest.raises(TooLateError):
            await send(is_fresh=lambda: asked.append(broker.connections))
        assert 200 == (await send(is_fresh=lambda: True)).status_code
    assert ([1], 1, 1) == (asked, broker.connections, len(broker.requests))


@pytest.mark.parametrize(
    "first",
    [
        whole(extra=b"Connection: close\r\n"),
        [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
        [whole()[0] + b"HTTP/1.1 200 OK\r\n"],
    ],
    ids=["close", "HTTP/1.0", "more than was asked for"],
)
async def test_a_connection_that_cannot_be_trusted_is_not_used_again(first):
    """A second cancel must never get the rest of the first one's reply."""
    broker = Broker(first, whole(b'{"n":2}'))
    async with talking_to(broker) as send:
        replies = [await body_of(await send()) for _ in range(2)]
    assert ([b"{}", b'{"n":2}'], 2) == (replies, broker.connections)


async def test_bytes_that_come_late_reach_nobody():
    """The rest of a reply that nobody waited for ends its connection."""
    broker = Broker([*whole(), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"], whole(b'{"n":2}'))
    async with talking_to(broker) as send:
        await send()
        await asyncio.sleep(0.1)
        assert b'{"n":2}' == await body_of(await send())
    assert 2 == broker.connections


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"], httpx.ReadError),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"], httpx.ReadError),
        ([b"HTTP/1.1 200 OK\r\nContent-"], httpx.ReadError),
        ([b""], httpx.ReadError),
        ([b"SSH-2.0-OpenSSH_9.7\r\n"], httpx.RemoteProtocolError),
        ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"], httpx.RemoteProtocolError),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"], httpx.RemoteProtocolError),
    ],
)
async def test_what_is_no_whole_reply_is_an_error(answer, error):
    async with talking_to(Broker(answer, None)) as send:
        with pytest.raises(error):
            await send()


async def test_silence_ends_at_the_read_time_out_and_a_trickle_does_not():
    """Counted from the last byte."""
    trickle = [b"HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n", *[b"."] * 80]
    async with talking_to(Broker(trickle)) as send:
        assert b"." * 80 == await body_of(await send())
    async with talking_to(Broker([b"HTTP/1.1 200 OK\r\n"], [])) as send:
        with pytest.raises(httpx.ReadTimeout):
            await send()


async def test_a_cancelled_wait_leaves_no_connection_behind():
    """Its reply would be the next request's."""
    broker = Broker([], whole(b'{"n":2}'))
    async with talking_to(broker) as send:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await send()
        assert b'{"n":2}' == await body_of(await send())
    assert 2 == broker.connections


async def test_closing_ends_what_is_in_flight():
    async with talking_to(Broker([], [])) as send:
        waiting = asyncio.create_task(send())
        await asyncio.sleep(0.1)
    with pytest.raises(httpx.ReadError):
        await waiting


async def test_a_read_has_no_body():
    broker = Broker(whole())
    async with talking_to(broker) as send:
        await send("GET")
    assert b"GET /quick/order/cancel HTTP/1.1\r\n" == broker.requests[0][:34]
    assert b"content-length" not in broker.requests[0].lower()


@pytest.mark.parametrize(
    ("name", "value"), [("Sid", "a\r\nHost: evil"), ("Sid", "a\nb"), ("Si\rd", "a"), ("Sid", "a\0")]
)
def test_a_token_cannot_smuggle_a_header_in(name, value):
    with pytest.raises(httpx.LocalProtocolError, match="control character"):
        prepare("POST", httpx.URL("https://broker.test/x"), [(name, value)])


@pytest.mark.parametrize("url", ["ftp://broker.test/x", "/x", "https:///x"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(httpx.UnsupportedProtocol):
        prepare("POST", httpx.URL(url), [])


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def certificates_of(authority, name):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_a_trusted_broker_is_talked_to_in_secret(authority):
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    certificates = certificates_of(authority, "localhost")
    async with talking_to(Broker(whole(), whole()), scheme="https", certificates=certificates, trust=trust) as send:
        assert [200, 200] == [(await send()).status_code for _ in range(2)]


@pytest.mark.parametrize("name", ["localhost", "elsewhere.test"])
async def test_a_certificate_that_is_not_the_brokers_sends_nothing(authority, name):
    """Of an authority that nobody trusts, or for another host."""
    trust = ssl.create_default_context()
    if name != "localhost":
        authority.configure_trust(trust)
    broker = Broker(whole())
    async with talking_to(broker, scheme="https", certificates=certificates_of(authority, name), trust=trust) as send:
        with pytest.raises(httpx.ConnectError):
            await send()
    assert [] == broker.requests


async def test_a_plain_server_behind_https_sends_nothing():
    broker = Broker(whole())
    async with talking_to(broker, scheme="https") as send:
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
            await send()
    assert [] == broker.requests
