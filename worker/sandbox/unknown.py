"""What the sandbox answers where it has no route: JSON, as for every other call."""

from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

__all__ = ["answer_in_json"]

_ERRORS_FROM = 400


@web.middleware
async def answer_in_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Write the server's own errors (no such path, no such method, a body that is too large) as the broker would."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < _ERRORS_FROM:
            raise
        payload = {
            "stat": "Not_Ok",
            "stCode": error.status,
            "errMsg": f"{error.reason}: {request.method} {request.path}",
        }
        allowed = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return web.Response(
            body=orjson.dumps(payload), status=error.status, headers=allowed, content_type="application/json"
        )
