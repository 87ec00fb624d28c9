"""Each fault x each order state x each variety x each moment: the ledger's status is the sandbox's truth, every time."""

from collections import Counter
from itertools import product

import pytest

from neo_cancel import CancelOrder
from neo_cancel.record import Status
from tests.fault.rig import Rig
from tests.fault.truth import contradicts, status_for
from worker.sandbox.process import running_sandbox

VARIETIES = ["regular", "bracket", "cover"]
STATES = {
    "open": {"state": "open"},
    "in flight": {"state": "open pending"},
    "partly filled": {"state": "open", "quantity": 10, "filled_quantity": 4},
    "after market": {"amo": True, "trading_symbol": "M&MFIN-EQ"},
    "not cancelled": {"state": "not cancelled"},
    "cancelled": {"state": "cancelled"},
    "complete": {"state": "complete"},
    "rejected": {"state": "rejected"},
    "never existed": None,
}


def preset(name, **more):
    return {"fault": "preset", "preset": name, **more}


def reply(status, body="", **more):
    return {"fault": "reply", "status": status, "body": body, **more}


RESET, STALL = {"fault": "reset"}, {"fault": "stall", "seconds": 2.0}
UNLISTED = reply(200, {"stat": "Not_Ok", "emsg": "a rule nobody wrote down", "stCode": 7777})
NO_CODE = reply(400, {"stat": "Not_Ok", "emsg": "no, and no code"})

# What leaves the outcome open. It comes before the broker acted, or after.
OPEN_ENDED = {
    "reset": RESET,
    "stall": STALL,
    "1005": preset("1005"),
    "HTTP 500": reply(500),
    "HTML 502": preset("html_502"),
    "empty 502": preset("empty_502"),
    "HTTP 503": reply(503, "<html>busy</html>"),
    "HTML 504": preset("html_504"),
    "HTTP 408": reply(408),
    "HTTP 424": reply(424),
    "garbage": preset("garbage"),
    "2 MB": preset("2mb_noise"),
    "deep": preset("deep_json"),
    "empty 200": reply(200),
    "truncated": {"fault": "truncate"},
    "unlisted": UNLISTED,
    "no code": NO_CODE,
}
# What certainly did nothing, or changes what the cancel does.
BEFORE = {
    "no fault": None,
    "late": {"fault": "delay", "seconds": 0.2},
    "429": preset("429_json"),
    "429 with Retry-After": {"fault": "rate_limit", "retry_after": 1},
    "quota": preset("900807"),
    "1006": preset("1006_cancelled"),
    "1006 executed": preset("1006_executed"),
    "1006 exchange": preset("1006_exchange"),
    "1021": preset("1021"),
    "5203": preset("5203"),
    "session": preset("100022"),
    "session, HTTP 200": preset("100022_http200"),
    "access type": preset("1003"),
    "base URL": preset("200032"),
    "filled before": {"fault": "fill_before"},
    "partly filled before": {"fault": "fill_before", "quantity": 3},
    "cancelled by somebody else before": {"fault": "cancel_before"},
    "Ok, nothing done": {"fault": "ack_only"},
    "Ok, then not cancelled": {"fault": "refuse_late"},
    "Ok, later not cancelled": {"fault": "refuse_late", "seconds": 0.4},
    "Ok, cancel pending": {"fault": "cancel_pending", "seconds": 0.8},
    "Ok as text": preset("text_json"),
}
ON_THE_READ = {
    "reset": RESET,
    "stall": STALL,
    "HTML 502": preset("html_502"),
    "5203": preset("5203"),
    "429": preset("429_json"),
    "session": preset("100022"),
    "garbage": preset("garbage"),
    "truncated": {"fault": "truncate"},
    "no rows": reply(200, {"stat": "Ok", "data": []}),
}
REFUSALS = ["1007", "1009", "5202", "5204", "1017", "1113", "91400", "91400_in_data"]

