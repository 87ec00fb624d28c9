"""Long books share a thread and a bounded memory."""

import asyncio
import threading

import httpx
import pytest

from tests.unit.test_broker_transport import Broker, talking_to, whole
from worker.kotak.long_books import LongBooks, TooManyLongBooksError
from worker.kotak.reply_parts import MOST_BYTES_AT_ONCE

MEGABYTE = 1024 * 1024


async def test_long_books_are_read_one_after_the_other_away_from_the_loop():
    books, at_work, most = LongBooks(), [], []

    def read():
        at_work.append(threading.current_thread())
        most.append(len(at_work))
        return at_work.pop()

    threads = await asyncio.gather(*[books.read(MEGABYTE, read) for _ in range(20)])
    assert {1} == set(most)
    assert threading.main_thread() not in threads


async def test_a_book_for_which_there_is_no_memory_is_not_read():
    """The others are, and then there is memory again."""
    books, go_on = LongBooks(), threading.Event()
    waiting = [asyncio.create_task(books.read(30 * MEGABYTE, go_on.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyLongBooksError):
        await books.read(30 * MEGABYTE, go_on.wait)
    go_on.set()
    assert [True] * 4 == [*await asyncio.gather(*waiting), await books.read(30 * MEGABYTE, go_on.wait)]


async def test_the_room_for_long_replies_is_given_back():
    """Whether the reply was whole or was cut."""
    long = whole(b"." * MEGABYTE)
    broker = Broker(long, [long[0][: MEGABYTE // 2]], None, long)
    async with talking_to(broker) as send:
        room = send.room
        await send(most_bytes=2 * MEGABYTE)
        with pytest.raises(httpx.ReadError):
            await send(most_bytes=2 * MEGABYTE)
    assert MOST_BYTES_AT_ONCE == room.bytes_left


async def test_a_long_reply_without_room_is_refused_and_a_short_one_is_not():
    broker = Broker(whole(b"." * MEGABYTE), whole())
    async with talking_to(broker) as send:
        send.room.bytes_left = MEGABYTE // 2
        with pytest.raises(httpx.RemoteProtocolError, match="too many long replies at once"):
            await send(most_bytes=2 * MEGABYTE)
        assert (MEGABYTE // 2, 200) == (send.room.bytes_left, (await send()).status_code)
