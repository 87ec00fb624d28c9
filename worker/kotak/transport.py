"""The transport under httpx: HTTP/1.1 over kept connections, certain of whether a byte of a request can have left."""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import httptools
import httpx

__all__ = ["BrokerTransport", "Prepared", "prepare"]

_KEPT_SECONDS: Final = 30.0
_ADDRESS_SECONDS: Final = 60.0
_PORTS: Final = {"http": 80, "https": 443}
_INFORMATIONAL: Final = range(100, 200)

_Headers = list[tuple[bytes, bytes]]
_Whole = tuple[int, _Headers, bytes]


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
    lines = [f"{method} {url.raw_path.decode()} HTTP/1.1", f"Host: {url.netloc.decode()}"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in ("host", "content-length")]
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

    Written here because everything rests on one question that general clients answer loosely: can the broker have seen this
    cancel? ConnectError, ConnectTimeout, UnsupportedProtocol and LocalProtocolError are raised where nothing was written,
    every other httpx error where something was. No pool's queue (lanes bound the cancels in flight, evidence the reads, each
    with its own order of who goes first), no retries, no redirects, no cookies, no proxies, no headers beside those of the
    request, Host and Content-Length.

    `ssl_context` None trusts the public authorities. Use it from one event loop. A caller that sends many alike passes
    `prepare`'s answer in `request.extensions["prepared"]`. Of the time-outs in `request.extensions` connect and read count,
    the latter between two arrivals; None is no limit.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._idle: dict[tuple[str, str, int], deque[_Connection]] = {}
        self._addresses: dict[tuple[str, int], tuple[float, asyncio.Future[list[Any]]]] = {}
        self._open: set[_Connection] = set()
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
        try:
            status, headers, content = await connection.exchange(ready.head + length + body, timeouts.get("read"))
        finally:
            self._put_back(ready, connection)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content), request=request)

    async def aclose(self) -> None:
        """Close every connection; what is in flight ends with a ReadError."""
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()

    def _kept(self, ready: Prepared) -> "_Connection | None":
        idle = self._idle.get((ready.scheme, ready.host, ready.port))
        while idle:
            connection = idle.pop()  # the warmest
            if connection.is_reusable:
                return connection
            connection.abort()
        return None

    def _put_back(self, ready: Prepared, connection: "_Connection") -> None:
        if not connection.is_reusable:
            connection.abort()
            return
        idle = self._idle.setdefault((ready.scheme, ready.host, ready.port), deque())
        idle.append(connection)
        while not idle[0].is_reusable:
            idle.popleft().abort()

    async def _connect(self, ready: Prepared, seconds: float | None) -> "_Connection":
        loop = asyncio.get_running_loop()
        secured: dict[str, Any] = {}
        if ready.scheme == "https":
            self._ssl = self._ssl or httpx.create_ssl_context(trust_env=False)
            secured = {"ssl": self._ssl, "server_hostname": ready.host}
        try:
            async with asyncio.timeout(seconds):
                refused: OSError = OSError("no address")
                for *_, address in await self._resolve(ready.host, ready.port):
                    try:
                        _, connection = await loop.create_connection(
                            lambda: _Connection(self._open), address[0], ready.port, **secured
                        )
                    except OSError as error:  # the host's next address may answer
                        refused = error
                    else:
                        return connection
                raise refused
        except TimeoutError as error:
            raise httpx.ConnectTimeout("TimeoutError") from error
        except OSError as error:
            self._addresses.pop((ready.host, ready.port), None)
            raise httpx.ConnectError(type(error).__name__) from error

    async def _resolve(self, host: str, port: int) -> list[Any]:
        """Look a host up once a minute, not once for each of a burst of connections."""
        loop = asyncio.get_running_loop()
        expires_at, found = self._addresses.get((host, port), (0.0, None))
        if found is None or loop.time() >= expires_at:
            found = asyncio.ensure_future(loop.getaddrinfo(host, port, type=1))
            self._addresses[host, port] = loop.time() + _ADDRESS_SECONDS, found
        return await asyncio.shield(found)  # whoever gives up leaves the others their answer


class _Parser(Protocol):
    def feed_data(self, data: bytes) -> None: ...
    def get_status_code(self) -> int: ...
    def should_keep_alive(self) -> bool: ...


class _Connection(asyncio.Protocol):
    """One connection and at most one request on it; httptools calls the `on_...` methods back."""

    def __init__(self, everyone: "set[_Connection]") -> None:
        self._loop = asyncio.get_running_loop()
        self._everyone = everyone
        self._parser: _Parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[_Whole] | None = None
        self._headers: _Headers = []
        self._content: list[bytes] = []
        self._has_headers = self._is_spoilt = False
        self._heard_at = self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self._everyone.add(self)
        self._idle_since = self._loop.time()

    @property
    def is_reusable(self) -> bool:
        """The last reply was whole, and the other side has not been left alone for so long that it may be closing."""
        if self._is_spoilt or self._transport.is_closing():
            return False
        return self._loop.time() - self._idle_since < _KEPT_SECONDS

    async def exchange(self, request: bytes, read_seconds: float | None) -> _Whole:
        """Send a request and wait for the whole reply. Whoever gives up waiting spoils the connection."""
        self._reply = self._loop.create_future()
        self._headers, self._content, self._has_headers = [], [], False
        self._is_spoilt = True  # until the reply is whole
        self._heard_at = self._loop.time()
        self._timer = None
        if read_seconds is not None:
            self._timer = self._loop.call_later(read_seconds, self._look_at_clock, read_seconds)
        self._transport.write(request)
        try:
            return await self._reply
        finally:
            self._reply = None
            if self._timer is not None:
                self._timer.cancel()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _look_at_clock(self, read_seconds: float) -> None:
        left = self._heard_at + read_seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look_at_clock, read_seconds)
            return
        self._fail(httpx.ReadTimeout("no byte came in time"))

    def _fail(self, error: Exception) -> None:
        self._is_spoilt = True
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
        self._transport.abort()

    # ------------------------------------------------------------------ what the socket says

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._heard_at = self._loop.time()
        if self._reply is None:
            self._fail(httpx.RemoteProtocolError("bytes that nobody asked for"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(type(error).__name__))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol. The end of the connection is the end of a reply that did not say how long it is."""
        self._everyone.discard(self)
        if self._reply is None or self._reply.done():
            return
        names = {name.lower() for name, _ in self._headers}
        has_length = b"content-length" in names or b"transfer-encoding" in names
        if exc is None and self._has_headers and not has_length:
            self._reply.set_result((self._parser.get_status_code(), self._headers, b"".join(self._content)))
            return
        error = httpx.ReadError("the connection was closed" if exc is None else type(exc).__name__)
        error.__cause__ = exc
        self._reply.set_exception(error)

    # ------------------------------------------------------------------ what the parser says

    def on_message_begin(self) -> None:
        """Note a reply too many: its rest would pass for the next request's."""
        if self._reply is None or self._reply.done():
            self._is_spoilt = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note that the status can be believed."""
        self._has_headers = True

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._content.append(body)

    def on_message_complete(self) -> None:
        """Answer who waits, unless this was only "100 Continue"."""
        status = self._parser.get_status_code()
        if status in _INFORMATIONAL:
            self._headers, self._content, self._has_headers = [], [], False
        elif self._reply is not None and not self._reply.done():
            self._is_spoilt = not self._parser.should_keep_alive()
            self._idle_since = self._loop.time()
            self._reply.set_result((status, self._headers, b"".join(self._content)))