ONCE = {"times_per_order": 1}
COLUMNS = [
    *[("before", name, [("cancel", fault | ONCE)] if fault else []) for name, fault in BEFORE.items()],
    *[("before", name, [("cancel", fault | ONCE | {"after_effect": False})]) for name, fault in OPEN_ENDED.items()],
    *[("after", name, [("cancel", fault | ONCE | {"after_effect": True})]) for name, fault in OPEN_ENDED.items()],
    *[("on the read", name, [("reads", fault | ONCE)]) for name, fault in ON_THE_READ.items()],
    *[
        ("after, and on the read", name, [("cancel", RESET | ONCE | {"after_effect": True}), ("reads", fault | ONCE)])
        for name, fault in ON_THE_READ.items()
    ],
    *[("for good", name, [("cancel", preset(name))]) for name in REFUSALS],
]
# Nothing of these ever gets better. Reads stay as they are where they are not named.
HOPELESS = {
    "reset": [("cancel", RESET)],
    "reset after": [("cancel", RESET | {"after_effect": True})],
    "stall": [("cancel", STALL)],
    "stall after": [("cancel", STALL | {"after_effect": True})],
    "HTML 502": [("cancel", preset("html_502"))],
    "HTTP 503": [("cancel", reply(503))],
    "429": [("cancel", preset("429_json"))],
    "1005": [("cancel", preset("1005"))],
    "1006": [("cancel", preset("1006_cancelled"))],
    "1021": [("cancel", preset("1021"))],
    "session": [("cancel", preset("100022"))],
    "garbage": [("cancel", preset("garbage"))],
    "unlisted": [("cancel", UNLISTED)],
    "Ok, nothing done": [("cancel", {"fault": "ack_only"})],
    "Ok, then not cancelled": [("cancel", {"fault": "refuse_late"})],
    "Ok, cancel pending": [("cancel", {"fault": "cancel_pending", "seconds": 60.0})],
    "blocked": [("cancel", preset("100008"))],
    "IP": [("cancel", preset("1037"))],
    "all reset": [("any", RESET)],
    "all stalled": [("any", STALL)],
    "all 502": [("any", preset("html_502"))],
    "reads reset": [("reads", RESET)],
    "reads 5203": [("reads", preset("5203"))],
    "reset after, reads reset": [("cancel", RESET | {"after_effect": True}), ("reads", RESET)],
    "garbage after, reads 5203": [("cancel", preset("garbage", after_effect=True)), ("reads", preset("5203"))],
    "1006 after, no rows": [
        ("cancel", preset("1006_cancelled", after_effect=True)),
        ("reads", reply(200, {"stat": "Ok", "data": []})),
    ],
}


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox("--seed", "7") as control:
        yield control


@pytest.fixture
def rig(sandbox, redis_url, tmp_path):
    sandbox.reset()
    return Rig(sandbox, redis_url, tmp_path)


def prepared(rig, at, faults, states):
    """Make the account of one column: each state as each variety, under the column's faults."""
    ucc = f"AB{at:03d}"
    rig.open_account(ucc)
    named, live = {}, []
    for row, (variety, state) in enumerate(product(VARIETIES, states)):
        number, about = f"2607220{at:03d}{row:05d}", STATES[state]
        if about is not None:
            live.append({"ucc": ucc, "order_number": number, "variety": variety, **about})
        known = about or {}
        order = CancelOrder(
            ucc=ucc, order_number=number, variety=variety, amo=known.get("amo", False),
            trading_symbol=known.get("trading_symbol"), deadline_seconds=45,
        )  # fmt: skip
        named[number] = (state, variety, order)
    rig.sandbox.create_orders(live)
    for on, fault in faults:
        about = dict(fault)
        rig.sandbox.add_fault(about.pop("fault"), on=on, ucc=ucc, **about)
    return named


def test_every_combination_ends_in_the_truth(rig):
    """Over 2,000 combinations, one bulk; a refusal for good is the only reason for an order to stay alive."""
    combinations = {}
    for at, (moment, fault, faults) in enumerate(COLUMNS):
        for number, (state, variety, order) in prepared(rig, at, faults, STATES).items():
            combinations[number] = (f"{fault} / {moment} / {state} / {variety}", moment, order)
    with rig.worker() as producer:
        bulk = producer.enqueue_many(order for _, _, order in combinations.values())
        bulk.wait(150)
        records = bulk.records()
    truths = rig.sandbox.lookup(combinations)
    wrong, false_cancelled = {}, []
    for record in records:
        name, moment, _ = combinations[record.order_number]
        truth = truths.get(record.order_number)
        expected = status_for(truth)
        if record.status is not expected or (expected is Status.REFUSED and moment != "for good"):
            wrong[name] = f"{record.status}, truth: {expected}"
        elif truth and truth["standing"] in ("cancelled", "filled") and record.verified:
            filled = record.filled_quantity, record.unfilled_quantity
            if filled != (truth["filled_quantity"], truth["unfilled"]):
                wrong[name] = f"filled, unfilled: {filled}, truth: {truth['filled_quantity'], truth['unfilled']}"
        if contradicts(record.status, truth):
            false_cancelled.append(name)
    print(f"{len(records)} combinations: {Counter(str(record.status) for record in records)}")
    assert len(combinations) >= 400
    assert {} == wrong
    assert [] == false_cancelled


def test_no_fault_that_stays_for_good_makes_an_order_dead_that_is_not(rig):
    """Trouble that never ends leaves refused, blocked, expired or unknown; what is called dead is dead."""
    combinations = {}
    states = ["open", "partly filled", "after market", "cancelled", "complete", "rejected", "never existed"]
    for at, (fault, faults) in enumerate(HOPELESS.items()):
        for number, (state, variety, order) in prepared(rig, at, faults, states).items():
            combinations[number] = (f"{fault} / {state} / {variety}", order.to_wire() | {"deadline_seconds": 8.0})
    with rig.worker() as producer:
        bulk = producer.enqueue_many(CancelOrder.from_wire(wire) for _, wire in combinations.values())
        bulk.wait(120)
        records = bulk.records()
        truths = rig.sandbox.lookup(combinations)
    wrong = {
        combinations[record.order_number][0]: f"{record.status}, truth: {status_for(truths.get(record.order_number))}"
        for record in records
        if contradicts(record.status, truths.get(record.order_number))
    }
    print(f"{len(records)} combinations: {Counter(str(record.status) for record in records)}")
    assert {} == wrong
