"""Orders go back into their queues, and those that cannot are ended or become dead letters."""

import json

import pytest

from neo_cancel import Status
from tests.unit.ledger_fakes import name, number, order
from worker.ledger.keys import DEAD_LETTERS, ROUTINE_QUEUED, WATCH, held_key, named_key
from worker.ledger.requeuer import NO_OWNER, Requeuer
from worker.ledger.unreadable import Unreadable
from worker.ledger.watch_policy import WatchPolicy
from worker.observe.events import PoisonRemoved, Refused


@pytest.fixture
def requeuer(worker):
    watch_policy = WatchPolicy(lambda _, status: status != "refused", interval_seconds=60.0)
    unreadable = Unreadable(worker.client, ttl_seconds=600, publish=worker.events.append)
    return Requeuer(worker.client, watch_policy, unreadable, ttl_seconds=600, publish=worker.events.append)


async def claimed(worker, redis, *lasts, crashes=0):
    """Enqueue and claim orders that so many deaths point at already; their message has been read."""
    await worker.enqueue(*(order(last) for last in lasts))
    await redis.delete("routine")
    await worker.claim(*lasts, at_most=500)
    for last in lasts:
        await rewrite(redis, last, 5, str(crashes))


async def rewrite(redis, last, word, value):
    words = (await redis.get(named_key(name(last)))).split(b" ", 6)
    words[word] = value.encode()
    await redis.set(named_key(name(last)), b" ".join(words))


async def queue(redis):
    """Read the routine queue from its front: the order numbers in each message."""
    messages = [json.loads(message) for message in reversed(await redis.lrange("routine", 0, -1))]
    return [[wire["order_number"] for wire in json.loads(message["body"])[0][0]["orders"]] for message in messages]


async def test_nothing_is_asked_for_no_order(requeuer):
    assert 0 == await requeuer.requeue("w1", [], why="died")


async def test_orders_of_a_dead_worker_go_back_in_one_message_and_may_have_been_sent(worker, redis, requeuer):
    await claimed(worker, redis, 1, 2)
    assert 2 == await requeuer.requeue(worker.id, [name(1), name(2)], why="died")
    assert [[number(1), number(2)]] == await queue(redis)
    record = await worker.record()
    assert (Status.QUEUED, None, True, 0) == (record.status, record.owner, record.maybe_sent, record.crashes)
    assert [] == await worker.names(held_key(worker.id))


async def test_called_twice_it_moves_nothing_more(worker, redis, requeuer):
    await claimed(worker, redis, 1)
    await requeuer.requeue(worker.id, [name(1)], why="died")
    assert 0 == await requeuer.requeue(worker.id, [name(1)], why="died")
    assert 1 == await redis.llen("routine")


async def test_a_message_carries_no_more_than_a_chunk(worker, redis, requeuer):
    await claimed(worker, redis, *range(120))
    assert 120 == await requeuer.requeue(worker.id, [name(last) for last in range(120)], why="died")
    assert [20, 50, 50] == sorted(len(numbers) for numbers in await queue(redis))


async def test_suspects_go_behind_the_others_that_are_put_back_with_them(worker, redis, requeuer):
    await claimed(worker, redis, 1, 2)
    await requeuer.requeue(worker.id, [name(1), name(2)], why="died", suspects=1)
    assert [[number(2)], [number(1)]] == await queue(redis)
    assert [1, 0] == [(await worker.record(last)).crashes for last in (1, 2)]


async def test_an_order_that_two_deaths_point_at_comes_back_alone_and_last(worker, redis, requeuer):
    await claimed(worker, redis, 1, 2, crashes=1)
    await claimed(worker, redis, 3)
    await requeuer.requeue(worker.id, [name(1), name(2), name(3)], why="died", suspects=2)
    front, *alone = await queue(redis)
    assert ([number(3)], [[number(1)], [number(2)]]) == (front, sorted(alone))


