"""One HTTP/1.1 connection: a request is sent once, its reply is read to the end, and what went wrong is an httpx error."""

import asyncio
import select
from collections.abc import Callable
from typing import Final, Protocol, cast

import httptools
import httpx

__all__ = ["Connection", "WholeReply"]

_KEPT_SECONDS: Final = 30.0
_INFORMATIONAL: Final = range(100, 200)

_Headers = list[tuple[bytes, bytes]]
WholeReply = tuple[int, _Headers, bytes]
"""HTTP status, headers, body."""


class Connection(asyncio.Protocol):
    """One connection and at most one request on it. It is in the set `everyone` for as long as it is open."""

    def __init__(self, everyone: "set[Connection]") -> None:
        self._loop = asyncio.get_running_loop()
        self._everyone = everyone
        self._parts = _Parts(self._begun, self._ended)
        self._reply: asyncio.Future[WholeReply] | None = None
        self._is_spoilt = False
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_worth_keeping(self) -> bool:
        """The last reply was whole, and it is not so long ago that the other side may be closing."""
        if self._is_spoilt or self._transport.is_closing():
            return False
        return self._loop.time() - self._heard_at < _KEPT_SECONDS

    @property
    def is_reusable(self) -> bool:
        """It is worth keeping, and a request may be sent on it now.

        Bytes without a request, or the end of the stream, may lie in the socket unread: the next request would take a surplus
        reply for its own. Asking the socket costs a system call.
        """
        return self.is_worth_keeping and not self._has_unread_bytes()

    def _has_unread_bytes(self) -> bool:
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    async def exchange(self, request: bytes, read_seconds: float | None) -> WholeReply:
        """Send a request and wait for the whole reply; `read_seconds` (None: no limit) is the most between two arrivals.

        Raises httpx errors. A cancelled wait spoils the connection.
        """
        self._reply = self._loop.create_future()
        self._parts.clear()
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

    # ------------------------------------------------------------------ the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self._everyone.add(self)
        self._heard_at = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._heard_at = self._loop.time()
        if self._reply is None:
            self._fail(httpx.RemoteProtocolError("bytes without a request"))
            return
        try:
            self._parts.feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(type(error).__name__))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol. The end of the connection ends a reply without a length."""
        self._everyone.discard(self)
        if self._reply is None or self._reply.done():
            return
        if exc is None and self._parts.end_with_the_connection:
            self._reply.set_result(self._parts.whole())
            return
        error = httpx.ReadError("the connection was closed" if exc is None else type(exc).__name__)
        error.__cause__ = exc
        self._reply.set_exception(error)

    # ------------------------------------------------------------------ the reply

    def _begun(self) -> None:
        """Note a reply too many: its rest would pass for the next request's."""
        if self._reply is None or self._reply.done():
            self._is_spoilt = True

    def _ended(self) -> None:
        if self._reply is not None and not self._reply.done():
            self._is_spoilt = not self._parts.should_keep_alive
            self._reply.set_result(self._parts.whole())

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


class _Parser(Protocol):
    def feed_data(self, data: bytes) -> None: ...
    def get_status_code(self) -> int: ...
    def should_keep_alive(self) -> bool: ...


class _Parts:
    """What has come of a reply. httptools calls the `on_...` methods; `begun` and `ended` are called for each reply."""

    def __init__(self, begun: Callable[[], None], ended: Callable[[], None]) -> None:
        # Under the name by which httptools looks for it: one call less for each reply.
        self.on_message_begin = begun
        self._ended = ended
        self._parser: _Parser = httptools.HttpResponseParser(self)
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self._headers: _Headers = []
        self._content: list[bytes] = []
        self._has_headers = False

    def feed(self, data: bytes) -> None:
        """Read on. Raises httptools' errors for what is no HTTP."""
        self._parser.feed_data(data)

    def whole(self) -> WholeReply:
        """Put it together."""
        return self._parser.get_status_code(), self._headers, b"".join(self._content)

    @property
    def should_keep_alive(self) -> bool:
        """The other side lets the connection be used again."""
        return self._parser.should_keep_alive()

    @property
    def end_with_the_connection(self) -> bool:
        """Its headers are whole and name neither a length nor chunks."""
        names = {name.lower() for name, _ in self._headers}
        return self._has_headers and not names & {b"content-length", b"transfer-encoding"}

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
        """Report the reply, unless this was only "100 Continue"."""
        if self._parser.get_status_code() in _INFORMATIONAL:
            self.clear()
        else:
            self._ended()
