"""The collaborators as a worker wires them, over a stand-in for Redis: an order's way there, and its end's way back."""

import asyncio
import json
from functools import partial

import pytest
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer

from config.settings import Settings
from neo_cancel import CancelOrder, OrderRecord, Status
from tests.accepting import accept_call
from tests.unit.dispatching import job, untuned
from worker.consuming.envelope import read
from worker.consuming.tasks import begin
from worker.observe.events import LeaseLost, Superseded
from worker.runtime import Runtime
from worker.wiring import wire

ORDER = CancelOrder(ucc="AB123", order_number="251015000123456", deadline_seconds=0.1)
NAME = "AB123:251015000123456"


class Desk:
    """Parts as wired, what they published, and the ledger they share."""

    def __init__(self, folder):
        self.folder, self.server, self.events, self.begun = folder, FakeServer(), [], []
        self.write_accounts()
        self.settings = Settings(redis_url="redis://none", accounts_file=folder / "accounts.json", lease=12, gather=0)
        self.connect = lambda _settings, _server: FakeAsyncRedis(server=self.server)
        self.redis = FakeRedis(server=self.server)

    def write_accounts(self, **accounts):
        (self.folder / "accounts.json").touch(mode=0o600)
        (self.folder / "accounts.json").write_text(json.dumps(accounts))

    def wire(self):
        return wire(self.settings, self.events.append, begun=lambda: self.begun.append(1), connect=self.connect)

    async def enqueue(self, parts, *orders):
        """Accept orders as a producer does; answer their message as the gate reads it."""
        await parts.ledger.client.call(accept_call(orders or (ORDER,), batch=None, ttl_seconds=60))
        return read(json.loads(self.redis.rpop("routine")))

    def record(self):
        return OrderRecord.decode(self.redis.get(f"nc:order:{NAME}"))

    async def until(self, is_true):
        async with asyncio.timeout(20):
            while not is_true():
                await asyncio.sleep(0.001)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


async def test_a_message_s_orders_end_in_the_ledger_and_its_task_hears_how(desk):
    """An account without a session: nothing can be sent until the deadline, and that is a final status, too."""
    parts = desk.wire()
    message = await desk.enqueue(parts)
    summary = await parts.dispatcher.work(message.value)
    assert ({str(desk.record().status): 1}, True) == (summary["ended"], desk.record().is_final)
    assert (0, [1]) == (len(parts.ledger.held), desk.begun)
    await parts.close()


async def test_the_rules_of_an_account_reach_the_orders(desk):
    """A blocked order is watched where the account asks for it, in the file that was read for its session."""
    account = {"base_url": "http://127.0.0.1:1", "sid": "s", "auth": "a", "watch_refused": True}
    desk.write_accounts(CD456=account)
    parts = desk.wire()
    other = CancelOrder(ucc="CD456", order_number="251015000123456", deadline_seconds=0.05)
    message = await desk.enqueue(parts, other)
    assert {"expired": 1} == (await parts.dispatcher.work(message.value))["ended"]
    assert [True, False] == [parts.ledger._callbacks.is_watched(ucc, Status.REFUSED) for ucc in ("CD456", "AB123")]
    await parts.close()


async def test_the_accounts_file_is_read_before_the_first_order(desk):
    """A rate that is not known yet cannot be kept."""
    desk.write_accounts(CD456={"base_url": "http://127.0.0.1:1", "sid": "s", "auth": "a", "orders_per_second": 2})
    parts = desk.wire()
    (desk.folder / "accounts.json").unlink()
    assert (2, []) == (parts.accounts.file.of("CD456").orders_per_second, desk.events)
    await parts.close()


async def test_a_status_that_a_newer_owner_overtook_is_published_and_the_order_is_let_go(desk):
    parts = desk.wire()
    message = await desk.enqueue(parts)
    orders = parts.backlogs._in_hand._orders = Idle(parts.router)
    work = asyncio.create_task(parts.dispatcher.work(message.value))
    await desk.until(lambda: orders.taken)
    status, _, rest = desk.redis.get(f"nc:order:{NAME}").split(b" ", 2)
    desk.redis.set(f"nc:order:{NAME}", status + b" 99 " + rest)
    orders.taken[0].status = Status.CANCELLED
    parts.ledger.finish(orders.taken[0])
    assert {"cancelled": 1} == (await work)["ended"]
    assert [Superseded(NAME, "cancelled")] == [event for event in desk.events if isinstance(event, Superseded)]
    await parts.close()


async def test_a_lost_lease_ends_the_wait_for_its_orders(desk):
    """The other workers own them; the message is acknowledged, and its thread takes another one."""
    parts = desk.wire()
    message = await desk.enqueue(parts)
    parts.backlogs._in_hand._orders = Idle(parts.router)
    work = asyncio.create_task(parts.dispatcher.work(message.value))
    await desk.until(lambda: len(parts.backlogs._in_hand) == 1)
    desk.redis.delete("nc:workers")
    await parts.ledger.lease.renew()
    assert {"under_way": 1, "ended": {}}.items() <= (await work).items()
    assert [LeaseLost] == [type(event) for event in desk.events if isinstance(event, LeaseLost)]
    await parts.close()


