"""Many accounts in one step of the ledger, on a stand-in for Redis that runs the same Lua. A bad record harms only itself."""

import json

import pytest

from neo_cancel import CancelOrder, Status
from neo_cancel.enqueue import enqueue_call
from neo_cancel.keys import batch_key
from neo_cancel.parcels import Parcel
from neo_cancel.record import OrderRecord
from worker.consuming.envelope import read
from worker.ledger.keys import (
    BACKLOGS,
    DEAD_LETTERS,
    ROUTINE_QUEUED,
    backlog_key,
    held_key,
    named_key,
)

ACCOUNTS = ("AAA", "BBB", "CCC")
FIRST = "251015000100001"
BROKEN = [b"", b"queued", b"queued 0 - 5", b"queued x - 1 0 0 {}", b"\xff\xfe", b"queued 0 - 1 0 0"]


def orders(ucc: str, count: int, *, lane: str = "routine") -> list[CancelOrder]:
    return [CancelOrder(ucc=ucc, order_number=f"2510150001{at:05}", lane=lane) for at in range(1, count + 1)]


def names(*made: CancelOrder) -> list[str]:
    return [f"{order.ucc}:{order.order_number}" for order in made]


async def accept(worker, parcel: Parcel, batch: str | None = None) -> list[int]:
    return await worker.client.call(enqueue_call(parcel, batch=batch, ttl_seconds=600))


async def claim(worker, by_account, at_most=100, lane="routine"):
    return (await worker.room.claims.claim(lane, by_account, dict.fromkeys(by_account, at_most))).jobs


@pytest.fixture
def parcel():
    """Two orders of each account in the message, three more of the first two in their backlogs."""
    made = {ucc: orders(ucc, 5) for ucc in ACCOUNTS}
    ahead = [order for ucc in ACCOUNTS for order in made[ucc][:2]]
    return Parcel("routine", ahead, {ucc: made[ucc][2:] for ucc in ACCOUNTS[:2]})


async def test_a_parcel_is_accepted_in_one_step_message_backlogs_and_records(worker, redis, parcel):
    assert [0] * 12 == await accept(worker, parcel, "b1")
    chunk = read(json.loads(await redis.rpop("routine"))).value
    assert (dict.fromkeys(ACCOUNTS, 2), ("AAA", "BBB")) == (
        {ucc: len(some) for ucc, some in chunk.orders.items()}, chunk.backlogs
    )  # fmt: skip
    assert sorted(names(*parcel.orders)) == await worker.names(ROUTINE_QUEUED)
    assert names(*parcel.waiting["BBB"]) == await worker.names(backlog_key("routine", "BBB"))
    assert sorted(names(*parcel.everyone)) == await worker.names(batch_key("b1"))
    assert 12 == sum([await redis.exists(named_key(name)) for name in names(*parcel.everyone)])


async def test_a_parcel_that_comes_again_attaches_and_calls_nobody(worker, redis, parcel):
    await accept(worker, parcel)
    assert [1] * 12 == await accept(worker, parcel)
    assert (1, 3) == (await redis.llen("routine"), await redis.llen(backlog_key("routine", "AAA")))


async def test_a_backlog_never_expires_whatever_its_orders_time_to_live(worker, redis, parcel):
    """One producer's short time to live deleted the orders of another."""
    await accept(worker, parcel)
    await worker.client.call(
        enqueue_call(Parcel("routine", (), {"AAA": orders("AAA", 9)[5:]}), batch=None, ttl_seconds=1)
    )
    assert (-1, 7) == (await redis.ttl(backlog_key("routine", "AAA")), await redis.llen(backlog_key("routine", "AAA")))


