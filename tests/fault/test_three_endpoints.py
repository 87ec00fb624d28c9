"""The worker against a broker that knows the three cancel endpoints of the specification and nothing else."""

import asyncio
import threading
from collections import Counter
from contextlib import contextmanager
from urllib.parse import unquote_plus

import orjson
import pytest
from aiohttp import web

from neo_cancel import CancelOrder
from neo_cancel.record import Status
from tests.fault.rig import Rig

WINDOW = 2.0
SLACK = 8.0
ROUTES = {"/quick/order/cancel": "regular", "/quick/order/bo/exit": "bracket", "/quick/order/co/exit": "cover"}
# By the order number's last two digits: what the broker answers, at HTTP status.
ANSWERS = {
    "00": (200, {"nOrdNo": "1", "stat": "Ok", "stCode": 200}),
    "01": (200, {"stat": "Not_Ok", "emsg": "Order already cancelled or not found.", "stCode": 1006}),
    "02": (400, {"stCode": 1021, "errMsg": "order is completed", "stat": "please provide valid order number"}),
    "03": (200, {"stat": "Not_Ok", "stCode": 5202, "errMsg": "Error: Invalid Request", "tid": "server4_1258509"}),
    "04": (400, {"stCode": 1007, "errMsg": "body invalid", "stat": "bad request"}),
    "05": (200, {"stat": "Not_Ok", "emsg": "Algo order not allowed", "stCode": 1017}),
    "06": (400, {"error": [{"code": "91400", "message": "placed elsewhere"}]}),
    "07": (200, {"stCode": 1113, "errMsg": "BO/CO not allowed", "stat": "Not_Ok"}),
    "08": (200, {"stat": "Not_Ok", "emsg": "a rule nobody wrote down", "stCode": 7777}),
    "09": (400, {"stat": "Not_Ok", "emsg": "no, and no code"}),
}
REFUSED = {
    "01": ("1006", "Order already cancelled or not found."),
    "02": ("1021", "order is completed"),
    "03": ("5202", "Error: Invalid Request"),
    "04": ("1007", "body invalid"),
    "05": ("1017", "Algo order not allowed"),
    "06": ("91400", "placed elsewhere"),
    "07": ("1113", "BO/CO not allowed"),
    "08": ("7777", "a rule nobody wrote down"),
    "09": (None, "no, and no code"),
}


class ThreeEndpoints:
    """Answers cancels by the order number; anything else is 404, as a web server does it."""

    def __init__(self) -> None:
        self.calls, self.paths = Counter(), Counter()
        self.address = ""

    def application(self):
        app = web.Application(middlewares=[self._count])
        app.add_routes([web.post(path, self._cancel) for path in ROUTES])
        return app

    @web.middleware
    async def _count(self, request, handler):
        self.paths[request.path if request.path in ROUTES else "other"] += 1
        return await handler(request)

    async def _cancel(self, request):
        form = orjson.loads(unquote_plus((await request.read()).decode().removeprefix("jData=")))
        self.calls[form["on"]] += 1
        status, body = ANSWERS[form["on"][-2:]]
        return web.json_response(body, status=status)


@contextmanager
def listening():
    """Run the broker in a thread of its own."""
    broker, loop, is_up = ThreeEndpoints(), asyncio.new_event_loop(), threading.Event()
    runner = web.AppRunner(broker.application())

    async def start():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        broker.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        is_up.set()

    def run():
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert is_up.wait(10)
    try:
        yield broker
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@pytest.fixture
def broker():
    with listening() as running:
        yield running


@pytest.fixture
def rig(redis_url, tmp_path):
    return Rig(None, redis_url, tmp_path)


def orders(ucc, variety, endings=tuple(ANSWERS)):
    code = list(ROUTES.values()).index(variety)
    return [
        CancelOrder(ucc=ucc, order_number=f"26072200{code}{at:04d}{ending}", variety=variety)
        for ending in endings
        for at in range(3)
    ]


def open_account(rig, broker, ucc, **overrides):
    rig.put(ucc, {"base_url": broker.address, "sid": "s", "auth": "a", **overrides})


def outcome(record):
    return record.status, record.code, record.text, record.verified, record.verified_by


def expected(record):
    ending = record.order_number[-2:]
    if ending == "00":
        return Status.CANCELLED, None, None, False, None
    return Status.REFUSED, *REFUSED[ending], False, None


def test_the_reply_stands_where_there_is_no_book(rig, broker):
    """Every Ok ends cancelled and unverified, every definite error refused with code and text, all within the window."""
    for variety in ROUTES.values():
        open_account(rig, broker, f"AB{variety[:3].upper()}")
    asked = [order for variety in ROUTES.values() for order in orders(f"AB{variety[:3].upper()}", variety)]
    with rig.worker(NEO_CANCEL_VERIFICATION_WINDOW=str(WINDOW)) as producer:
        bulk = producer.enqueue_many(asked)
        bulk.wait(60)
        records = bulk.records()
    assert {record.key: expected(record) for record in records} == {record.key: outcome(record) for record in records}
    assert {1} == set(broker.calls.values()), "each order was sent once"
    assert dict.fromkeys(ROUTES, 30) == {path: broker.paths[path] for path in ROUTES}
    assert max(record.final_latency_seconds for record in records) < WINDOW + SLACK
    # A code nobody listed is an error in the log, once and not once an order.
    said = [(entry["level"], entry["code"], entry["text"]) for entry in rig.logged("first seen broker code")]
    assert [("error", "7777", "a rule nobody wrote down")] == said


def test_without_verification_the_reply_is_taken_at_its_word(rig, broker):
    """Off for one account: no read at all, no wait; the account beside it still looks for the book."""
    open_account(rig, broker, "ABOFF", verify=False)
    open_account(rig, broker, "ABON", verify=True)
    with rig.worker(NEO_CANCEL_VERIFICATION_WINDOW="12") as producer:
        beside = producer.enqueue(CancelOrder(ucc="ABON", order_number="260722000000100", deadline_seconds=60))
        bulk = producer.enqueue_many(orders("ABOFF", "regular"))
        bulk.wait(25)
        records, waiting = bulk.records(), beside.status()
        beside.wait(60)
    assert {record.key: expected(record) for record in records} == {record.key: outcome(record) for record in records}
    assert waiting.is_final is False


def test_verification_may_be_off_for_the_process_and_on_for_an_account(rig, broker):
    """The process's word for a broker known to have no book, the account's own before it, from its first order on."""
    open_account(rig, broker, "ABALL")
    open_account(rig, broker, "ABON", verify=True)
    with rig.worker(NEO_CANCEL_VERIFY="false", NEO_CANCEL_VERIFICATION_WINDOW=str(WINDOW)) as producer:
        record = producer.enqueue(CancelOrder(ucc="ABON", order_number="260722000000100")).wait(30)
        reads = broker.paths["other"]
        bulk = producer.enqueue_many(orders("ABALL", "cover"))
        bulk.wait(25)
        records = bulk.records()
    assert {record.key: expected(record) for record in records} == {record.key: outcome(record) for record in records}
    assert (Status.CANCELLED, False) == (record.status, record.verified)
    assert 0 < reads == broker.paths["other"]
