"""The shared rate, on a real server, between processes that know nothing of each other."""

import asyncio

import redis.asyncio

from worker.ledger.keys import risk_waits_key, slow_key
from worker.ledger.steps import pace_call, slow_call

UCC = "AB123"


async def take(client, wanted, rate, lane):
    call = pace_call(UCC, wanted=wanted, rate=rate, is_risk=lane == "risk")
    granted, wait_us = await client.execute_command(*call.command)
    return granted, wait_us / 1e6


async def server_now(client):
    seconds, micros = await client.time()
    return seconds + micros / 1e6


async def connected(redis_url):
    client = redis.asyncio.Redis.from_url(redis_url)
    for call in (pace_call(UCC, wanted=1, rate=1, is_risk=True), slow_call(UCC)):
        await client.script_load(call.script.text)
    return client


def busiest_second(times):
    """The most sends in any rolling second."""
    return max(sum(start <= at < start + 1.0 for at in times) for start in times)


async def test_no_rolling_second_holds_more_than_the_rate(redis_url):
    """Four takers, routine and risk mixed, each asking as soon as it is worth asking."""
    client, rate, times = await connected(redis_url), 20, []

    async def taker(lane, until):
        while await server_now(client) < until:
            granted, wait = await take(client, 3, rate, lane)
            now = await server_now(client)
            times.extend([now] * granted)
            await asyncio.sleep(wait)

    until = await server_now(client) + 3
    await asyncio.gather(*(taker(lane, until) for lane in ("routine", "risk", "routine", "risk")))
    await client.aclose()
    assert busiest_second(times) <= rate
    assert len(times) > rate  # and it does grant


async def test_a_waiting_risk_order_keeps_routine_orders_away(redis_url):
    """Denied once, the risk lane has the next grant, in whatever process."""
    client = await connected(redis_url)
    while (await take(client, 8, 8, "risk"))[0]:
        pass
    granted, _ = await take(client, 1, 8, "routine")
    assert 0 == granted
    assert 1 == await client.exists(risk_waits_key(UCC))
    await client.aclose()


async def test_risk_orders_may_follow_each_other_at_once_routine_orders_are_spaced(redis_url):
    """A risk event spends what the second has left; a routine bulk leaves room in it."""
    client = await connected(redis_url)
    assert 1 == (await take(client, 8, 8, "routine"))[0]
    assert 7 == (await take(client, 8, 8, "risk"))[0]
    await client.aclose()


async def test_a_complaint_halves_the_rate_once_for_one_burst_and_it_recovers(redis_url):
    """Multiplicative decrease, additive increase; several complaints of one burst count once."""
    client = await connected(redis_url)
    slow = slow_call(UCC).command
    assert 50 == await client.execute_command(*slow)
    assert 50 <= await client.execute_command(*slow) <= 55
    assert 4 == (await take(client, 8, 8, "risk"))[0]
    assert 0 < await client.ttl(slow_key(UCC)) <= 60
    await client.aclose()


async def test_a_rate_below_one_a_second_is_kept_too(redis_url):
    """Half an order a second is one order in two seconds."""
    client = await connected(redis_url)
    granted, _ = await take(client, 5, 0.5, "risk")
    denied, wait = await take(client, 5, 0.5, "risk")
    await client.aclose()
    assert (1, 0) == (granted, denied)
    assert 1.5 < wait <= 2.1
