"""Every habit that can be ordered from the sandbox, over a real socket."""

import time
from collections import Counter
from urllib.parse import urlencode

import httpx
import orjson
import pytest

from worker.sandbox.control import SandboxError
from worker.sandbox.process import running_sandbox

UCC = "AB123"
NUMBER = "260722000000001"


@pytest.fixture(scope="module")
def running():
    with running_sandbox("--seed", "42") as control:
        yield control


@pytest.fixture
def sandbox(running):
    running.reset()
    running.create_account(UCC)
    running.create_orders([{"ucc": UCC, "order_number": NUMBER}])
    return running


@pytest.fixture
def http(sandbox):
    session = sandbox.session(UCC)
    headers = {
        "accept": "application/json",
        "Sid": session.sid,
        "Auth": session.auth,
        "neo-fin-key": "neotradeapi",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    with httpx.Client(base_url=session.base_url, headers=headers, trust_env=False, timeout=10) as client:
        yield client


def cancel(http, number=NUMBER):
    reply = http.post("/quick/order/cancel", content=urlencode({"jData": orjson.dumps({"on": number}).decode()}))
    return reply.json()["stCode"]


def states(http):
    return [row["ordSt"] for row in http.get("/quick/user/orders").json().get("data", [])]


def truth(sandbox, number=NUMBER):
    return sandbox.lookup([number])[number]


def until(is_true, timeout_seconds=10.0):
    deadline = time.monotonic() + timeout_seconds
    while not is_true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def test_a_late_book_shows_a_cancel_in_the_end(sandbox, http):
    sandbox.set_habits(late=1.0, late_seconds=3.0)
    assert 200 == cancel(http)
    assert ("cancelled", ["open"]) == (truth(sandbox)["state"], states(http))
    until(lambda: states(http) == ["cancelled"])


def test_a_hidden_order_is_missing_from_the_book_and_by_itself_and_comes_back(sandbox, http):
    sandbox.set_habits(order_number=NUMBER, hidden=1.0, hidden_seconds=1.0)
    single = f"/quick/user/orders/{NUMBER}"
    until(lambda: states(http) == [] and http.get(single).json()["stCode"] == 5203)
    until(lambda: states(http) == ["open"] and http.get(single).json()["data"][0]["ordSt"] == "open")


@pytest.mark.parametrize(
    ("state", "on_its_way", "arrived"),
    [
        ("open", "modify pending", "modified"),
        ("open pending", "open pending", "open"),
        ("validation pending", "validation pending", "open"),
    ],
)
def test_an_order_on_its_way_refuses_cancels_and_then_takes_one(sandbox, http, state, on_its_way, arrived):
    number = sandbox.create_orders([{"ucc": UCC, "state": state}])[0]["order_number"]
    sandbox.set_habits(order_number=number, in_flight=1.0, in_flight_seconds=1.0)
    assert {1006, 1021} == {cancel(http, number) for _ in range(20)}
    assert on_its_way == truth(sandbox, number)["state"]
    until(lambda: truth(sandbox, number)["state"] == arrived)
    assert (200, "cancelled") == (cancel(http, number), truth(sandbox, number)["state"])


def test_an_order_that_is_filled_on_its_way_stays_filled(sandbox, http):
    sandbox.set_habits(in_flight=1.0, in_flight_seconds=0.2)
    cancel(http)
    sandbox.set_state(NUMBER, "complete")
    time.sleep(0.3)
    assert (1021, "complete") == (cancel(http), truth(sandbox)["state"])


def test_the_exchange_refuses_some_orders_for_ever(sandbox, http):
    sandbox.set_habits(order_number=NUMBER, refuse_ever=1.0, refuse_later_seconds=0.1)
    for tries in range(1, 4):
        assert 200 == cancel(http)
        until(lambda: truth(sandbox)["state"] == "not cancelled")
        assert (tries, 0) == (truth(sandbox)["cancel_requests"], truth(sandbox)["effects"])


def test_the_exchange_refuses_its_share_of_cancels(sandbox, http):
    numbers = [order["order_number"] for order in sandbox.generate_orders(UCC, 100)]
    sandbox.set_habits(ucc=UCC, refuse_later=0.5, refuse_later_seconds=0.0)
    assert {200} == {cancel(http, number) for number in numbers}
    found = Counter(truth(sandbox, number)["state"] for number in numbers)
    assert {"not cancelled", "cancelled"} == set(found)
    assert 25 < found["cancelled"] < 75


def test_a_fault_of_a_call_comes_before_the_habits_of_its_order(sandbox, http):
    sandbox.set_habits(refuse_ever=1.0)
    sandbox.add_fault("ack_only", on="cancel")
    assert (200, "open") == (cancel(http), truth(sandbox)["state"])


def test_a_book_of_thousands_of_other_orders_is_served(sandbox, http):
    sandbox.generate_orders(UCC, 2000, state="complete")
    sandbox.set_habits(late=0.5, jump=0.5, doubled=0.5)
    assert {"open": 1, "complete": 2000} == Counter(states(http))


def test_habits_in_force_are_shown_and_cleared(sandbox):
    sandbox.set_habits(ucc=UCC, late=0.5)
    assert [(None, 0.0), (UCC, 0.5)] == [(form["ucc"], form["late"]) for form in sandbox.habits()]
    sandbox.clear_habits()
    assert [None] == [form["ucc"] for form in sandbox.habits()]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"late": 1.5}, "0.late"),
        ({"late": "often"}, "0.late"),
        ({"hidden": 0.1, "hidden_seconds": 4.5}, "0.hidden_seconds"),
        ({"in_flight_seconds": -1}, "0.in_flight_seconds"),
        ({"lazy": 0.1}, "0.lazy"),
        ({"ucc": "ZZ999", "late": 0.1}, "0.ucc"),
        ({"order_number": "999999999999999", "late": 0.1}, "0.order_number"),
        ({"ucc": UCC, "order_number": NUMBER, "late": 0.1}, "0.ucc"),
    ],
)
def test_habits_that_do_not_fit_are_named_and_change_nothing(sandbox, form, field):
    before = sandbox.habits()
    with pytest.raises(SandboxError) as caught:
        sandbox.set_all_habits([form, {"late": 0.9}])
    assert field == caught.value.field
    assert before == sandbox.habits()


def test_habits_can_be_there_from_the_start():
    with running_sandbox("--habit", "late=0.25", "--habit", "late_seconds=3") as control:
        assert (0.25, 3.0, 0.0) == tuple(control.habits()[0][name] for name in ("late", "late_seconds", "jump"))
        control.set_habits(jump=1.0)
        control.reset()
        assert (0.25, 0.0) == tuple(control.habits()[0][name] for name in ("late", "jump"))


@pytest.mark.parametrize("habit", ["late=2", "late=often", "late", "lazy=0.1"])
def test_a_wrong_habit_is_refused_at_the_start(habit):
    with pytest.raises(SandboxError, match="argument --habit"), running_sandbox("--habit", habit):
        pass
