"""Where a call comes from, as the broker sees it."""

from aiohttp import web

__all__ = ["ip_of"]


def ip_of(request: web.Request) -> str:
    """Return the address in the header `X-Sandbox-IP`, else the peer's.

    On one machine, clients that bind to 127.0.0.2, 127.0.0.3 and so on come from different addresses.
    """
    return request.headers.get("X-Sandbox-IP") or request.remote or ""