async def test_an_order_that_three_deaths_point_at_ends_unknown_and_is_a_dead_letter_and_is_watched(
    worker, redis, requeuer
):
    await claimed(worker, redis, 1, crashes=2)
    assert 0 == await requeuer.requeue(worker.id, [name(1)], why="died", suspects=1)
    record = await worker.record()
    assert (Status.UNKNOWN, 3, True) == (record.status, record.crashes, record.maybe_sent)
    assert "dead letter: 3 workers died when they took it" == record.text
    letter = json.loads(await redis.lindex(DEAD_LETTERS, 0))
    assert (record.text, number(1)) == (letter["reason"], json.loads(letter["message"])["order_number"])
    assert PoisonRemoved(name(1), 3) in worker.events
    assert ([name(1)], []) == (await worker.names(WATCH), await queue(redis))


@pytest.mark.parametrize(("crashes", "watched"), [(2, [name(1)]), (3, [name(1)]), (4, [])])
async def test_a_watched_order_that_kills_workers_keeps_its_end_and_is_watched_only_so_long(
    worker, redis, requeuer, crashes, watched
):
    await claimed(worker, redis, 1, crashes=crashes)
    await rewrite(redis, 1, 0, "blocked")
    assert 0 == await requeuer.requeue(worker.id, [name(1)], why="died", suspects=1)
    record = await worker.record()
    assert ("blocked", crashes + 1, None, None) == (record.status, record.crashes, record.text, record.owner)
    assert (watched, []) == (await worker.names(WATCH), await worker.names(held_key(worker.id)))


async def test_an_order_that_was_held_by_a_dead_worker_is_not_to_blame(worker, redis, requeuer):
    """It was not taken last, however many deaths point at it already."""
    await claimed(worker, redis, 1, crashes=2)
    assert 1 == await requeuer.requeue(worker.id, [name(1)], why="died")
    assert (Status.QUEUED, 2) == ((await worker.record()).status, (await worker.record()).crashes)


async def test_a_watched_order_goes_back_to_the_watch_list(worker, redis, requeuer):
    await claimed(worker, redis, 1)
    await rewrite(redis, 1, 0, "unknown")
    await requeuer.requeue(worker.id, [name(1)], why="died")
    assert ([name(1)], []) == (await worker.names(WATCH), await queue(redis))


async def test_of_an_order_without_a_record_nothing_is_left(worker, redis, requeuer):
    await claimed(worker, redis, 1)
    await redis.delete(named_key(name(1)))
    await redis.zadd(ROUTINE_QUEUED, {name(1): 1})
    assert 0 == await requeuer.requeue(worker.id, [name(1)], why="died")
    assert ([], []) == (await worker.names(held_key(worker.id)), await worker.names(ROUTINE_QUEUED))


@pytest.mark.parametrize("value", [b"no words", b'paused 0 - 1 0 0 {"a": 1}', b"queued 0 - 1 0 0 {broken"])
async def test_a_record_that_cannot_be_read_is_a_dead_letter_and_holds_up_no_other(worker, redis, requeuer, value):
    await claimed(worker, redis, 1, 2)
    await redis.set(named_key(name(1)), value)
    await redis.zadd(ROUTINE_QUEUED, {name(1): 1})
    assert 1 == await requeuer.requeue(worker.id, [name(1), name(2)], why="died")
    assert ([], [name(2)]) == (await worker.names(held_key(worker.id)), await worker.names(ROUTINE_QUEUED))
    assert value.decode() == json.loads(await redis.lindex(DEAD_LETTERS, 0))["message"]
    assert [name(1)] == [event.order for event in worker.events if isinstance(event, Refused)]
    assert "unknown" == (await worker.record(1)).status


async def test_an_order_whose_message_is_lost_goes_back_as_it_was(worker, redis, requeuer):
    await worker.enqueue(order(1))
    await redis.delete("routine")
    assert 1 == await requeuer.requeue(NO_OWNER, [name(1)], why="lost")
    assert ([[number(1)]], False) == (await queue(redis), (await worker.record()).maybe_sent)
