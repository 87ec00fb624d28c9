"""Replies of a hostile broker, from seeded dice, on real sockets: oversized, endless, compressed, doubled, smuggled, late.

`python -m tests.fault.hostile_replies --count 5000 --seed 1` sends as many cancels, and a read of the book beside every
twentieth, to a broker in a process of its own, and prints what became of them. The replies come from nothing of the worker's.
"""

import argparse
import asyncio
import gc
import gzip
import itertools
import json
import random
import resource
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import uvloop

from worker.kotak.client import KotakClient, MaybeSentError, NotSentError, Timeouts
from worker.kotak.codes import KOTAK, Action
from worker.kotak.session import Session
from worker.kotak.transport import BrokerTransport
from worker.orders.verdict import judge

SID = "3f2a9c1e-77aa-4b1c-9d2e-0a1b2c3d4e5f"
AUTH = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJIUjAwMSJ9.Zm9yLW5vLW90aGVyLWV5ZXM"
FIRST = 260722000000000
FLOOD = 1 << 40
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TIMEOUTS = Timeouts(connect=10.0, read=2.0, total=4.0, book=10.0)
PAUSE = 3.0
"""So long a broker is silent in seconds: more than the client waits for the next byte, less than for the whole reply."""


Plan = dict[str, tuple[str, bool | None]]
"""Order number -> what its cancel gets, and whether that is an "Ok"; see Hostile."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """What is sent for one request: `parts` are bytes, or pauses in seconds; then the connection goes on, or is closed.

    `is_ok`: a client that reads HTTP right takes it for the "Ok" to this order; None: it may, and it need not.
    """

    what: str
    parts: tuple[bytes | float | Iterator[bytes], ...]
    is_ok: bool | None = False
    then: str = "keep"


def ok(number: str, **more: Any) -> bytes:
    return json.dumps({"nOrdNo": number, "stat": "Ok", "stCode": 200} | more).encode()


def whole(body: bytes, extra: bytes = b"") -> bytes:
    return HEAD + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


def refusal(number: str, text: str = "no") -> bytes:
    return json.dumps({"stat": "Not_Ok", "stCode": 1009, "emsg": f"{text} for {number}"}).encode()


def endless(part: bytes) -> Iterator[bytes]:
    return itertools.repeat(part * (1 + 16_384 // len(part)), FLOOD)


def hostile(number: str, seed: int) -> Hostile:
    """Make what the dice give for an order's cancel: the same for the broker that sends it and for the judge."""
    dice = random.Random(f"{seed} {number}")
    other = str(FIRST + dice.randrange(10_000))
    if dice.random() < 0.3:
        return Hostile("good", (whole(ok(number)),), is_ok=True)
    kind = dice.choice(
        (_oversized, _endless, _compressed, _doubled, _smuggled, _late, _cut, _odd_json, _odd_http, _quoting)
    )
    return kind(number, other, dice)


