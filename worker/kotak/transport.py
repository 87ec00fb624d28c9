"""The transport under httpx: HTTP/1.1 over kept connections, certain of whether a byte of a request can have left."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx

from worker.kotak.addresses import Addresses, Resolve
from worker.kotak.connection import Connection
from worker.kotak.replies import TooLateError
from worker.kotak.reply_parts import Room

__all__ = ["BrokerTransport", "Prepared", "prepare"]

_PORTS: Final = {"http": 80, "https": 443}
_OWN: Final = frozenset({"host", "content-length", "accept-encoding"})
_MOST_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Prepared:
    """What calls to one address with one session share: where to connect, and the request up to its last own header."""

    scheme: str
    host: str
    port: int
    head: bytes


def prepare(method: str, url: httpx.URL, headers: Iterable[tuple[str, str]]) -> Prepared:
    """Prepare once what many calls share. Raises httpx.UnsupportedProtocol or LocalProtocolError for what cannot be sent."""
    if url.scheme not in _PORTS or not url.host:
        raise httpx.UnsupportedProtocol("the address must begin with http:// or https:// and name a host")
    lines = [f"{method} {url.raw_path.decode()} HTTP/1.1", f"Host: {url.netloc.decode()}", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in _OWN]
    try:
        head = "\r\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise httpx.LocalProtocolError("a header is not ASCII") from None
    # A line break within a token would smuggle a header in, or a second request.
    if head.count(b"\r") != len(lines) - 1 or head.count(b"\n") != len(lines) - 1 or b"\0" in head:
        raise httpx.LocalProtocolError("a header holds a control character")
    return Prepared(url.scheme, url.host, url.port or _PORTS[url.scheme], head + b"\r\n")


class BrokerTransport(httpx.AsyncBaseTransport):
    """Sends each request once and reads the reply to its end before it answers.

    Written here because every verdict rests on one question that general clients answer loosely: can the broker have seen
    this cancel? ConnectError, ConnectTimeout, UnsupportedProtocol and LocalProtocolError are raised where nothing was
    written, every other httpx error where something was. There is no limit of connections (account queues bound the cancels
    in flight, evidence the reads, each in its own order), no retry, no redirect, no cookie, no proxy, and no header beside
    those of the request, Host, Content-Length and Accept-Encoding. A reply is bounded: 32 KB and 100 lines of headers, and
    `request.extensions["most_bytes"]` in all (128 KB where there is none). One that goes beyond, or whose body is encoded in
    a way that was not asked for, is a RemoteProtocolError.

    `request.extensions["is_fresh"]`, where there is one, is asked when a connection is there, right before the request is
    written: if it says no, TooLateError is raised and the connection is kept for the next call. A caller that finds that a
    reply is of another request calls `response.extensions["distrust"]` at once: no other request is sent there.

    `ssl_context` None trusts the public authorities, `resolve` None asks the system for addresses. Use it from one event
    loop. A caller that sends many alike passes `prepare`'s answer in `request.extensions["prepared"]`. Of the time-outs in
    `request.extensions` connect (for each address, and for TLS) and read (between two arrivals) count; None is no limit.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None, resolve: Resolve | None = None) -> None:
        self._idle: dict[tuple[str, str, int], deque[Connection]] = {}
        self._addresses, self._room = Addresses(resolve), Room()
        self._open: set[Connection] = set()
        self._ssl = ssl_context

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx.AsyncBaseTransport and this class."""
        ready: Prepared | None = request.extensions.get("prepared")
        if ready is None:
            ready = prepare(request.method, request.url, request.headers.multi_items())
        timeouts = request.extensions.get("timeout", {})
        body = b"".join(cast("httpx.ByteStream", request.stream))
        length = b"Content-Length: %d\r\n\r\n" % len(body) if body or request.method == "POST" else b"\r\n"
        connection = self._kept(ready) or await self._connect(ready, timeouts.get("connect"))
        is_fresh: Callable[[], bool] | None = request.extensions.get("is_fresh")
        if is_fresh is not None and not is_fresh():
            self._put_back(ready, connection)
            raise TooLateError
        try:
            status, headers, content = await connection.exchange(
                ready.head + length + body,
                timeouts.get("read"),
                most_bytes=request.extensions.get("most_bytes", _MOST_BYTES),
            )
        finally:
            self._put_back(ready, connection)
        return httpx.Response(
            status,
            headers=headers,
            stream=httpx.ByteStream(content),
            request=request,
            extensions={"distrust": connection.distrust},
        )

    async def aclose(self) -> None:
        """Close every connection; what is in flight ends with a ReadError."""
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()

    def _kept(self, ready: Prepared) -> Connection | None:
        idle = self._idle.get((ready.scheme, ready.host, ready.port))
        while idle:
            connection = idle.pop()  # the warmest
            if connection.is_reusable:
                return connection
            connection.abort()
        return None

    def _put_back(self, ready: Prepared, connection: "Connection") -> None:
        if not connection.is_worth_keeping:
            connection.abort()
            return
        idle = self._idle.setdefault((ready.scheme, ready.host, ready.port), deque())
        idle.append(connection)
        while not idle[0].is_worth_keeping:
            idle.popleft().abort()

    async def _connect(self, ready: Prepared, seconds: float | None) -> Connection:
        try:
            opened = await self._addresses.connect(ready.host, ready.port, seconds)
            return await self._begin(ready, opened, seconds)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("TimeoutError") from error
        except OSError as error:
            raise httpx.ConnectError(type(error).__name__) from error

    async def _begin(self, ready: Prepared, opened: socket.socket, seconds: float | None) -> Connection:
        """Speak TLS where it is to be spoken. Raises OSError or TimeoutError."""
        address = opened.getpeername()
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._open, self._room), sock=opened, **self._security(ready)
                )
        except BaseException as error:
            opened.close()
            if isinstance(error, OSError):
                self._addresses.failed(ready.host, ready.port, address)
            raise
        return connection

    def _security(self, ready: Prepared) -> dict[str, Any]:
        if ready.scheme != "https":
            return {}
        self._ssl = self._ssl or httpx.create_ssl_context(trust_env=False)
        return {"ssl": self._ssl, "server_hostname": ready.host}
