"""What has come of an HTTP reply, put together and bounded: bytes, header lines, and no encoding that was not asked for."""

from collections.abc import Callable
from typing import Final, Protocol

import httptools

__all__ = ["ReplyParts", "Room", "UnacceptableReplyError", "WholeReply"]

MOST_HEAD_BYTES: Final = 32 * 1024
"""As many bytes may come before a reply's headers are whole, interim replies (1xx) included."""
MOST_HEADER_LINES: Final = 100
_INFORMATIONAL: Final = range(100, 200)
_PLAIN: Final = {b"content-encoding": b"identity", b"transfer-encoding": b"chunked"}
"""The only values of headers that say how a body is encoded."""

_Headers = list[tuple[bytes, bytes]]
WholeReply = tuple[int, _Headers, bytes]
"""HTTP status, headers, body."""


MOST_BYTES_AT_ONCE: Final = 128 * 1024 * 1024
"""As many bytes of long replies may be under way on all connections together."""
_SHORT_BYTES: Final = 256 * 1024


class Room:
    """The memory that all connections of a transport have for long replies."""

    def __init__(self) -> None:
        self.bytes_left = MOST_BYTES_AT_ONCE


class UnacceptableReplyError(Exception):
    """The reply is HTTP and is not read on; the message says why, without a word of the reply."""


class _Parser(Protocol):
    def feed_data(self, data: bytes) -> None: ...
    def get_status_code(self) -> int: ...
    def should_keep_alive(self) -> bool: ...


class ReplyParts:
    """What has come of a reply. httptools calls the `on_...` methods; `begun` and `ended` are called for each reply."""

    def __init__(self, begun: Callable[[], None], ended: Callable[[], None], room: Room) -> None:
        self._room, self._taken = room, 0
        # Under the name by which httptools looks for it: one call less for each reply.
        self.on_message_begin = begun
        self._ended = ended
        self._parser: _Parser = httptools.HttpResponseParser(self)
        self.begin(0)

    def begin(self, most_bytes: int) -> None:
        """Forget the last reply; of the next one, so many bytes may come in all."""
        self._bytes_left, self._head_left, self._lines_left = most_bytes, MOST_HEAD_BYTES, MOST_HEADER_LINES
        self._refusal: str | None = None
        self._clear()

    def end(self) -> None:
        """Give the room back: the reply is another's now, or nobody's."""
        self._room.bytes_left += self._taken
        self._taken = 0
        self._content = bytearray()

    def _clear(self) -> None:
        self._headers: _Headers = []
        self._content = bytearray()
        self._has_headers = False

    def feed(self, data: bytes) -> None:
        """Read on. Raises httptools' errors for what is no HTTP, UnacceptableReplyError for what is not read on.

        Headers that came with a part of the body are not counted as bytes of the head: their lines are.
        """
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise UnacceptableReplyError("the reply is too long")
        self._parser.feed_data(data)
        if len(self._content) > _SHORT_BYTES:
            self._take(len(self._content) - self._taken)
        if not self._has_headers:
            self._head_left -= len(data)
            if self._head_left < 0:
                raise UnacceptableReplyError("the headers are too long")
        if self._refusal is not None:
            raise UnacceptableReplyError(self._refusal)

    def _take(self, size: int) -> None:
        self._taken += size
        self._room.bytes_left -= size
        if self._room.bytes_left < 0:
            raise UnacceptableReplyError("there are too many long replies at once")

    def whole(self) -> WholeReply:
        """Put it together."""
        return self._parser.get_status_code(), self._headers, bytes(self._content)

    @property
    def should_keep_alive(self) -> bool:
        """The other side lets the connection be used again."""
        return self._parser.should_keep_alive()

    @property
    def may_end_with_the_connection(self) -> bool:
        """Its headers are whole and name neither a length nor chunks."""
        names = {name.lower() for name, _ in self._headers}
        return self._has_headers and not names & {b"content-length", b"transfer-encoding"}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. What follows the body (a trailer) is none."""
        self._lines_left -= 1
        if self._lines_left < 0:
            self._refusal = "there are too many headers"
        elif not self._has_headers:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note that the status can be believed."""
        self._has_headers = True
        if not all(_is_plain(name.lower(), value) for name, value in self._headers):
            self._refusal = "the body is encoded in a way that was not asked for"

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._content += body

    def on_message_complete(self) -> None:
        """Report the reply, unless this was only "100 Continue", or it must not be believed."""
        if self._parser.get_status_code() in _INFORMATIONAL:
            self._clear()
        elif self._refusal is None:
            self._ended()


def _is_plain(name: bytes, value: bytes) -> bool:
    return name not in _PLAIN or value.strip().lower() == _PLAIN[name]
