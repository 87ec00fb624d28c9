"""How the rate's own check judges, and its stand-in broker on real sockets. No time is asserted."""

import ast
import asyncio
import ssl
import sys
import time
from pathlib import Path

import httpx
import pytest
import trustme

from tests.rate import broker as broker_module
from tests.rate import wire
from tests.rate.broker import Counting, answer_for
from tests.rate.cells import PROCESSES, QUICK, TROUBLES, Account, runs
from tests.rate.judging import Send, judge
from tests.rate.wire import Listener

IMPORTS = (ast.Import, ast.ImportFrom)


def sends(*times: float) -> list[Send]:
    return [Send(at) for at in times]


@pytest.mark.parametrize(
    ("times", "rate", "verdict"),
    [
        ((0.0, 0.5, 1.0, 1.5), 2.5, "ok"),
        ((0.0, 0.4, 0.8), 2.5, "ABOVE"),
        ((0.0, 0.125, 0.9, 1.0), 4.99, "ok"),
        ((0.0, 1.0, 1.999), 1.0, "ABOVE"),
        ((0.0, 2.0), 0.5, "ok"),
        ((0.0, 1.9), 0.5, "ABOVE"),
        ((), 8.0, "NOT MEASURED"),
    ],
)
def test_the_whole_part_of_a_rate_may_be_sent_in_any_rolling_second(times, rate, verdict):
    """Below one a second, it is one send in several seconds."""
    assert verdict == judge(sends(*times), rate).verdict


def test_from_two_seconds_after_a_change_the_new_rate_counts():
    """Until then any process may not have seen it; before and after are two accounts, as it were."""
    assert "ok" == judge(sends(0.0, 0.5, 1.0, 1.5), 2, changed_at=0.0, new_rate=1).verdict
    assert "ABOVE" == judge(sends(0.0, 2.1, 2.6), 2, changed_at=0.0, new_rate=1).verdict
    assert "ABOVE" == judge(sends(0.0, 0.1, 0.2), 2, changed_at=5.0, new_rate=1).verdict


def test_of_two_rates_the_one_that_was_kept_worse_is_reported():
    figures = judge(sends(0.0, 0.1, 3.0, 3.1, 3.2), 4, changed_at=0.5, new_rate=2)
    assert (3, 2) == (figures.busiest, figures.most)


@pytest.mark.parametrize(("at", "in_pause"), [(1.04, 0), (1.06, 1), (2.9, 1), (3.1, 0)])
def test_a_send_within_a_retry_after_is_counted_once_the_answer_can_have_been_heard(at, in_pause):
    complained = Send(0.9, begun_at=1.0, left_at=1.0, pause_seconds=2.0)
    assert in_pause == judge([complained, complained, Send(at)], 8).in_pause


def test_an_account_that_only_paused_wrongly_is_not_ok():
    assert "IN A PAUSE" == judge([Send(0.0, begun_at=0.0, left_at=0.0, pause_seconds=2.0), Send(1.5)], 8).verdict


def test_the_sample_has_every_trouble_and_is_a_part_of_the_grid():
    assert set(TROUBLES) == {run.trouble for run in QUICK}
    assert set(QUICK) <= set(runs(TROUBLES, PROCESSES))


def test_accounts_of_different_cells_have_different_names():
    assert ["R02500D060", "R20000D000"] == [Account(2.5, 60).ucc, Account(20, 0).ucc]


@pytest.mark.parametrize(
    ("trouble", "answers"),
    [
        ("plain", {(200, 0.0)}),
        ("complaints", {(200, 0.0), (429, 0.0)}),
        ("retry_after", {(200, 0.0), (429, 2.0)}),
        ("kill", {(200, 0.0)}),
    ],
)
def test_only_the_troubles_of_a_broker_change_its_answers(trouble, answers):
    assert answers == {answer_for(trouble, number) for number in range(20)}


@pytest.mark.parametrize("module", [broker_module, wire])
def test_the_stand_in_shares_nothing_with_the_workers_that_it_judges(module):
    imports = [node for node in ast.walk(ast.parse(Path(module.__file__).read_text())) if isinstance(node, IMPORTS)]
    named = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert {"asyncio", "ssl"} <= named
    assert set() == {name for name in named if name.partition(".")[0] in ("neo_cancel", "worker", "config")}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
async def broker(request, authority):
    """A stand-in that complains, and a client that trusts it."""
    counting = Counting("retry_after")
    tls = None
    if request.param:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
    listener = Listener(counting.receive, delay_seconds=0.0, tls=tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.port}/AB123/"
    async with httpx.AsyncClient(base_url=url, verify=trust) as client:
        yield client, counting
    listener.close()


async def test_the_stand_in_notes_each_call_with_its_answer(broker):
    client, counting = broker
    replies = [await client.post("quick/order/cancel", content=b"jData=%7B%7D") for _ in range(5)]
    assert [200, 200, 200, 429, 200] == [reply.status_code for reply in replies]
    assert [None, None, None, "2", None] == [reply.headers.get("retry-after") for reply in replies]
    assert [("AB123", 0.0), ("AB123", 2.0)] == [(entry[0], entry[4]) for entry in counting.journal[2:4]]
    assert all(at < begun_at < left_at for _, at, begun_at, left_at, _ in counting.journal)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when the bytes of a stream came in")
@pytest.mark.parametrize("broker", [False], indirect=True)
async def test_a_call_came_when_it_came_and_not_when_a_busy_stand_in_read_it(broker):
    client, counting = broker
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    await asyncio.sleep(0.05)  # accepted
    writer.write(b"POST /AB123/x HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
    time.sleep(0.05)
    awake_at = time.monotonic()
    await reader.readuntil(b"\r\n")
    writer.close()
    await writer.wait_closed()
    assert counting.journal[0][1] < awake_at


async def test_the_stand_in_closes_every_connection_after_four_calls(broker):
    """So that new ones are made all the time: it is their making that brought accounts above their rate."""
    client, _ = broker
    closed = [(await client.post("x", content=b"a")).headers.get("connection") for _ in range(8)]
    assert [None, None, None, "close"] * 2 == closed