async def test_each_account_is_claimed_up_to_its_own_capacity(worker, redis, parcel):
    await accept(worker, Parcel("routine", parcel.orders))
    by_account = {ucc: orders(ucc, 2) for ucc in ACCOUNTS}
    jobs, left, _ = await worker.room.claims.claim("routine", by_account, {"AAA": 2, "BBB": 1, "CCC": 0})
    assert 3 == left
    assert names(*orders("AAA", 2), *orders("BBB", 1)) == [job.name for job in jobs]
    assert ["BBB:251015000100002"] == await worker.names(backlog_key("routine", "BBB"))
    assert names(*orders("CCC", 2)) == await worker.names(backlog_key("routine", "CCC"))
    assert [backlog_key("routine", ucc) for ucc in ("BBB", "CCC")] == await worker.names(BACKLOGS)
    assert [] == await worker.names(ROUTINE_QUEUED)


async def test_one_step_draws_from_many_backlogs(worker, redis, parcel):
    await accept(worker, parcel)
    backlogs = {backlog_key("routine", ucc): at_most for ucc, at_most in [("AAA", 2), ("BBB", 9), ("CCC", 9)]}
    drawn = await worker.room.claims.draw(backlogs)
    assert [(1, 2), (0, 3), (0, 0)] == [(left, len(jobs)) for left, jobs in drawn]
    assert [backlog_key("routine", "AAA")] == await worker.names(BACKLOGS)
    assert 5 == await redis.scard(held_key(worker.id))


@pytest.mark.parametrize("broken", BROKEN)
async def test_an_order_whose_record_cannot_be_read_is_accepted_anew_and_harms_no_other(worker, redis, broken):
    """Ten good orders were `queued` without a message, and repeating attached them."""
    made = orders("AAA", 3)
    await redis.set(named_key(names(made[1])[0]), broken)
    assert [0, 0, 0] == await accept(worker, Parcel("routine", made))
    assert (1, 3) == (await redis.llen("routine"), await redis.zcard(ROUTINE_QUEUED))
    assert 3 == len(await claim(worker, {"AAA": made}))


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_claim_writes_anew_what_cannot_be_read_and_takes_the_others(worker, redis, broken):
    """Five good ones were `sending`, in nobody's hands."""
    made = orders("AAA", 3)
    await accept(worker, Parcel("routine", made))
    await redis.set(named_key(names(made[1])[0]), broken)
    assert names(made[0], made[2]) == [job.name for job in await claim(worker, {"AAA": made})]
    assert Status.QUEUED == OrderRecord.decode(await redis.get(named_key(names(made[1])[0]))).status
    assert 2 == await redis.llen("routine")


@pytest.mark.parametrize("broken", [*BROKEN, b"queued 0 - 1 0 0 no json", b'queued 0 - 1 0 0 {"ucc": 1}'])
async def test_a_draw_puts_aside_what_cannot_be_read_and_takes_the_others(worker, redis, broken):
    made = orders("AAA", 3)
    await accept(worker, Parcel("routine", (), {"AAA": made}))
    await redis.set(named_key(names(made[1])[0]), broken)
    [(left, jobs)] = await worker.room.claims.draw({backlog_key("routine", "AAA"): 10})
    assert (0, names(made[0], made[2])) == (left, [job.name for job in jobs])
    assert names(made[0], made[2]) == await worker.names(held_key(worker.id))
    assert 1 == await redis.llen(DEAD_LETTERS)


async def test_a_key_of_another_kind_in_a_record_s_place_harms_no_other(worker, redis):
    made = orders("AAA", 2)
    await redis.rpush(named_key(names(made[0])[0]), "a list")
    assert [0, 0] == await accept(worker, Parcel("routine", made))
    assert 2 == len(await claim(worker, {"AAA": made}))


async def test_orders_of_a_dead_worker_come_back_in_messages_for_many_accounts(worker, redis):
    """Not one message an account."""
    made = [order for at in range(60) for order in orders(f"AB{at:03}", 2)]
    for at in range(0, 120, 60):
        await accept(worker, Parcel("routine", made[at : at + 60]))
    await redis.delete("routine")
    by_account = {}
    for order in made:
        by_account.setdefault(order.ucc, []).append(order)
    jobs = await claim(worker, by_account)
    await worker.room.claims.release(jobs)
    assert 3 == await redis.llen("routine")
    assert 120 == await redis.zcard(ROUTINE_QUEUED)
