"""Waiters outlive a restart of the server; Ctrl-C ends a wait."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from neo_cancel import (
    AsyncCancelProducer,
    CancelOrder,
    CancelProducer,
    LedgerUnavailableError,
    Status,
    UnknownOrderError,
)

ORDERS = [CancelOrder(ucc="AB123", order_number=f"25101500012345{n}") for n in range(3)]


def restart(server: Any, settle: Callable[..., Any], url: str) -> None:
    """Take the server away for longer than any single read lasts, then settle what was waited for."""
    server.stop()
    time.sleep(1.5)
    server.start()
    for order in ORDERS:
        settle(url)(f"AB123:{order.order_number}")


def test_waits_without_time_out_survive_a_restart(own_server, settle):
    url = f"redis://127.0.0.1:{own_server.port}/0"
    with CancelProducer(redis_url=url) as producer, ThreadPoolExecutor() as pool:
        bulk = producer.enqueue_many(ORDERS)
        one = pool.submit(producer.order(ORDERS[0].ucc, ORDERS[0].order_number).wait)
        all_of_them = pool.submit(bulk.wait)
        heard = pool.submit(lambda: next(producer.events(timeout_seconds=60)))
        time.sleep(0.7)
        restart(own_server, settle, url)
        assert Status.CANCELLED == one.result(20).status
        assert all_of_them.result(20).is_complete
        assert heard.result(20).is_final


async def test_async_waits_survive_a_restart(own_server, settle):
    url = f"redis://127.0.0.1:{own_server.port}/0"
    async with AsyncCancelProducer(redis_url=url) as producer:
        bulk = await producer.enqueue_many(ORDERS)
        thread = threading.Timer(0.7, restart, (own_server, settle, url))
        thread.start()
        assert (await bulk.wait()).is_complete
        thread.join()


def test_a_wait_with_time_out_ends_while_the_server_is_away(own_server):
    url = f"redis://127.0.0.1:{own_server.port}/0"
    with CancelProducer(redis_url=url) as producer:
        handle = producer.enqueue(ORDERS[0])
        threading.Timer(0.5, own_server.stop).start()
        began = time.monotonic()
        with pytest.raises(LedgerUnavailableError):
            handle.wait(2)
        assert time.monotonic() - began < 5


def test_a_wait_ends_when_the_server_lost_the_order(own_server):
    """A sweep finds what no event names."""
    url = f"redis://127.0.0.1:{own_server.port}/0"
    with CancelProducer(redis_url=url) as producer, ThreadPoolExecutor() as pool:
        waiting = pool.submit(producer.enqueue(ORDERS[0]).wait)
        time.sleep(0.3)
        with redis.Redis.from_url(url) as client:
            client.flushall()
        with pytest.raises(UnknownOrderError):
            waiting.result(20)


def test_ctrl_c_ends_a_wait(redis_url):
    code = (
        "from neo_cancel import CancelOrder, CancelProducer\n"
        f"handle = CancelProducer(redis_url='{redis_url}')"
        ".enqueue(CancelOrder(ucc='AB123', order_number='251015000123456'))\n"
        "print('waiting', flush=True)\n"
        "handle.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"waiting\n" == process.stdout.readline()
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=5)
    assert b"KeyboardInterrupt" in errors
