"""A stand-in broker that counts: `python -m tests.rate.broker` prints its ports and answers each line with its journal.

A connection takes as long as its port says: the TLS handshake begins so long after the connection was accepted. A port
without delay speaks plain HTTP. The path of every call begins with the account. Nothing of the worker is used here.
"""

import argparse
import asyncio
import json
import re
import ssl
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.rate.wire import Listener, Wire

__all__ = ["Answer", "Counting", "answer_for"]

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER_SECONDS: Final = 0.02
_CALLS_A_CONNECTION: Final = 4
"""A connection is closed with so many answers: a broker's gateway does not keep one for ever."""

Answer = tuple[int, float]
"""HTTP status, and the seconds of its Retry-After; 0 is no such header."""


def answer_for(trouble: str, number: int) -> Answer:
    """Decide the answer to the `number`th call of an account, the first being 0.

    Complaints come seldom enough that an account recovers in between: it is above its rate then, if ever.
    """
    if trouble == "complaints" and number % 40 == 3:
        return 429, 0.0
    if trouble == "retry_after" and number % 20 == 3:
        return 429, 2.0
    return 200, 0.0


class Counting:
    """The calls: account, when the request was whole, when the answer was begun and had left, its Retry-After."""

    def __init__(self, trouble: str) -> None:
        self._trouble = trouble
        self._calls = Counter[str]()
        self.journal: list[list[Any]] = []

    def receive(self, wire: Wire, data: bytes, at: float) -> None:
        """Take what came in; a call that is whole is answered a little later."""
        wire.received += data
        head, end, rest = wire.received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(rest) < int(length[1] if length else 0):
            return
        wire.received = b""
        wire.calls += 1
        ucc = head.split(b" ", 2)[1].split(b"/")[1].decode()
        is_send = head.startswith(b"POST ")
        status, pause = answer_for(self._trouble, self._calls[ucc]) if is_send else (404, 0.0)
        self._calls[ucc] += is_send
        entry = [ucc, at, None, None, pause]
        if is_send:  # what a worker that died may have sent is read first, beside the rate
            self.journal.append(entry)
        asyncio.get_running_loop().call_later(_ANSWER_SECONDS, self._answer, wire, entry, status)

    def _answer(self, wire: Wire, entry: list[Any], status: int) -> None:
        is_last = wire.calls % _CALLS_A_CONNECTION == 0
        entry[2] = time.monotonic()
        wire.send(_reply(status, entry[4], is_last=is_last))
        entry[3] = time.monotonic()
        if is_last:
            wire.close()


def _reply(status: int, pause: float, *, is_last: bool) -> bytes:
    body = b'{"stat":"Ok","stCode":200}' if status == 200 else b'{"code":429,"message":"too many request received"}'
    lines = [b"HTTP/1.1 %d X" % status, b"content-type: application/json", b"content-length: %d" % len(body)]
    lines += [b"retry-after: %d" % pause] if pause else []
    lines += [b"connection: close"] if is_last else []
    return b"\r\n".join([*lines, b"", body])


async def _run(options: argparse.Namespace) -> None:
    counting = Counting(options.trouble)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(options.certificate)
    listeners = [
        Listener(counting.receive, delay_seconds=delay / 1000, tls=tls if delay else None) for delay in options.delays
    ]
    sys.stdout.write(json.dumps([listener.port for listener in listeners]) + "\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, _obey, counting, ended)
    await ended.wait()


def _obey(counting: Counting, ended: asyncio.Event) -> None:
    if not sys.stdin.readline():
        ended.set()
        return
    sys.stdout.write(json.dumps(counting.journal) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.rate.broker")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM: the key, then the certificates")
    parser.add_argument("--trouble", required=True)
    parser.add_argument("delays", type=int, nargs="+", help="milliseconds of a connect, a port for each")
    asyncio.run(_run(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
