"""Calls to the broker over httpx: five headers, one form field, hard time-outs, errors translated once."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote_plus

import httpx
import orjson

from worker.kotak.book_rows import MOST_BOOK_BYTES
from worker.kotak.long_books import LongBooks, TooManyLongBooksError
from worker.kotak.order_book import BookPage, read_page
from worker.kotak.replies import Reply, parse_reply
from worker.kotak.secrets import Secrets
from worker.kotak.session import Session
from worker.kotak.transport import prepare
from worker.kotak.unreachable import unreachable

__all__ = ["CANCEL_PATHS", "KotakClient", "MaybeSentError", "NotSentError", "Timeouts", "TransportError"]

CANCEL_PATHS: Final = {
    "regular": "/quick/order/cancel",
    "bracket": "/quick/order/bo/exit",
    "cover": "/quick/order/co/exit",
}
_BOOK: Final = "/quick/user/orders"
_SHORT_BOOK_BYTES: Final = 128 * 1024
_FRAMES: Final = 4 * 1024 * 1024  # headers, and the sizes of chunks
_CALLS_KEPT: Final = 3000
_MEND_SESSION: Final = "mend the account's session"


class TransportError(Exception):
    """No reply came; the message names the cause and perhaps the host, never a token."""


class NotSentError(TransportError):
    """No byte of the request left this machine: the broker cannot have acted. `to_do` is None where it may pass by itself."""

    def __init__(self, text: str, to_do: str | None = None) -> None:
        super().__init__(text)
        self.to_do = to_do


class MaybeSentError(TransportError):
    """The request may have reached the broker: it may have acted or not."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Hard limits in seconds. `read` bounds the pause between two arrivals of a cancel's reply.

    `total` bounds a cancel from connect to the last byte, `book` an order-book read.
    """

    connect: float = 2.0
    read: float = 4.0
    total: float = 6.0
    book: float = 8.0


@dataclass(frozen=True, slots=True)
class _Call:
    """What calls to one address with one session share."""

    url: httpx.URL
    headers: httpx.Headers
    extensions: dict[str, Any]
    secrets: Secrets


class KotakClient:
    """The broker's calls. One per process: it keeps its connections.

    `transport` is httpx's own seam: BrokerTransport in production, a MockTransport in unit tests. `clock` (seconds since
    the epoch) reads a Retry-After that is a date.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, timeouts: Timeouts, clock: Callable[[], float] = time.time
    ) -> None:
        self._transport, self._clock = transport, clock
        self._timeouts, self._long_books = timeouts, LongBooks()
        self._calls: dict[tuple[Session, str], _Call] = {}
        self._extensions = {"timeout": {"connect": timeouts.connect, "read": timeouts.read}}
        # A reader drains a whole book, and a broker that stalls in the middle must not hold it.
        self._book_extensions = {
            "timeout": {**self._extensions["timeout"], "read": timeouts.book},
            "most_bytes": MOST_BOOK_BYTES + _FRAMES,
        }

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    async def cancel(
        self,
        session: Session,
        *,
        order_number: str,
        variety: str,
        amo: bool,
        trading_symbol: str | None,
        is_fresh: Callable[[], bool] = lambda: True,
    ) -> Reply:
        """Ask once that an order be cancelled. Raises NotSentError or MaybeSentError where no reply came.

        `is_fresh` is asked when a connection is there; where it says no, TooLateError is raised and nothing was sent.

        `ts` is sent for after-market orders only, where it is mandatory (specification, section 6).
        """
        if amo:
            form = {"on": order_number, "am": "YES"} | ({"ts": trading_symbol} if trading_symbol else {})
            body = b"jData=" + quote_plus(orjson.dumps(form)).encode()
        else:
            # {"on":"...","am":"NO"}, encoded once: an order number is digits, which encode as themselves.
            body = b"jData=%7B%22on%22%3A%22" + order_number.encode() + b"%22%2C%22am%22%3A%22NO%22%7D"
        call = self._ready(session, "POST", CANCEL_PATHS[variety], self._extensions)
        request = httpx.Request(
            "POST", call.url, headers=call.headers, stream=httpx.ByteStream(body), extensions=call.extensions
        )
        request.extensions["is_fresh"] = is_fresh
        response, content = await self._exchange(request, self._timeouts.total)
        reply = parse_reply(response.status_code, response.headers, content, now=self._clock(), secrets=call.secrets)
        if reply.is_of_another(order_number) and (distrust := response.extensions.get("distrust")) is not None:
            distrust()  # what comes next there may belong to yet another request
        return reply

    def _ready(self, session: Session, method: str, path: str, extensions: dict[str, Any]) -> _Call:
        """Parse URLs and encode headers once a session instead of once a call, which was half of a call's time."""
        call = self._calls.get((session, path))
        if call is None:
            if len(self._calls) >= _CALLS_KEPT:
                self._calls.clear()
            call = self._calls[session, path] = _call(method, session, path, extensions)
        return call

    async def read_book(self, session: Session) -> BookPage:
        """Read all of today's orders. Raises TransportError where no reply came."""
        return await self._read(self._ready(session, "GET", _BOOK, self._book_extensions))

    async def read_order(self, session: Session, order_number: str) -> BookPage:
        """Read one order. Raises TransportError where no reply came."""
        return await self._read(_call("GET", session, f"{_BOOK}/{order_number}", self._book_extensions))

    async def _read(self, call: _Call) -> BookPage:
        request = httpx.Request("GET", call.url, headers=call.headers, extensions=call.extensions)
        response, content = await self._exchange(request, self._timeouts.book)
        read = partial(read_page, response.status_code, response.headers, content, secrets=call.secrets)
        if len(content) < _SHORT_BOOK_BYTES:
            return read()
        try:
            return await self._long_books.read(len(content), read)
        except TooManyLongBooksError as error:
            raise MaybeSentError(type(error).__name__) from error

    async def _exchange(self, request: httpx.Request, total_seconds: float) -> tuple[httpx.Response, bytes]:
        try:
            async with asyncio.timeout(total_seconds):
                # The transport itself: httpx.AsyncClient's cookies, redirects and hooks would double the cost of a call.
                response = await self._transport.handle_async_request(request)
                try:
                    return response, await _content(response)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            if _cannot_have_left(error):
                why = unreachable(error, request.url.host)
                raise NotSentError(why.text, why.to_do) from error
            raise MaybeSentError(type(error.__cause__ or error).__name__) from error


def _call(method: str, session: Session, path: str, extensions: dict[str, Any]) -> _Call:
    try:
        url = httpx.URL(session.url(path))
        first = prepare(method, url, session.headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Accounts are checked when they are read; what gets here is a session of another source.
        what = "a session token" if isinstance(error, httpx.LocalProtocolError) else "base_url"
        raise NotSentError(f"{what} cannot be sent: {type(error).__name__}", _MEND_SESSION) from error
    headers = httpx.Headers([*session.headers, ("Host", url.netloc.decode())])
    return _Call(url, headers, {**extensions, "prepared": first}, session.secrets)


async def _content(response: httpx.Response) -> bytes:
    """Take the body as it came: httpx's decoders would cost as much again as the call, and nothing encoded was asked for."""
    stream = response.stream
    return b"".join(stream) if isinstance(stream, httpx.ByteStream) else await response.aread()


def _cannot_have_left(error: Exception) -> bool:
    """Only a failure to connect proves that nothing was sent; the transport raises these where that is certain."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol)
