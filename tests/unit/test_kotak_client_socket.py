"""Calls over a real socket: the bytes that leave, and what is known when no reply comes back."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import httpx
import pytest

from worker.kotak.client import KotakClient, MaybeSentError, NotSentError, Timeouts
from worker.kotak.session import Session
from worker.kotak.transport import BrokerTransport

NUMBER = "260722000000001"
QUICK = Timeouts(connect=0.3, read=0.3, total=1.0, book=0.5)


def reset(writer):
    """Close with a TCP reset."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Peer:
    """A broker that does one thing after it has read a whole request."""

    def __init__(self, then) -> None:
        self._then, self.bodies, self.heads = then, [], []

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                self.bodies.append(await reader.readexactly(int(length[0].split(b":")[1]) if length else 0))
                if not await self._then(self, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def talking_to(then, timeouts=QUICK):
    peer = Peer(then)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    client = KotakClient(BrokerTransport(), timeouts)
    try:
        yield peer, client, Session(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/e21", "s", "a")
    finally:
        await client.aclose()
        server.close()
        await server.wait_closed()


async def one_cancel(client, session):
    return await client.cancel(session, order_number=NUMBER, variety="regular", amo=False, trading_symbol=None)


def answer(body=b'{"stat":"Ok"}', extra=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
        len(body), extra, body,
    )  # fmt: skip


async def test_the_request_on_a_real_socket():
    """The bytes that leave this machine: five headers and three of HTTP's own, one form field."""

    async def answers(_, writer):
        writer.write(answer())
        return True

    async with talking_to(answers) as (peer, client, session):
        assert (await one_cancel(client, session)).ok is True
    first, *lines = peer.heads[0].decode().strip().split("\r\n")
    names = {line.partition(":")[0].lower() for line in lines}
    expected = {"accept", "sid", "auth", "neo-fin-key", "content-type", "host", "content-length", "accept-encoding"}
    assert ("POST /e21/quick/order/cancel HTTP/1.1", expected) == (first, names)
    assert [b"jData=%7B%22on%22%3A%22260722000000001%22%2C%22am%22%3A%22NO%22%7D"] == peer.bodies


@pytest.mark.parametrize("calls_before", [0, 1])
async def test_a_reset_after_the_request_was_read_may_have_acted(calls_before):
    """On a fresh connection and on one kept open."""

    async def resets(peer, writer):
        if len(peer.bodies) <= calls_before:
            writer.write(answer())
            return True
        reset(writer)
        return False

    async with talking_to(resets) as (peer, client, session):
        for _ in range(calls_before):
            await one_cancel(client, session)
        with pytest.raises(MaybeSentError) as caught:
            await one_cancel(client, session)
    # Sent once: nobody below repeats a cancel.
    assert calls_before + 1 == len(peer.bodies)
    assert isinstance(caught.value.__cause__, httpx.ReadError)


async def test_an_orderly_close_after_the_request_was_read_may_have_acted():
    """A connection that ends without a reply says nothing."""

    async def closes(_, __):
        return False

    async with talking_to(closes) as (_, client, session):
        with pytest.raises(MaybeSentError):
            await one_cancel(client, session)


async def test_half_a_reply_may_have_acted():
    """A length that was promised and not kept."""

    async def halves(_, writer):
        writer.write(answer()[:-5])
        return False

    async with talking_to(halves) as (_, client, session):
        with pytest.raises(MaybeSentError):
            await one_cancel(client, session)


async def test_a_stall_ends_at_the_read_time_out():
    """No byte for as long as the limit."""

    async def stalls(_, __):
        await asyncio.sleep(30)

    async with talking_to(stalls) as (_, client, session):
        async with asyncio.timeout(10):
            with pytest.raises(MaybeSentError):
                await one_cancel(client, session)


async def test_a_trickle_ends_at_the_total_time_out():
    """A byte now and then satisfies the read time-out for ever, and the total one ends it."""

    async def trickles(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await asyncio.sleep(0.05)

    async with talking_to(trickles) as (_, client, session):
        async with asyncio.timeout(10):
            with pytest.raises(MaybeSentError):
                await one_cancel(client, session)


async def test_a_stalled_read_ends_at_its_own_time_out():
    """Reads have a limit, too."""

    async def stalls(_, __):
        await asyncio.sleep(30)

    async with talking_to(stalls) as (_, client, session):
        async with asyncio.timeout(10):
            with pytest.raises(MaybeSentError):
                await client.read_book(session)


async def test_a_refused_connection_sent_nothing():
    """Nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = KotakClient(BrokerTransport(), QUICK)
        with pytest.raises(NotSentError):
            await one_cancel(client, Session(f"http://127.0.0.1:{taken.getsockname()[1]}", "s", "a"))
        await client.aclose()


async def test_a_connection_that_never_opens_sent_nothing():
    """A full backlog: the handshake does not end, and the connect time-out does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.socket() as first, socket.socket() as second:
            for plug in (first, second):
                plug.setblocking(False)
                plug.connect_ex(address)
            client = KotakClient(BrokerTransport(), QUICK)
            with pytest.raises(NotSentError):
                await one_cancel(client, Session(f"http://127.0.0.1:{address[1]}", "s", "a"))
            await client.aclose()


async def test_no_cookie_goes_from_one_call_to_the_next():
    """One account's cookie must never reach another's call."""

    async def sets_cookie(_, writer):
        writer.write(answer(extra=b"Set-Cookie: who=AB123\r\n"))
        return True

    async with talking_to(sets_cookie) as (peer, client, session):
        for _ in range(2):
            await one_cancel(client, session)
    assert [False, False] == [b"cookie" in head.lower() for head in peer.heads]


async def test_a_redirect_is_not_followed():
    """A reply is judged as it came."""

    async def redirects(_, writer):
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        return True

    async with talking_to(redirects) as (peer, client, session):
        reply = await one_cancel(client, session)
    assert (302, 1) == (reply.http_status, len(peer.bodies))


@pytest.mark.parametrize(("named", "connections"), [(NUMBER, 1), ("260722000000002", 2), ("26072200000000100", 1)])
async def test_a_reply_about_another_order_ends_its_connection(named, connections):
    """The next reply there would be that order's. In the specification's sample a number of another length is no other order."""
    served = []

    async def names(peer, writer):
        served.append(writer)
        writer.write(answer(b'{"stat":"Ok","nOrdNo":"%b"}' % named.encode()))
        return True

    async with talking_to(names) as (_, client, session):
        for _ in range(2):
            await one_cancel(client, session)
    assert connections == len(set(served))
