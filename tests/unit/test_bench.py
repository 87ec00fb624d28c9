"""The benchmark's own arithmetic, and its stand-in for the broker on a real socket. No time is asserted."""

import asyncio
import json

import aiohttp
import pytest

from tests.benchmarks.arithmetic import busiest_account, busiest_second, latencies, percentile, share_of_busier
from tests.benchmarks.batch import Batch
from tests.benchmarks.lines import RATIOS, Line
from tests.benchmarks.results import Results, Value
from tests.benchmarks.standin import Market, serve


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5], 99, 5),
        ([4, 1, 3, 2], 50, 2),
        (range(1, 101), 99, 99),
        (range(1, 102), 99, 100),
        ([1, 2], 100, 2),
        ([1, 2], 0, 1),
    ],
)
def test_a_percentile_is_a_value_that_occurred(values, percent, expected):
    assert expected == percentile(values, percent)


def test_there_is_no_percentile_of_nothing():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("times", "expected"),
    [([], 0), ([3.0], 1), ([0.0, 0.999], 2), ([0.0, 1.0], 1), ([0.0, 0.5, 1.0, 1.4], 3), ([1.9, 0.0, 1.1, 2.05], 3)],
)
def test_the_busiest_second_rolls_and_is_open_at_its_end(times, expected):
    assert expected == busiest_second(times)


def test_seconds_of_two_accounts_are_not_added_up():
    orders = [("A000", "1"), ("A000", "2"), ("A001", "3"), ("A001", "4")]
    assert 2 == busiest_account(orders, {"1": [0.0], "2": [0.5], "3": [0.1, 5.0]})


def test_the_busier_process_is_the_one_that_sent_more_over_all_accounts():
    assert 0.7 == share_of_busier({"A000.0": 1, "A000.1": 3, "A001.0": 2, "A001.1": 4})


def test_a_latency_ends_with_the_first_arrival_and_needs_one():
    assert [0.5] == latencies({"1": 10.0, "2": 10.0}, {"1": [10.5, 11.0]})


def test_a_ratio_is_taken_within_each_round_and_its_median_reported():
    results = Results([{"a": 10, "b": 5}, {"a": 30, "b": 10}, {"a": 9, "b": 9}, {"a": 1}, {"a": 1, "b": 0}])
    assert Value(middle=2, lowest=1, highest=3, rounds=3) == results.value(lambda figures: figures["a"] / figures["b"])


def test_what_was_never_measured_has_no_value():
    assert [None] * len(RATIOS) == [Results([{}]).value(line.figure) for line in RATIOS]


@pytest.mark.parametrize(
    ("asked", "at_most", "value", "kept"),
    [(None, False, 1, None), (2, False, 2, True), (2, False, 1.9, False), (2, True, 2, True), (2, True, 2.1, False)],
)
def test_a_line_says_whether_it_is_kept(asked, at_most, value, kept):
    assert kept is Line("", lambda _: value, asked, at_most=at_most).is_kept(value)


def test_a_batch_made_again_from_its_json_is_the_same_and_shares_no_order_with_the_next():
    batch = Batch("A", 3, 0, 10)
    assert batch.orders == Batch(**json.loads(json.dumps(batch.to_json()))).orders
    assert {"A000", "A001", "A002"} == {ucc for ucc, _ in batch.orders}
    assert set() == set(batch.numbers) & set(Batch("A", 3, 10, 10).numbers)


@pytest.fixture
async def broker():
    market = Market()
    server = await serve(market)
    port = server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client, port, market
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("path", ["cancel", "bo/exit", "co/exit"])
async def test_a_cancel_is_acknowledged_and_then_stands_in_the_book(broker, path):
    client, _, _ = broker
    number = "251015000123456"
    async with client.post(
        f"/AB123/quick/order/{path}", data={"jData": json.dumps({"on": number, "am": "NO"})}
    ) as reply:
        assert {"nOrdNo": number, "stat": "Ok", "stCode": 200} == await reply.json()
    for book in ("orders", f"orders/{number}"):
        async with client.get(f"/AB123/quick/user/{book}") as reply:
            said = await reply.json()
        assert [(number, "cancelled")] == [(row["nOrdNo"], row["ordSt"]) for row in said["data"]]
    async with client.get("/control/accounts") as reply:
        assert {"AB123": 1} == await reply.json()
    async with client.get("/control/arrivals") as reply:
        assert {number: 1} == {name: len(times) for name, times in (await reply.json()).items()}


async def test_another_account_sees_no_order(broker):
    client, _, _ = broker
    async with client.get("/CD456/quick/user/orders") as reply:
        assert (200, 5203) == (reply.status, (await reply.json())["stCode"])


async def test_a_request_in_pieces_and_two_in_one_piece_are_all_answered(broker):
    _, port, market = broker
    body = b"jData=%7B%22on%22%3A%222510150001234%02d%22%7D"
    head = b"POST /AB123/quick/order/cancel HTTP/1.1\r\nHost: x\r\nContent-Length: 44\r\n\r\n"
    first, second, third = (head + body.replace(b"%02d", b"%d" % at) for at in (11, 12, 13))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in (first[:30], first[30:90], first[90:] + second + third[:-1], third[-1:]):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    answers = [await reader.readuntil(b"}") for _ in range(3)]
    assert [b'"stat":"Ok"' in answer for answer in answers] == [True] * 3
    assert ["251015000123411", "251015000123412", "251015000123413"] == list(market.arrivals)
    writer.close()
    await writer.wait_closed()
