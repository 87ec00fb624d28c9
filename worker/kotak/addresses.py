"""The addresses of the broker's hosts: looked up once a minute, tried one after the other, the one that works first."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType]

__all__ = ["Addresses", "Resolve"]

_KEPT_SECONDS: Final = 60.0
_NEXT_SECONDS: Final = 0.25
_MOST: Final = 16

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
"""One answer of getaddrinfo."""
Resolve = Callable[[str, int], Awaitable[Sequence[AddressInfo]]]
"""Look up a host and a port. Raises OSError where the name is not found."""
_Host = tuple[str, int]


class Addresses:
    """Opens sockets to hosts. Use it from one event loop.

    Addresses of both families take turns, and the next one is tried after 0.25 s while the last one is still waited for
    (RFC 8305). An address that worked is tried first from then on, one that failed after it was connected last.
    """

    def __init__(self, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or _look_up
        self._found: dict[_Host, tuple[float, asyncio.Future[Sequence[AddressInfo]]]] = {}
        self._first: dict[_Host, tuple[Any, ...]] = {}
        self._last: dict[_Host, tuple[Any, ...]] = {}

    async def connect(self, host: str, port: int, seconds: float | None) -> socket.socket:
        """Open a socket to the first address that answers; each has so many seconds (None: no limit).

        Raises TimeoutError, or the OSError of the addresses.
        """
        name = host, port
        async with asyncio.timeout(seconds):
            found = await self._ordered(name)
        try:
            async with asyncio.timeout(None if seconds is None else seconds + _NEXT_SECONDS * (len(found) - 1)):
                opened = await start_connection(found, happy_eyeballs_delay=_NEXT_SECONDS)
        except OSError:
            self._found.pop(name, None)  # they may have moved
            raise
        self._first[name] = opened.getpeername()
        return opened

    def failed(self, host: str, port: int, address: tuple[Any, ...]) -> None:
        """Try an address last from now on: it took the connection, and then it was of no use."""
        self._last[host, port] = address
        self._first.pop((host, port), None)

    async def _ordered(self, name: _Host) -> list[AddressInfo]:
        found = (await self._looked_up(name))[:_MOST]
        if not found:
            raise OSError("no address")
        first, last = self._first.get(name), self._last.get(name)
        return sorted(found, key=lambda info: (info[4] == last) - (info[4] == first))

    async def _looked_up(self, name: _Host) -> Sequence[AddressInfo]:
        """Look a host up once a minute, not once for each of a burst of connections."""
        loop = asyncio.get_running_loop()
        expires_at, found = self._found.get(name, (0.0, None))
        if found is None or loop.time() >= expires_at:
            found = asyncio.ensure_future(self._resolve(*name))
            self._found[name] = loop.time() + _KEPT_SECONDS, found
        try:
            return await asyncio.shield(found)  # a caller that gives up must not end the look-up of the others
        except OSError:
            self._found.pop(name, None)
            raise


async def _look_up(host: str, port: int) -> Sequence[AddressInfo]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
