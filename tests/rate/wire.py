"""The stand-in's sockets: TLS by hand, so that each call's time is the kernel's and not that of a busy process."""

import asyncio
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

__all__ = ["Listener", "Wire"]

_STAMPS: Final = 35 if sys.platform == "linux" else None
"""SO_TIMESTAMPNS: each read tells when the last of its bytes came in. Elsewhere it is the time of the read."""
_STAMP: Final = struct.Struct("@qq")
_MOST_BYTES: Final = 65_536

Receive = Callable[["Wire", bytes, float], None]


class Wire:
    """One accepted connection. `receive` is called with it, what came in, and when, by the monotonic clock."""

    def __init__(self, accepted: socket.socket, tls: ssl.SSLContext | None, receive: Receive) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket, self._receive = accepted, receive
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls and tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.received = b""
        self.calls = 0

    def begin(self) -> None:
        """Read on from now; before, a TLS handshake waits in the socket."""
        self._loop.add_reader(self._socket, self._read)

    def send(self, data: bytes) -> None:
        """Write at once: an answer always fits into the socket. Does nothing on a connection that has ended."""
        if self._socket.fileno() < 0:
            return
        with suppress(OSError):
            if self._tls is not None:
                self._tls.write(data)
                data = self._outgoing.read()
            self._socket.send(data)

    def close(self) -> None:
        """End it."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _read(self) -> None:
        try:
            data, stamps, _, _ = self._socket.recvmsg(_MOST_BYTES, socket.CMSG_SPACE(_STAMP.size))
            clear = self._decrypted(data)
        except BlockingIOError:
            return
        except OSError:  # a client that was killed, or one that does not trust us
            data = clear = b""
            stamps = []
        if clear:
            self._receive(self, clear, _arrived(stamps))
        if not data:
            self.close()

    def _decrypted(self, data: bytes) -> bytes:
        if self._tls is None or not data:
            return data
        self._incoming.write(data)
        clear = b""
        with suppress(ssl.SSLWantReadError):
            while part := self._tls.read(_MOST_BYTES):
                clear += part
        if self._outgoing.pending:
            self._socket.send(self._outgoing.read())
        return clear


def _arrived(stamps: list[tuple[int, int, bytes]]) -> float:
    now = time.monotonic()
    for _, kind, stamp in stamps:
        if kind == _STAMPS:
            seconds, nanoseconds = _STAMP.unpack(stamp[: _STAMP.size])
            # By how long ago it was: the wall clock itself may be set at any time.
            return now - max(0.0, time.time() - seconds - nanoseconds / 1e9)
    return now


class Listener:
    """A free port of loopback, whose connections begin `delay_seconds` after they were accepted."""

    def __init__(self, receive: Receive, *, delay_seconds: float, tls: ssl.SSLContext | None) -> None:
        self._receive, self._delay_seconds, self._tls = receive, delay_seconds, tls
        self._loop = asyncio.get_running_loop()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._socket.setblocking(False)
        if _STAMPS is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        self.port: int = self._socket.getsockname()[1]
        self._wires: list[Wire] = []
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """End it, and every connection."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for wire in self._wires:
            wire.close()

    def _accept(self) -> None:
        accepted, _ = self._socket.accept()
        accepted.setblocking(False)
        if _STAMPS is not None:
            accepted.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        wire = Wire(accepted, self._tls, self._receive)
        self._wires.append(wire)
        self._loop.call_later(self._delay_seconds, wire.begin)
