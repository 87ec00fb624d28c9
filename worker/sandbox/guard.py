"""What every handler of the control API has: JSON out, and 400 for input that does not fit."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import orjson
from aiohttp import web

from worker.sandbox.book import Account, Book
from worker.sandbox.form import InputError

__all__ = ["Control", "account_of", "control_routes"]


Control = Callable[[web.Request], Awaitable[Any]]


def control_routes(table: Iterable[tuple[str, str, Control]]) -> list[web.RouteDef]:
    """Return the routes of a table of method, path below /_sandbox/, and handler."""
    return [web.route(method, f"/_sandbox/{path}", _guarded(handle)) for method, path, handle in table]


def account_of(book: Book, ucc: str) -> Account:
    """Return the account; raises InputError where there is none."""
    account = book.accounts.get(ucc)
    if account is None:
        raise InputError("ucc", ucc, "must be an account of the sandbox")
    return account


def _guarded(handle: Control) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            payload, status = await handle(request), 200
        except InputError as error:
            payload, status = error.as_json(), 400
        return web.Response(body=orjson.dumps(payload), status=status, content_type="application/json")

    return guarded
