"""How a call is carried out and its reply leaves, under the faults ordered for it."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from aiohttp import web

from worker.sandbox.book import Book
from worker.sandbox.exchange import Effect
from worker.sandbox.faults import (
    AckOnly,
    Alter,
    AnyFault,
    CancelBefore,
    CancelPending,
    CannedReply,
    Delay,
    FaultBook,
    FillBefore,
    PresetReply,
    RateLimit,
    RefuseLate,
    Reset,
    Stall,
    Truncate,
)
from worker.sandbox.journal import Call
from worker.sandbox.presets import PRESETS
from worker.sandbox.reply import Reply

__all__ = ["Act", "Delivery", "answer"]


Act = Callable[[Effect], Reply]

_NORMAL = Effect()
_NO_EFFECT = Effect("none")


def answer(call: Call, reply: Reply) -> web.Response:
    """Return the reply as a response, noted in the journal."""
    call.status, call.st_code = reply.status, reply.code
    return web.Response(
        body=reply.body, status=reply.status, headers={"Content-Type": reply.content_type, **reply.headers}
    )


class Delivery:
    """Lets a call meet its faults."""

    def __init__(self, book: Book, faults: FaultBook) -> None:
        self._book = book
        self._faults = faults

    async def perform(self, request: web.Request, call: Call, act: Act) -> web.StreamResponse:
        """Carry the call out, at most once, and answer it as its faults have it."""
        if not self._faults.rules:
            return answer(call, act(_NORMAL))
        for fault in self._faults.draw(call):
            call.faults.append(fault.fault)
            if isinstance(fault, Delay):
                await asyncio.sleep(fault.seconds)
            elif isinstance(fault, FillBefore | CancelBefore):
                self._change(call, fault)
            else:
                return await _under(fault, request, call, act)
        return answer(call, act(_NORMAL))

    def _change(self, call: Call, fault: FillBefore | CancelBefore) -> None:
        account = self._book.accounts.get(call.ucc or "")
        order = account.orders.get(call.order_number or "") if account else None
        if order is None or order.standing not in {"working", "cancelling"}:
            return
        if isinstance(fault, FillBefore):
            order.fill(fault.quantity)
        else:
            order.move("cancelled")


async def _under(fault: AnyFault, request: web.Request, call: Call, act: Act) -> web.StreamResponse:
    match fault:
        case Reset() | Stall():
            return await _silence(fault, request, act)
        case Truncate():
            return await _half(request, call, act(_NORMAL if fault.after_effect else _NO_EFFECT))
        case _:
            return answer(call, _reply_under(fault, act))


def _reply_under(fault: AnyFault, act: Act) -> Reply:
    match fault:
        case AckOnly():
            return act(_NO_EFFECT)
        case RefuseLate():
            return act(Effect("refuse", fault.seconds, fault.reason))
        case CancelPending():
            return act(Effect("cancel", fault.seconds))
        case Alter():
            return fault.altered(act(_NORMAL))
        case PresetReply() if PRESETS[fault.preset].retypes_real_reply:
            return fault.retyped(act(_NORMAL))
        case CannedReply() | PresetReply() | RateLimit():
            if fault.after_effect:
                act(_NORMAL)
            return fault.reply()
        case _:
            raise AssertionError(f"{fault.fault} orders no reply")


async def _silence(fault: Reset | Stall, request: web.Request, act: Act) -> web.StreamResponse:
    if fault.after_effect:
        act(_NORMAL)
    if isinstance(fault, Reset):
        _reset(request)
    else:
        await asyncio.sleep(fault.seconds)
        _close(request)
    # Never sent: the connection is gone.
    return web.Response()


async def _half(request: web.Request, call: Call, reply: Reply) -> web.StreamResponse:
    call.status, call.st_code = reply.status, reply.code
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    response.content_length = len(reply.body)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
    _close(request)
    return response


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        # Linger zero makes the close a TCP reset instead of an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
