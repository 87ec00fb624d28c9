"""The shared rate, on a real server, between processes that know nothing of each other."""

import asyncio

import redis.asyncio

from worker.ledger.keys import pace_key
from worker.ledger.steps import Wanted, pace_call, slow_call

UCC = "AB123"


async def take(client, wanted, rate, lane):
    call = pace_call([Wanted(UCC, wanted, rate, lane == "risk")], ahead_us=0, now_us=0)
    _, (wait_us, *times) = await client.execute_command(*call.command)
    return len(times), int(wait_us) / 1e6


async def server_now(client):
    seconds, micros = await client.time()
    return seconds + micros / 1e6


async def connected(redis_url):
    client = redis.asyncio.Redis.from_url(redis_url)
    for call in (pace_call([], ahead_us=0, now_us=0), slow_call(UCC)):
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
    assert 0 < await client.ttl(pace_key(UCC)) <= 60
    await client.aclose()


async def test_a_rate_below_one_a_second_is_kept_too(redis_url):
    """Half an order a second is one order in two seconds."""
    client = await connected(redis_url)
    granted, _ = await take(client, 5, 0.5, "risk")
    denied, wait = await take(client, 5, 0.5, "risk")
    await client.aclose()
    assert (1, 0) == (granted, denied)
    assert 1.5 < wait <= 2.1


async def test_a_pause_that_the_broker_asked_for_holds_for_every_process(redis_url):
    """What one process heard keeps the others from sending, and ends by itself."""
    client = await connected(redis_url)
    await client.execute_command(*slow_call(UCC, pause_us=700_000).command)
    granted, wait = await take(client, 3, 8, "risk")
    assert (0, True) == (granted, 0.5 < wait <= 0.7)
    await asyncio.sleep(wait + 0.01)
    assert 0 < (await take(client, 3, 8, "risk"))[0]
    await client.aclose()


async def test_what_is_kept_of_an_account_goes_when_it_does_not_matter_any_more(redis_url):
    client = await connected(redis_url)
    await take(client, 1, 8, "routine")
    assert 0 < await client.pttl(pace_key(UCC)) <= 2_300
    await client.aclose()
