"""Calls to the broker over httpx: five headers, one form field, hard time-outs, errors translated once."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus

import aiohttp
import httpx
import orjson
from httpx_aiohttp import AiohttpTransport

from worker.kotak.order_book import BookPage, read_page
from worker.kotak.replies import Reply, parse_reply
from worker.kotak.session import Session

__all__ = ["CANCEL_PATHS", "KotakClient", "MaybeSentError", "NotSentError", "Timeouts", "TransportError", "transport"]

CANCEL_PATHS: Final = {
    "regular": "/quick/order/cancel",
    "bracket": "/quick/order/bo/exit",
    "cover": "/quick/order/co/exit",
}
_BOOK: Final = "/quick/user/orders"


class TransportError(Exception):
    """No reply came; the message names the cause, never an address or a token."""


class NotSentError(TransportError):
    """No byte of the request left this machine: the broker cannot have acted."""


class MaybeSentError(TransportError):
    """The request may have reached the broker: it may have acted or not."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Hard limits in seconds. `total` bounds a cancel from connect to the last byte, `book` an order-book read."""

    connect: float = 2.0
    read: float = 4.0
    write: float = 2.0
    pool: float = 2.0
    total: float = 6.0
    book: float = 8.0


class KotakClient:
    """The broker's calls. One per process: it keeps its connections.

    `transport` is httpx's own seam: the aiohttp one in production, a MockTransport in unit tests. `clock` (seconds since
    the epoch) reads a Retry-After that is a date.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, timeouts: Timeouts, clock: Callable[[], float] = time.time
    ) -> None:
        self._transport, self._clock = transport, clock
        self._timeouts = timeouts
        self._extensions = {
            "timeout": httpx.Timeout(
                connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=timeouts.pool
            ).as_dict()
        }
        # A reader drains a whole book, and a broker that stalls in the middle must not hold it.
        self._book_extensions = {"timeout": {**self._extensions["timeout"], "read": timeouts.book}}

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    async def cancel(
        self, session: Session, *, order_number: str, variety: str, amo: bool, trading_symbol: str | None
    ) -> Reply:
        """Ask once that an order be cancelled. Raises NotSentError or MaybeSentError where no reply came.

        `ts` is sent for after-market orders only, where it is mandatory (specification, section 6).
        """
        said = {"on": order_number, "am": "YES" if amo else "NO"}
        if amo and trading_symbol:
            said["ts"] = trading_symbol
        body = b"jData=" + quote_plus(orjson.dumps(said)).encode()
        request = httpx.Request(
            "POST",
            session.url(CANCEL_PATHS[variety]),
            headers=session.headers,
            content=body,
            extensions=self._extensions,
        )
        status, headers, content = await self._exchange(request, self._timeouts.total)
        return parse_reply(status, headers, content, now=self._clock())

    async def read_book(self, session: Session) -> BookPage:
        """Read all of today's orders. Raises TransportError where no reply came."""
        return await self._read(session, _BOOK)

    async def read_order(self, session: Session, order_number: str) -> BookPage:
        """Read one order. Raises TransportError where no reply came."""
        return await self._read(session, f"{_BOOK}/{order_number}")

    async def _read(self, session: Session, path: str) -> BookPage:
        request = httpx.Request("GET", session.url(path), headers=session.headers, extensions=self._book_extensions)
        return read_page(*await self._exchange(request, self._timeouts.book))

    async def _exchange(self, request: httpx.Request, total_seconds: float) -> tuple[int, dict[str, str], bytes]:
        with _translated():
            async with asyncio.timeout(total_seconds):
                # The transport itself: httpx.AsyncClient's cookies, redirects and hooks would double the cost of a call.
                response = await self._transport.handle_async_request(request)
                try:
                    content = await response.aread()
                finally:
                    await response.aclose()
                return response.status_code, dict(response.headers), content


def transport(max_connections: int) -> httpx.AsyncBaseTransport:
    """Make httpx's aiohttp transport; call it inside the event loop that will use it.

    No cookies: one account's must never reach another's call. No retries of its own. No headers of its own either,
    beside Host and Content-Length: the specification lists five.
    """

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=30, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    return AiohttpTransport(client=session)


@contextmanager
def _translated() -> Generator[None]:
    """Tell what cannot have left from what may have: only a failure to connect proves that nothing was sent."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, aiohttp.ClientError, OSError) as error:
        kind = NotSentError if _cannot_have_left(error) else MaybeSentError
        raise kind(type(error.__cause__ or error).__name__) from error


def _cannot_have_left(error: Exception) -> bool:
    # httpx-aiohttp 0.2 calls a connection that was cut after sending a ConnectTimeout: only aiohttp's own error tells.
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientError):
        return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL)
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol)
