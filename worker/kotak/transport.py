"""The transport under httpx: HTTP/1.1 over kept connections, certain of whether a byte of a request can have left."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx

from worker.kotak.connection import Connection
from worker.kotak.replies import TooLateError

__all__ = ["BrokerTransport", "Prepared", "prepare"]

_ADDRESS_SECONDS: Final = 60.0
_PORTS: Final = {"http": 80, "https": 443}


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

    Written here because every verdict rests on one question that general clients answer loosely: can the broker have seen
    this cancel? ConnectError, ConnectTimeout, UnsupportedProtocol and LocalProtocolError are raised where nothing was
    written, every other httpx error where something was. There is no limit of connections (account queues bound the cancels
    in flight, evidence the reads, each in its own order), no retry, no redirect, no cookie, no proxy, and no header beside
    those of the request, Host and Content-Length.

    `request.extensions["is_fresh"]`, where there is one, is asked when a connection is there, right before the request is
    written: if it says no, TooLateError is raised and the connection is kept for the next call.

    `ssl_context` None trusts the public authorities. Use it from one event loop. A caller that sends many alike passes
    `prepare`'s answer in `request.extensions["prepared"]`. Of the time-outs in `request.extensions` connect and read count,
    the latter between two arrivals; None is no limit.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._idle: dict[tuple[str, str, int], deque[Connection]] = {}
        self._addresses: dict[tuple[str, int], tuple[float, asyncio.Future[list[Any]]]] = {}
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
            status, headers, content = await connection.exchange(ready.head + length + body, timeouts.get("read"))
        finally:
            self._put_back(ready, connection)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content), request=request)

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
            async with asyncio.timeout(seconds):
                return await self._open_first(ready)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("TimeoutError") from error
        except OSError as error:
            self._addresses.pop((ready.host, ready.port), None)
            raise httpx.ConnectError(type(error).__name__) from error

    async def _open_first(self, ready: Prepared) -> Connection:
        """Connect to the first of the host's addresses that answers. Raises the last one's OSError where none does."""
        loop = asyncio.get_running_loop()
        refused: OSError = OSError("no address")
        for *_, address in await self._resolve(ready.host, ready.port):
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(self._open), address[0], ready.port, **self._security(ready)
                )
            except OSError as error:
                refused = error
            else:
                return connection
        raise refused

    def _security(self, ready: Prepared) -> dict[str, Any]:
        if ready.scheme != "https":
            return {}
        self._ssl = self._ssl or httpx.create_ssl_context(trust_env=False)
        return {"ssl": self._ssl, "server_hostname": ready.host}

    async def _resolve(self, host: str, port: int) -> list[Any]:
        """Look a host up once a minute, not once for each of a burst of connections."""
        loop = asyncio.get_running_loop()
        expires_at, found = self._addresses.get((host, port), (0.0, None))
        if found is None or loop.time() >= expires_at:
            found = asyncio.ensure_future(loop.getaddrinfo(host, port, type=1))
            self._addresses[host, port] = loop.time() + _ADDRESS_SECONDS, found
        return await asyncio.shield(found)  # a caller that gives up must not end the look-up of the others
