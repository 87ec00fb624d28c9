"""One HTTP/1.1 connection: a request is sent once, its reply is read to the end, and what went wrong is an httpx error."""

import asyncio
import select
from typing import Final, cast

import httptools
import httpx

from worker.kotak.reply_parts import ReplyParts, Room, UnacceptableReplyError, WholeReply

__all__ = ["Connection"]

_KEPT_SECONDS: Final = 30.0


class Connection(asyncio.Protocol):
    """One connection and at most one request on it. It is in the set `everyone` for as long as it is open.

    `room` is the memory that it shares with the others.
    """

    def __init__(self, everyone: "set[Connection]", room: Room) -> None:
        self._loop = asyncio.get_running_loop()
        self._everyone = everyone
        self._parts = ReplyParts(self._begun, self._ended, room)
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

    async def exchange(self, request: bytes, read_seconds: float | None, *, most_bytes: int) -> WholeReply:
        """Send a request and wait for the whole reply; `read_seconds` (None: no limit) is the most between two arrivals.

        `most_bytes`: as much may come of it, headers and chunk sizes included. Raises httpx errors. A cancelled wait spoils the
        connection.
        """
        self._reply = self._loop.create_future()
        self._parts.begin(most_bytes)
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
            self._parts.end()
            if self._timer is not None:
                self._timer.cancel()

    def distrust(self) -> None:
        """Use it for no other request: its replies may belong to other requests."""
        self._is_spoilt = True

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
        except UnacceptableReplyError as error:
            self._fail(httpx.RemoteProtocolError(str(error)))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(type(error).__name__))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol. The end of the connection ends a reply without a length."""
        self._everyone.discard(self)
        if self._reply is None or self._reply.done():
            return
        if exc is None and self._parts.may_end_with_the_connection:
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
