"""Brokers that no account can work with, each at a path of one address on loopback, and one behind a certificate of its own."""

import asyncio
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import trustme

__all__ = ["running_bad_brokers"]

_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_OK: Final = b'{"stat": "Ok", "result": "251015000123456"}'
_REPLIES: Final = {
    "closes": b"",
    "redirects": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "moved": b"HTTP/1.1 308 Permanent Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "fails": b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops",
    "html": _HEAD + b"Content-Length: 15\r\n\r\n<html>no</html>",
    "noise": b"\x16\x03\x01\x00\xff" * 20,
    "cut": _HEAD + b"Content-Length: 500\r\n\r\n" + _OK,
    "huge": _HEAD + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "gzip": _HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    "limits": b"HTTP/1.1 429 Too Many\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n",
}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        kind = request.split(b" ")[1].split(b"/")[1].decode()
        if kind == "hangs":
            await reader.read(1 << 20)
            await reader.read()
        writer.write(_REPLIES.get(kind, b""))
        await writer.drain()
    except (OSError, EOFError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


@contextmanager
def running_bad_brokers() -> Generator[tuple[str, str]]:
    """Serve in a thread: the address whose paths are kinds of trouble, and one over TLS that no system trusts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start(tls: ssl.SSLContext | None) -> int:
        server = await asyncio.start_server(_serve, "127.0.0.1", 0, ssl=tls)
        return int(server.sockets[0].getsockname()[1])

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1", "localhost").configure_cert(tls)
    try:
        plain, secure = (asyncio.run_coroutine_threadsafe(start(one), loop).result(10) for one in (None, tls))
        yield f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
