"""A stand-in for the broker, written for speed: `python -m tests.benchmarks.standin` prints {"port": ...} and serves.

Every cancel succeeds at once. The base URL of an account is http://127.0.0.1:PORT/ACCOUNT. Nothing is checked that a real
broker checks: how the broker refuses is the sandbox's business.
"""

import asyncio
import re
import sys
import time
from typing import Final

import orjson
import uvloop

__all__ = ["Market", "serve"]

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NUMBER: Final = re.compile(rb"%22on%22%3A(?:\+|%20)?%22(\d+)")
_CANCELS: Final = (b"/quick/order/cancel", b"/quick/order/bo/exit", b"/quick/order/co/exit")
_BOOK: Final = b"/quick/user/orders"
_ROW: Final = (
    b'{"nOrdNo":"%s","ordSt":"cancelled","stat":"open","actId":"%s","prod":"NRML","exSeg":"nse_cm","trdSym":"TCS-EQ",'
    b'"sym":"TCS","trnsTp":"B","qty":10,"fldQty":0,"unFldSz":0,"cnlQty":10,"prc":"3500.05","prcTp":"L","trgPrc":"0.00",'
    b'"vldt":"DAY","ordGenTp":"--","ordSrc":"NEOTRADEAPI","rejRsn":"--","GuiOrdId":"1715069600-1",'
    b'"ordDtTm":"15-Oct-2026 09:30:00","exCfmTm":"15-Oct-2026 09:30:00","updRecvTm":%d}'
)
_ANSWER: Final = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


def _ok(body: bytes) -> bytes:
    return _ANSWER % (b"200 OK", len(body), body)


_NO_DATA: Final = _ok(b'{"stat":"Not_Ok","errMsg":"No Data","stCode":5203}')
_BAD_BODY: Final = _ok(b'{"stat":"Not_Ok","emsg":"body invalid","stCode":1007}')
_NOT_HERE: Final = _ANSWER % (b"404 Not Found", 2, b"{}")


class Market:
    """What was cancelled, and when each cancel arrived by this host's monotonic clock."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[float]] = {}
        self._rows: dict[bytes, dict[bytes, bytes]] = {}

    def answer(self, head: bytes, body: bytes, at: float) -> bytes:
        """Answer one request whose first byte came at `at`."""
        method, path, _ = head.split(b" ", 2)
        account, slash, rest = path[1:].partition(b"/")
        rest = slash + rest
        if method == b"POST" and rest in _CANCELS:
            return self._cancel(account, body, at)
        if method == b"GET" and rest.startswith(_BOOK):
            return self._book(account, rest[len(_BOOK) + 1 :])
        if account == b"control":
            return self._control(method, rest)
        return _NOT_HERE

    def _cancel(self, account: bytes, body: bytes, at: float) -> bytes:
        found = _NUMBER.search(body)
        if found is None:
            return _BAD_BODY
        number = found[1]
        self.arrivals.setdefault(number.decode(), []).append(at)
        # The row is written when somebody reads it: who does not verify does not pay for it.
        self._rows.setdefault(account, {}).setdefault(number, b"")
        return _ok(b'{"nOrdNo":"%s","stat":"Ok","stCode":200}' % number)

    def _book(self, account: bytes, number: bytes) -> bytes:
        rows = self._rows.get(account, {})
        wanted = rows if not number else [number] if number in rows else []
        for one in wanted:
            rows[one] = rows[one] or _ROW % (one, account, time.time_ns())
        if not wanted:
            return _NO_DATA
        return _ok(b'{"stat":"Ok","data":[%s]}' % b",".join([rows[one] for one in wanted]))

    def _control(self, method: bytes, what: bytes) -> bytes:
        if method == b"POST" and what == b"/reset":
            self.__init__()  # type: ignore[misc]
            return _ok(b"{}")
        if what == b"/count":
            return _ok(b'{"count":%d}' % len(self.arrivals))
        if what == b"/arrivals":
            return _ok(orjson.dumps(self.arrivals))
        if what == b"/accounts":
            return _ok(orjson.dumps({account.decode(): len(rows) for account, rows in self._rows.items()}))
        return _NOT_HERE


class _Connection(asyncio.Protocol):
    def __init__(self, market: Market) -> None:
        self._market = market
        self._left = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._left:
            self._began = time.monotonic()
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            head = self._left[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._left) < whole:
                return
            body, self._left = self._left[end + 4 : whole], self._left[whole:]
            self._transport.write(self._market.answer(head, body, self._began))  # type: ignore[attr-defined]
            self._began = time.monotonic()


async def serve(market: Market) -> asyncio.Server:
    """Listen on a free port of loopback."""
    return await asyncio.get_running_loop().create_server(lambda: _Connection(market), "127.0.0.1", 0, backlog=512)


async def _run() -> None:
    server = await serve(Market())
    sys.stdout.write(f'{{"port": {server.sockets[0].getsockname()[1]}}}\n')
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_run())