class Idle:
    """The orders room, but it takes its time."""

    def __init__(self, router):
        self._router, self.taken, self.sends, self.escalated = router, [], [], []

    def take(self, job, *, sends=0):
        self.taken.append(job)
        self.sends.append(sends)

    def escalate(self, job):
        self.escalated.append(job)

    def abandon(self):
        self._router.abandon()

    async def stop(self, at):
        await self._router.stop(at)


async def test_an_order_that_is_asked_for_as_risk_becomes_urgent_with_the_next_heartbeat(desk):
    parts = desk.wire()
    message = await desk.enqueue(parts)
    orders = parts.backlogs._in_hand._orders = Idle(parts.router)
    work = asyncio.create_task(parts.dispatcher.work(message.value))
    await desk.until(lambda: len(parts.backlogs._in_hand) == 1)
    desk.redis.rpush(f"nc:urgent:{parts.ledger.lease.worker}", NAME)
    await parts.ledger.lease.renew()
    assert [("risk", NAME)] == [(job.lane, job.name) for job in orders.escalated]
    await parts.dispatcher.drain(0.0)
    await work
    await parts.close()


async def test_draining_gives_the_orders_back_to_the_queue(desk):
    parts = desk.wire()
    message = await desk.enqueue(parts)
    parts.backlogs._in_hand._orders = Idle(parts.router)
    work = asyncio.create_task(parts.dispatcher.work(message.value))
    await desk.until(lambda: len(parts.backlogs._in_hand) == 1)
    await parts.dispatcher.drain(0.0)
    await work
    assert (Status.QUEUED, 1) == (desk.record().status, desk.redis.llen("routine"))
    await parts.close()


async def test_a_wrong_part_of_a_message_becomes_a_dead_letter(desk):
    parts = desk.wire()
    message = await desk.enqueue(parts)
    wrong = {"v": 1, "ucc": "AB123", "lane": "routine", "orders": ["text"]}
    await parts.dispatcher.work(message.kind.read(wrong))
    assert 1 == desk.redis.llen("nc:dead_letters")
    await parts.close()


async def test_the_lease_sets_the_pace_of_what_keeps_it(desk):
    """Three heartbeats in a lease, and four looks at the suspects in a heartbeat."""
    parts = desk.wire()
    pace = {name: seconds for name, seconds, _ in parts.duties(desk.settings)}
    assert {"heartbeat": 4.0, "suspects": 1.0, "notes": 12.0}.items() <= pace.items()
    assert {"recovery", "watch list", "orphaned backlogs", "accounts file"} <= pace.keys()
    await parts.close()


async def test_every_duty_can_be_done(desk):
    parts = desk.wire()
    for _, _, work in parts.duties(desk.settings):
        await work()
    assert parts.is_idle
    await parts.close()


async def test_an_order_is_watched_without_sending_once_its_trading_day_is_over(desk):
    """By the ledger's clock; the first of the two was accepted in 1970."""
    parts = desk.wire()
    orders = parts.backlogs._in_hand._orders = Idle(parts.router)
    old, young = job(1, watched=True), job(2, watched=True)
    young.enqueued_ms = int(parts.ledger.client.now() * 1000)
    parts.backlogs._in_hand.begin([old, young], "routine")
    assert [0, 1] == orders.sends
    await parts.close()


async def test_closing_ends_the_lease(desk):
    """No other worker has to wait for it to run out."""
    parts = desk.wire()
    await parts.ledger.lease.renew()
    assert [True] == [score > 0 for _, score in desk.redis.zrange("nc:workers", 0, -1, withscores=True)]
    await parts.close()
    assert [0.0] == [score for _, score in desk.redis.zrange("nc:workers", 0, -1, withscores=True)]


async def test_nothing_is_connected_before_it_is_needed(desk):
    """A worker starts while Redis is away, and waits for it."""
    settings = desk.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    parts = wire(settings, desk.events.append, begun=lambda: None)
    assert (True, []) == (parts.is_idle, desk.events)
    await parts.close()


async def test_a_server_that_is_away_keeps_no_worker_from_ending(desk):
    parts = desk.wire()
    desk.server.connected = False
    await parts.close()


def test_a_whole_runtime_works_on_a_message(desk):
    """From Celery's thread to the loop and back."""
    call = accept_call([ORDER], batch=None, ttl_seconds=60)
    desk.redis.eval(call.script.text, len(call.keys), *call.keys, *call.arguments)
    message = read(json.loads(desk.redis.rpop("routine")))
    runtime = Runtime(desk.settings, desk.events.append, wire=partial(wire, connect=desk.connect))
    with untuned():
        runtime.start()
        begin(runtime, message)
        summary = runtime.answer(message.message_id, lambda: None)
        runtime.close()
    assert {str(desk.record().status): 1} == summary["ended"]
