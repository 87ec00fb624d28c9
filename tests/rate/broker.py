"""A stand-in broker that counts: `python -m tests.rate.broker` prints its ports and answers each line with its journal.

A connection takes as long as its port says: the TLS handshake begins so long after the connection was accepted. A port
without delay speaks plain HTTP. The path of every call begins with the account. Nothing of the worker is used here.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

__all__ = ["Answer", "Counting", "answer_for", "serve"]

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER_SECONDS: Final = 0.02
_CALLS_A_CONNECTION: Final = 4
"""A connection is closed with so many answers: a broker's gateway does not keep one for ever."""
_TICK_SECONDS: Final = 0.005

Answer = tuple[int, float]
"""HTTP status, and the seconds of its Retry-After; 0 is no such header."""


def answer_for(trouble: str, number: int) -> Answer:
    """Decide the answer to the `number`th call of an account, the first being 0."""
    if trouble == "complaints" and number % 7 == 3:
        return 429, 0.0
    if trouble == "retry_after" and number % 10 == 3:
        return 429, 2.0
    return 200, 0.0


class Counting:
    """The journal: account, when the whole request was there, status, when the answer left, seconds of Retry-After."""

    def __init__(self, trouble: str) -> None:
        self._trouble = trouble
        self._calls = Counter[str]()
        self.journal: list[list[Any]] = []
        self.latest_seconds = 0.0

    def receive(self, head: bytes, at: float) -> list[Any]:
        """Note a call and decide its answer; the time when that leaves is filled in later."""
        ucc = head.split(b" ", 2)[1].split(b"/")[1].decode()
        status, pause = answer_for(self._trouble, self._calls[ucc])
        self._calls[ucc] += 1
        entry = [ucc, at, status, None, pause]
        self.journal.append(entry)
        return entry

    async def watch_itself(self) -> None:
        """Note how late this process is at most: arrivals are no more exact than that."""
        while True:
            due_at = time.monotonic() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            self.latest_seconds = max(self.latest_seconds, time.monotonic() - due_at)

    def report(self) -> bytes:
        """Write the journal and how late this process was at most, since the last report, as a line."""
        line = json.dumps({"journal": self.journal, "late_seconds": self.latest_seconds}).encode() + b"\n"
        self.latest_seconds = 0.0
        return line


class _Connection(asyncio.Protocol):
    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._received = b""
        self._calls = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(rest) < int(length[1] if length else 0):
            return
        self._received = b""
        self._calls += 1
        asyncio.get_running_loop().call_later(_ANSWER_SECONDS, self._answer, self._counting.receive(head, at))

    def _answer(self, entry: list[Any]) -> None:
        _, _, status, _, pause = entry
        entry[3] = time.monotonic()
        is_last = self._calls % _CALLS_A_CONNECTION == 0
        if not self._transport.is_closing():
            self._transport.write(_reply(status, pause, is_last=is_last))  # type: ignore[attr-defined]
        if is_last:
            self._transport.close()


def _reply(status: int, pause: float, *, is_last: bool) -> bytes:
    body = b'{"stat":"Ok","stCode":200}' if status == 200 else b'{"code":429,"message":"too many request received"}'
    lines = [b"HTTP/1.1 %d X" % status, b"content-type: application/json", b"content-length: %d" % len(body)]
    lines += [b"retry-after: %d" % pause] if pause else []
    lines += [b"connection: close"] if is_last else []
    return b"\r\n".join([*lines, b"", body])


async def serve(counting: Counting, delay_seconds: float, tls: ssl.SSLContext | None) -> tuple[int, asyncio.Task[None]]:
    """Listen on a free port of loopback; answer it, and the task that accepts."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening.setblocking(False)
    return listening.getsockname()[1], asyncio.create_task(_accept(listening, counting, delay_seconds, tls))


async def _accept(
    listening: socket.socket, counting: Counting, delay_seconds: float, tls: ssl.SSLContext | None
) -> None:
    greetings: set[asyncio.Task[None]] = set()
    with listening:
        while True:
            accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
            greeting = asyncio.create_task(_greet(accepted, counting, delay_seconds, tls))
            greetings.add(greeting)
            greeting.add_done_callback(greetings.discard)


async def _greet(accepted: socket.socket, counting: Counting, delay_seconds: float, tls: ssl.SSLContext | None) -> None:
    # Until then the client's first flight lies in the socket: for the client the handshake takes so long.
    await asyncio.sleep(delay_seconds)
    with suppress(OSError):  # a client that has gone meanwhile, as one that was killed
        await asyncio.get_running_loop().connect_accepted_socket(lambda: _Connection(counting), accepted, ssl=tls)


async def _run(options: argparse.Namespace) -> None:
    counting = Counting(options.trouble)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(options.certificate)
    served = [await serve(counting, delay / 1000, tls if delay else None) for delay in options.delays]
    sys.stdout.write(json.dumps([port for port, _ in served]) + "\n")
    sys.stdout.flush()
    # A broker has a machine of its own: it must not see a call late because the workers are busy.
    with suppress(PermissionError):
        os.nice(-10)
    watching = asyncio.create_task(counting.watch_itself())
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, _obey, counting, ended)
    await ended.wait()
    watching.cancel()


def _obey(counting: Counting, ended: asyncio.Event) -> None:
    if not sys.stdin.readline():
        ended.set()
        return
    sys.stdout.buffer.write(counting.report())
    sys.stdout.buffer.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.rate.broker")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM: the key, then the certificates")
    parser.add_argument("--trouble", required=True)
    parser.add_argument("delays", type=int, nargs="+", help="milliseconds of a connect, a port for each")
    asyncio.run(_run(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
