"""Long order books are read one after the other, in a thread, so that neither the event loop nor memory suffers."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["LongBooks", "TooManyLongBooksError"]

_MOST_BYTES: Final = 96 * 1024 * 1024

_Page = TypeVar("_Page")


class TooManyLongBooksError(Exception):
    """So many long books wait to be read that there is no memory for another."""


class LongBooks:
    """The long books of one process that wait to be read. Two at once would keep the loop from the interpreter for longer."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._bytes = 0

    async def read(self, size: int, read: Callable[[], _Page]) -> _Page:
        """Call `read` in a thread when it is its turn. Raises TooManyLongBooksError where others of this size wait."""
        if self._bytes + size > _MOST_BYTES:
            raise TooManyLongBooksError
        self._bytes += size
        try:
            async with self._turn:
                return await asyncio.to_thread(read)
        finally:
            self._bytes -= size
