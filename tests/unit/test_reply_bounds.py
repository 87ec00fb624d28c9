"""Replies without a bound, over real sockets: each ends as an error of its own, and takes neither memory nor other requests."""

import asyncio
import gzip

import httpx
import pytest

from tests.unit.test_broker_transport import Broker, body_of, talking_to, whole

MOST = 128 * 1024
HEAD = b"HTTP/1.1 200 OK\r\n"


def lines(count):
    return b"".join(b"X-%d: 1\r\n" % number for number in range(count))


def chunks(size, count):
    return b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (size, b"." * size) * count


UNBOUNDED = {
    "a long body": HEAD + b"Content-Length: 1000000\r\n\r\n" + b"." * 200_000,
    "a body without an end": HEAD + b"\r\n" + b"." * 200_000,
    "many chunks": HEAD + chunks(1, 30_000),
    "a long chunk extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 200_000,
    "a long header": HEAD + b"X: " + b"." * 200_000,
    "a long reason": b"HTTP/1.1 200 " + b"." * 200_000,
    "many header lines": HEAD + lines(101) + b"Content-Length: 2\r\n\r\n{}",
    "many trailers": HEAD + chunks(2, 1) + b"0\r\n" + lines(101) + b"\r\n",
    "interim replies without an end": b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000,
}
ENCODED = {
    "gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + gzip.compress(b"{}"),
    "gzip in gzip": HEAD + b"Content-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n{}",
    "an unknown one": HEAD + b"CONTENT-ENCODING: x\r\nContent-Length: 2\r\n\r\n{}",
    "a transfer of gzip": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a transfer to the end": HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}",
}


class Flood(Broker):
    """Writes as much as it can, until the other side has enough."""

    async def serve(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        try:
            while True:
                writer.write(b"X: " + b"." * 1000 + b"\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            writer.close()


@pytest.mark.parametrize("name", UNBOUNDED)
async def test_a_reply_beyond_its_bounds_ends_its_connection(name):
    broker = Broker([UNBOUNDED[name]], whole())
    async with talking_to(broker) as send:
        with pytest.raises(httpx.RemoteProtocolError, match=r"too (long|many)"):
            await send()
        assert b"{}" == await body_of(await send())
    assert 2 == broker.connections


@pytest.mark.parametrize("name", ENCODED)
async def test_an_encoding_that_was_not_asked_for_is_refused(name):
    """A body of a kilobyte could become a gigabyte."""
    broker = Broker([ENCODED[name]], whole())
    async with talking_to(broker) as send:
        with pytest.raises(httpx.RemoteProtocolError, match="encoded"):
            await send()
        assert b"{}" == await body_of(await send())
    assert b"\r\nAccept-Encoding: identity\r\n" in broker.requests[0]


@pytest.mark.parametrize("extra", [b"Content-Encoding: identity\r\n", b"Content-Encoding: Identity \r\n"])
async def test_a_body_that_is_called_plain_is_taken(extra):
    async with talking_to(Broker(whole(extra=extra))) as send:
        assert b"{}" == await body_of(await send())


async def test_a_flood_of_headers_ends_long_before_the_time_out():
    """Bytes and lines are counted, not waited for."""
    async with talking_to(Flood()) as send:
        async with asyncio.timeout(30):
            with pytest.raises(httpx.RemoteProtocolError, match=r"too (long|many)"):
                await send(timeout={"connect": 60.0, "read": 60.0})


@pytest.mark.parametrize(("size", "fits"), [(MOST, True), (MOST + 1, False)])
async def test_a_caller_says_how_much_may_come(size, fits):
    """Every byte counts, headers as well."""
    body = b"." * (size - len(whole(b"." * size)[0]) + size)
    [answer] = whole(body)
    assert size == len(answer)
    async with talking_to(Broker([answer])) as send:
        if fits:
            assert body == await body_of(await send(most_bytes=MOST))
        else:
            with pytest.raises(httpx.RemoteProtocolError, match="too long"):
                await send(most_bytes=MOST)


async def test_a_trailer_is_no_header():
    trailed = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nRetry-After: 300\r\n\r\n"
    async with talking_to(Broker([HEAD + trailed])) as send:
        assert "retry-after" not in (await send()).headers


async def test_a_distrusted_connection_is_not_used_again():
    """Its next reply may be the one of the request before."""
    broker = Broker(whole(), whole(b'{"n":2}'))
    async with talking_to(broker) as send:
        (await send()).extensions["distrust"]()
        await send()
    assert 2 == broker.connections