def _oversized(number: str, other: str, dice: random.Random) -> Hostile:
    size = dice.choice((200_000, 1_000_000, 5_000_000))
    return dice.choice((
        lambda: Hostile("oversized: padded Ok", (whole(ok(number, pad="x" * size)),)),
        lambda: Hostile("oversized: spaces behind the Ok", (whole(ok(number) + b" " * size),)),
        lambda: Hostile("oversized: text", (whole(json.dumps({"stat": "Not_Ok", "emsg": "a " * size}).encode()),)),
        lambda: Hostile("oversized: one header", (HEAD + b"X: " + b"y" * size + b"\r\nContent-Length: 2\r\n\r\n{}",)),
        lambda: Hostile("oversized: many headers", (HEAD + b"X: y\r\n" * (size // 6) + b"Content-Length: 2\r\n\r\n{}",)),
        lambda: Hostile("oversized: status line", (b"HTTP/1.1 200 " + b"y" * size + b"\r\nContent-Length: 2\r\n\r\n{}",)),
        lambda: Hostile("oversized: length only", (HEAD + b"Content-Length: %d\r\n\r\n" % 10**12 + ok(number),)),
    ))()  # fmt: skip


def _endless(number: str, other: str, dice: random.Random) -> Hostile:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    return dice.choice((
        Hostile("endless: body", (HEAD + b"\r\n" + ok(number), endless(b" "))),
        Hostile("endless: chunks", (chunked, endless(b"1\r\n \r\n"))),
        Hostile("endless: large chunks", (chunked, endless(b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"))),
        Hostile("endless: chunk extension", (chunked + b"2;", endless(b"x"))),
        Hostile("endless: trailers", (chunked + b"%x\r\n%b\r\n0\r\n" % (len(ok(number)), ok(number)), endless(b"X: y\r\n"))),
        Hostile("endless: headers", (HEAD, endless(b"X: y\r\n"))),
        Hostile("endless: header", (HEAD + b"X: ", endless(b"y"))),
        Hostile("endless: header name", (HEAD, endless(b"y"))),
        Hostile("endless: interim replies", (endless(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),)),
        Hostile("endless: 100 Continue", (endless(b"HTTP/1.1 100 Continue\r\n\r\n"),)),
        Hostile("endless: noise", (endless(dice.randbytes(997)),)),
    ))  # fmt: skip


@lru_cache(maxsize=64)
def _packed(name: str, size: int) -> bytes:
    plain = ok(str(FIRST)) + b" " * size
    forms: dict[str, Callable[[], bytes]] = {
        "deflate": lambda: zlib.compress(plain, 1), "br": lambda: b"\x1b" + plain[:100], "zstd": lambda: b"\x28\xb5\x2f\xfd",
        "gzip, gzip": lambda: gzip.compress(gzip.compress(plain, 1), 1),
    }  # fmt: skip
    return forms.get(name, lambda: gzip.compress(plain, 1))()


def _compressed(number: str, other: str, dice: random.Random) -> Hostile:
    name = dice.choice(("gzip", "deflate", "br", "gzip, gzip", "x-gzip", "zstd", "GZIP", "identity, gzip"))
    made = _packed(name, dice.choice((0, 1_000_000, 50_000_000)))
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(made), made)
    return dice.choice((
        Hostile(f"compressed: {name}", (whole(made, b"Content-Encoding: " + name.encode() + b"\r\n"),)),
        Hostile("compressed: transfer", (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks,)),
        Hostile("compressed: not said", (whole(gzip.compress(ok(number))),)),
        Hostile("compressed: said, and plain", (whole(ok(number), b"Content-Encoding: gzip\r\n"),)),
    ))  # fmt: skip


def _doubled(number: str, other: str, dice: random.Random) -> Hostile:
    mine, theirs = whole(ok(number)), whole(ok(other))
    wait = dice.choice((0.001, 0.01, 0.05))
    return dice.choice((
        Hostile("doubled: twice the same", (mine + mine,), is_ok=True),
        Hostile("doubled: and another's", (mine + theirs,), is_ok=True),
        Hostile("doubled: a refusal behind", (mine + whole(refusal(other)),), is_ok=True),
        Hostile("doubled: and half another's", (mine + theirs[: dice.randrange(1, len(theirs))],), is_ok=True),
        Hostile("doubled: noise behind", (mine + dice.randbytes(20),), is_ok=None),
        Hostile("doubled: another's only", (theirs,), is_ok=False),
        Hostile("doubled: the same later", (mine, wait, mine), is_ok=True),
        Hostile("doubled: another's later", (mine, wait, theirs), is_ok=True),
        Hostile("doubled: another's first", (theirs + mine,), is_ok=False),
    ))  # fmt: skip


def _smuggled(number: str, other: str, dice: random.Random) -> Hostile:
    mine, inner = ok(number), whole(ok(other))
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(mine), mine)
    length = b"Content-Length: %d\r\n" % len(mine)
    chunked = b"Transfer-Encoding: chunked\r\n"
    return dice.choice((
        Hostile("smuggled: length and chunks", (HEAD + length + chunked + b"\r\n" + chunks,)),
        Hostile("smuggled: chunks and length", (HEAD + chunked + length + b"\r\n" + chunks,)),
        Hostile("smuggled: two lengths", (HEAD + length + b"Content-Length: 1\r\n\r\n" + mine,)),
        Hostile("smuggled: the same length twice", (HEAD + length + length + b"\r\n" + mine,), is_ok=None),
        Hostile("smuggled: list of lengths", (HEAD + b"Content-Length: 1, 2\r\n\r\n" + mine,)),
        Hostile("smuggled: negative length", (HEAD + b"Content-Length: -1\r\n\r\n" + mine,)),
        Hostile("smuggled: length with a sign", (HEAD + b"Content-Length: +9\r\n\r\n" + mine,)),
        Hostile("smuggled: length beyond 64 bits", (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n" + mine,)),
        Hostile("smuggled: length in hexadecimal", (HEAD + b"Content-Length: 0x40\r\n\r\n" + mine,)),
        Hostile("smuggled: space before the colon", (HEAD + b"Content-Length : 2\r\n\r\n" + mine,)),
        Hostile("smuggled: unknown transfer", (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + chunks,)),
        Hostile("smuggled: folded transfer", (HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + chunks,), is_ok=None),
        Hostile("smuggled: chunk size too long", (HEAD + chunked + b"\r\nfffffffffffffffffff\r\n" + mine,)),
        Hostile("smuggled: negative chunk", (HEAD + chunked + b"\r\n-5\r\n" + mine,)),
        Hostile("smuggled: line feeds only", (HEAD.replace(b"\r", b"") + length.replace(b"\r", b"") + b"\n" + mine,), is_ok=None),
        Hostile("smuggled: a zero byte in a header", (HEAD + b"X: a\0b\r\n" + length + b"\r\n" + mine,)),
        Hostile("smuggled: a reply behind the length", (HEAD + b"Content-Length: 2\r\n\r\n{}" + inner,)),
        Hostile("smuggled: a reply within a header", (HEAD + b"X: y\r\nContent-Length: 2\r\n\r\n{}\r\n\r\n" + inner,)),
        Hostile("smuggled: a reply behind chunks", (HEAD + chunked + b"\r\n" + chunks + inner,), is_ok=True),
        Hostile("smuggled: a body of 204", (b"HTTP/1.1 204 No Content\r\n\r\n" + inner,)),
        Hostile("smuggled: a body of 304", (b"HTTP/1.1 304 Not Modified\r\n" + length + b"\r\n" + inner,)),
        Hostile("smuggled: another protocol", (b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + inner,)),
        Hostile("smuggled: a length in 100", (b"HTTP/1.1 100 X\r\nContent-Length: 9\r\n\r\n" + whole(mine),), is_ok=None),
    ))  # fmt: skip


def _late(number: str, other: str, dice: random.Random) -> Hostile:
    mine = whole(ok(number))
    at = dice.randrange(1, len(mine))
    return dice.choice((
        Hostile("late: after the read time-out", (PAUSE, mine)),
        Hostile("late: half after the read time-out", (mine[:at], PAUSE, mine[at:])),
        Hostile("late: byte by byte, too slow", tuple(part for one in mine for part in (bytes([one]), 0.2))),
        Hostile("late: byte by byte, in time", tuple(bytes([one]) for one in mine), is_ok=True),
        Hostile("late: a little", (0.1, mine), is_ok=True),
        Hostile("late: a kept-alive trickle", (b"HTTP/1.1 102 Processing\r\n\r\n", 0.5) * 12),
        Hostile("late: never", (8.0,)),
    ))  # fmt: skip


def _cut(number: str, other: str, dice: random.Random) -> Hostile:
    mine = whole(ok(number))
    then = dice.choice(("close", "reset"))
    return dice.choice((
        Hostile("cut: nothing", (), then=then),
        Hostile("cut: half", (mine[: dice.randrange(1, len(mine) - 1)],), then=then),
        Hostile("cut: half, chunked", (HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + ok(number)[:20],), then=then),
        Hostile("cut: behind the whole", (mine,), is_ok=None, then=then),
        Hostile("cut: half without a length", (HEAD + b"\r\n" + ok(number)[:20],), then="close"),
        Hostile("cut: whole without a length", (HEAD + b"\r\n" + ok(number),), is_ok=True, then="close"),
    ))  # fmt: skip


def _odd_json(number: str, other: str, dice: random.Random) -> Hostile:
    bodies = {
        "deep": b"[" * 60_000, "deep object": b'{"a":' * 10_000, "many keys": b"{" + b'"a":1,' * 9000 + b'"b":1}',
        "a huge number": b'{"stat": ' + b"9" * 50_000 + b"}", "a huge code": b'{"stat": "x", "stCode": 1' + b"0" * 400 + b"}",
        "UTF-16": ok(number).decode().encode("utf-16"), "NaN": b'{"stat": NaN}', "a list": b"[" + ok(number) + b"]",
        "half a letter": b'{"stat": "\\ud800"}', "no UTF-8": b'{"stat": "\xff"}', "two documents": ok(number) + ok(other),
        "Ok in a list": b'{"stat": ["Ok"]}', "Ok deeper": b'{"data": ' + ok(number) + b"}", "an Ok of another": ok(other),
        "true": b"true", "nothing": b"", "a page": b"<html>Ok</html>", "empty objects": b"[" + b"{}," * 20_000 + b"{}]",
    }  # fmt: skip
    name = dice.choice(list(bodies))
    return Hostile(f"JSON: {name}", (whole(bodies[name]),))


def _odd_http(number: str, other: str, dice: random.Random) -> Hostile:
    mine = ok(number)
    status = dice.choice((0, 99, 201, 299, 302, 400, 401, 404, 407, 418, 429, 500, 502, 503, 599, 600, 999, 1000))
    said = b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/\r\nRetry-After: 0\r\n" % status
    return dice.choice((
        Hostile(f"HTTP: status {status}", (said + b"Content-Length: %d\r\n\r\n" % len(mine) + mine,), is_ok=None),
        Hostile("HTTP: 0.9", (mine,), then="close"),
        Hostile("HTTP: version 3.7", (HEAD.replace(b"1.1", b"3.7") + b"\r\n" + mine,), is_ok=None, then="close"),
        Hostile("HTTP: another service", (b"SSH-2.0-OpenSSH_9.7\r\n",)),
        Hostile("HTTP: TLS", (b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + dice.randbytes(64),)),
        Hostile("HTTP: a hundred headers less two", (whole(mine, b"X: y\r\n" * 98),), is_ok=True),
        Hostile("HTTP: cookies", (whole(mine, b"Set-Cookie: a=b\r\n" * 20),), is_ok=True),
        Hostile("HTTP: after 103", (b"HTTP/1.1 103 Early Hints\r\n\r\n" + whole(mine),), is_ok=True),
    ))  # fmt: skip


def _quoting(number: str, other: str, dice: random.Random) -> Hostile:
    secret = dice.choice((SID, AUTH, AUTH.upper(), AUTH[:30], SID + AUTH))
    where = dice.choice(("emsg", "errMsg", "message", "stat", "stCode", "nOrdNo", "desc"))
    body = {
        "stat": "Not_Ok",
        "stCode": 1009,
        where: dice.choice((secret, f"token {secret} for {number}", "x" * 280 + secret)),
    }
    return Hostile(f"quoting: {where}", (whole(json.dumps(body).encode(), b"X: " + secret.encode() + b"\r\n"),))


def book(number: str, seed: int) -> bytes:
    """Make the body of a book that is read beside an order's cancel."""
    dice = random.Random(f"book {seed} {number}")
    row = {"nOrdNo": number, "ordSt": "open", "rejRsn": f"for {number} {AUTH}", "trdSym": SID, "updRecvTm": 1}
    size = dice.choice((10_000, 1_000_000, 8_000_000, 23_000_000, 60_000_000))
    one, start, end = number.encode(), b'{"stat":"Ok","data":[', b"]}"

    def made() -> bytes:
        return dice.choice((
            lambda: start + json.dumps(row).encode() + end,
            lambda: start + b"{}," * (size // 3) + json.dumps(row).encode() + end,
            lambda: start + b"1," * (size // 2) + b"1" + end,
            lambda: start + b"[" * size,
            lambda: start + (json.dumps(row).encode() + b",") * (size // 200) + json.dumps(row).encode() + end,
            lambda: start + json.dumps(row | {"ordSt": "x" * size}).encode() + end,
            lambda: start + json.dumps(row | {"nOrdNo": "1" * size}).encode() + end,
            lambda: start + json.dumps(row | {"rejRsn": "a " * (size // 2)}).encode() + end,
            lambda: start + b"9" * size + end,
            lambda: start + b"1              ," * (size // 16) + b"1" + end,
            lambda: start + b'{"nOrdNo":"%b","ordSt":"","qty":[' % one + b"[]             ," * (size // 16) + b"1]}]}",
            lambda: b'{"stat":"Ok",' + b'"0":{},' * (size // 7) + b'"data":[]}',
        ))()  # fmt: skip

    return made()


# ---------------------------------------------------------------------- the broker


class Broker:
    """Answers as the dice say. It runs in a process of its own, so that only the client's memory and loop are measured."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            while True:
                reply = await self._asked(reader)
                for part in reply.parts:
                    await self._send(writer, part)
                if reply.then != "keep":
                    break
        if not writer.is_closing():
            writer.transport.abort() if reply.then == "reset" else writer.close()

    async def _asked(self, reader: asyncio.StreamReader) -> Hostile:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if head.startswith("GET"):
            number = head.split(" ")[1].rpartition("/")[2]
            return Hostile("book", (whole(book(number, self._seed)),))
        length = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
        form = json.loads(parse_qs((await reader.readexactly(length)).decode())["jData"][0])
        return hostile(form["on"], self._seed)

    async def _send(self, writer: asyncio.StreamWriter, part: bytes | float | Iterator[bytes]) -> None:
        if isinstance(part, float):
            await asyncio.sleep(part)
        elif isinstance(part, bytes):
            writer.write(part)
            await writer.drain()
        else:
            for one in part:
                writer.write(one)
                await writer.drain()


async def _serve(seed: int, count: int) -> None:
    server = await asyncio.start_server(Broker(seed).serve, "127.0.0.1", 0)
    made = [hostile(number, seed) for number in numbers(count)]
    print(json.dumps([(one.what, one.is_ok) for one in made]))
    print(server.sockets[0].getsockname()[1], flush=True)
    with suppress(asyncio.CancelledError):
        await server.serve_forever()


def numbers(count: int) -> list[str]:
    return [str(FIRST + at) for at in range(count)]


@contextmanager
def running_brokers(seed: int, count: int) -> Iterator[tuple[tuple[str, str], Plan]]:
    """Start two brokers; answer their addresses and what they will send. To make that here would take memory that is measured.

    One is for books: while it makes one, cancels must not wait.
    """
    command = [sys.executable, "-m", "tests.fault.hostile_replies", "--serve", "--seed", str(seed)]
    with (
        _running([*command, "--count", str(count)]) as (address, made),
        _running([*command, "--count", "0"]) as (books, _),
    ):
        yield (address, books), dict(zip(numbers(count), map(tuple, made), strict=True))


@contextmanager
def _running(command: list[str]) -> Iterator[tuple[str, Any]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        try:
            assert child.stdout is not None
            made = json.loads(child.stdout.readline())
            yield f"http://127.0.0.1:{int(child.stdout.readline())}", made
        finally:
            child.kill()


# ---------------------------------------------------------------------- the judge


@dataclass(slots=True)
class Report:
    """What became of the calls. `wrong` are the findings; `missed` are good replies
    that did not arrive, because another one took their place or the connection ended: harmless, the order is looked at.
    Times and memory are measured, and judged by the reader:
    `blocked_ms` is how long the loop stood still, `computed_ms` how much of it was this process's own work.
    """

    calls: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    books: int = 0
    wrong: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    blocked_ms: list[float] = field(default_factory=list)
    computed_ms: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        shown = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("blocked_ms", "computed_ms"):
            times = sorted(shown[name]) or [0.0]
            over = sum(one > 100.0 for one in times)
            shown[name] = {"p99": times[-1 - len(times) // 100], "most": times[-1], "over 100": over, "of": len(times)}
        return shown | {"kinds": len(self.kinds), "ends": dict(self.ends.most_common()), "wrong": self.wrong[:20]}


class Judge:
    """Sends cancels and compares each verdict with what the dice gave for that order."""

    def __init__(self, addresses: tuple[str, str], plan: Plan, report: Report) -> None:
        self._session, self._books = (Session(address, SID, AUTH) for address in addresses)
        self._plan, self.report = plan, report

    async def cancel(self, client: KotakClient, number: str) -> None:
        what, is_ok = self._plan[number]
        about = {"order_number": number, "variety": "regular", "amo": False, "trading_symbol": None}
        self.report.calls += 1
        self.report.kinds[what] += 1
        try:
            reply = await client.cancel(self._session, **about)  # type: ignore[arg-type]
        except (MaybeSentError, NotSentError) as error:
            self.report.ends[f"{type(error).__name__} {error}"] += 1
            self.report.missed.update([str(error)] if is_ok else [])
            return
        verdict = judge(reply, codes=KOTAK, variety="regular", order_number=number)
        acknowledged = verdict.action is Action.ACKNOWLEDGED
        if verdict.action is Action.LOOK and is_ok:
            self.report.missed[str(verdict.text)[:24]] += 1
            return
        is_right = is_ok is None or is_ok == acknowledged
        self._end(f"{what} of {number}", str(verdict.action), is_right=is_right)
        told = f"{verdict.code} {verdict.text} {reply.order_number}"
        self._expect("for 26" not in told.replace(f"for {number}", ""), f"{what}: told of another order: {told}")
        self._expect(
            not any(secret in told.lower() for secret in (SID[:14], AUTH[:14].lower())), f"{what}: a secret: {told}"
        )

    async def read(self, client: KotakClient, number: str) -> None:
        self.report.books += 1
        try:
            page = await client.read_order(self._books, number)
        except (MaybeSentError, NotSentError):
            return
        for row in (page.rows or {}).values():
            self._expect(number == row.order_number, "a row of another order")
            self._expect(AUTH[:14] not in repr(row) and SID not in repr(row), "a secret in a row")

    def _end(self, what: str, end: str, *, is_right: bool) -> None:
        self.report.ends[end] += 1
        self._expect(is_right, f"{what}: {end}")

    def _expect(self, is_right: bool, finding: str) -> None:
        if not is_right:
            self.report.wrong.append(finding)


async def storm(addresses: tuple[str, str], plan: Plan, *, at_once: int = 32) -> Report:
    """Send all cancels of a plan, so many at once, to the first address; books are read at the second."""
    report, orders, client = Report(), iter(plan), KotakClient(BrokerTransport(), TIMEOUTS)
    desk = Judge(addresses, plan, report)

    async def work() -> None:
        for number in orders:
            await desk.cancel(client, number)
            if int(number) % 20 == 0:
                await desk.read(client, number)

    began, memory = time.monotonic(), _memory_mb()
    ticking = asyncio.create_task(_tick(report))
    await asyncio.gather(*[work() for _ in range(at_once)])
    ticking.cancel()
    await client.aclose()
    report.seconds, report.memory_mb = time.monotonic() - began, _memory_mb() - memory
    return report


async def _tick(report: Report) -> None:
    """Measure by how many milliseconds each of many short sleeps was too long, and how many of them this process computed."""
    while True:
        began, computed = time.perf_counter(), time.process_time()
        await asyncio.sleep(0.005)
        late = (time.perf_counter() - began - 0.005) * 1000
        report.blocked_ms.append(late)
        report.computed_ms.append(min(late, (time.process_time() - computed) * 1000))


def _memory_mb() -> float:
    """Answer the most memory that this process ever had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 if sys.platform == "linux" else 1024 * 1024)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault.hostile_replies", description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--serve", action="store_true", help="be the broker")
    given = parser.parse_args()
    if given.serve:
        uvloop.run(_serve(given.seed, given.count))
        return 0
    with running_brokers(given.seed, given.count) as (addresses, plan):
        sys.setswitchinterval(0.0003)  # as in a worker, like the next line
        gc.set_threshold(100_000, 50, 1000)
        report = uvloop.run(storm(addresses, plan, at_once=given.at_once))
    print(json.dumps(report.summary(), indent=1))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
