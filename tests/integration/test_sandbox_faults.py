"""Every fault that can be ordered from the sandbox, over a real socket."""

import asyncio
import socket
import time
from urllib.parse import urlencode

import httpx
import orjson
import pytest

from worker.sandbox.presets import PRESETS
from worker.sandbox.process import running_sandbox

UCC = "AB123"
NUMBER = "260722000000001"
ROUTES = {"regular": "/quick/order/cancel", "bracket": "/quick/order/bo/exit", "cover": "/quick/order/co/exit"}
OK = {"nOrdNo": NUMBER, "stat": "Ok", "stCode": 200}


@pytest.fixture(scope="module")
def running():
    with running_sandbox("--seed", "42") as control:
        yield control


@pytest.fixture
def sandbox(running):
    running.reset()
    running.create_account(UCC)
    running.create_orders([{"ucc": UCC, "order_number": NUMBER, "quantity": 10}])
    return running


@pytest.fixture(scope="module")
def client(running):
    with httpx.Client(base_url=f"{running.base_url}/r1", trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def http(sandbox, client):
    session = sandbox.session(UCC)
    client.headers = {
        "accept": "application/json",
        "Sid": session.sid,
        "Auth": session.auth,
        "neo-fin-key": "neotradeapi",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return client


def cancel(http, number=NUMBER, variety="regular"):
    return http.post(ROUTES[variety], content=urlencode({"jData": orjson.dumps({"on": number}).decode()}))


def truth(sandbox, number=NUMBER):
    return sandbox.lookup([number])[number]


def wait_for_state(sandbox, state, timeout_seconds=5.0):
    deadline = time.monotonic() + timeout_seconds
    while truth(sandbox)["state"] != state:
        assert time.monotonic() < deadline, f"the order never became {state}"
        time.sleep(0.02)
    return truth(sandbox)


def test_a_delay_lets_the_call_go_on(sandbox, http):
    sandbox.add_fault("delay", on="cancel", seconds=0.3)
    started = time.monotonic()
    assert OK == cancel(http).json()
    assert time.monotonic() - started >= 0.3
    assert "delay" == sandbox.requests(endpoint="cancel")[0]["fault"]


@pytest.mark.parametrize("after_effect", [False, True])
def test_an_ordered_reply_goes_out_with_or_without_the_effect(sandbox, http, after_effect):
    sandbox.add_fault(
        "reply", on="regular", status=503, body={"stCode": 9}, headers={"Retry-After": "7"}, after_effect=after_effect
    )
    reply = cancel(http)
    assert (503, "7", {"stCode": 9}) == (reply.status_code, reply.headers["Retry-After"], reply.json())
    assert int(after_effect) == truth(sandbox)["effects"]
    logged = sandbox.requests()[0]
    assert (503, 9, NUMBER, "reply") == tuple(logged[key] for key in ("status", "st_code", "order_number", "fault"))


def test_an_ordered_reply_can_be_raw_text(sandbox, http):
    sandbox.add_fault("reply", on="cancel", body="<b>no</b>", content_type="text/html")
    reply = cancel(http)
    assert ("<b>no</b>", "text/html") == (reply.text, reply.headers["Content-Type"])


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_reset_cuts_the_connection(sandbox, http, after_effect):
    sandbox.add_fault("reset", on="cancel", after_effect=after_effect)
    with pytest.raises(httpx.ReadError) as caught:
        cancel(http)
    assert "reset" in str(caught.value).lower()
    assert int(after_effect) == truth(sandbox)["effects"]
    assert (None, "reset") == (sandbox.requests()[0]["status"], sandbox.requests()[0]["fault"])


def test_a_reset_is_a_tcp_reset(sandbox, http):
    sandbox.add_fault("reset", on="orders")
    host, port = sandbox.base_url.removeprefix("http://").split(":")
    head = "\r\n".join(f"{name}: {value}" for name, value in http.headers.items())
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(f"GET /quick/user/orders HTTP/1.1\r\nHost: sandbox\r\n{head}\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            raw.recv(1)


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_stall_holds_and_closes_without_a_reply(sandbox, http, after_effect):
    sandbox.add_fault("stall", on="cancel", seconds=0.3, after_effect=after_effect)
    started = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError):
        cancel(http)
    assert time.monotonic() - started >= 0.3
    assert int(after_effect) == truth(sandbox)["effects"]


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_truncated_reply_promises_more_than_it_sends(sandbox, http, after_effect):
    sandbox.add_fault("truncate", on="cancel", after_effect=after_effect)
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        cancel(http)
    assert int(after_effect) == truth(sandbox)["effects"]
    assert 200 == sandbox.requests()[0]["status"]


def test_a_read_can_be_truncated_too(sandbox, http):
    sandbox.add_fault("truncate", on="orders")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        http.get("/quick/user/orders")


def test_an_order_can_be_filled_just_before_the_call(sandbox, http):
    sandbox.add_fault("fill_before", on="cancel")
    assert 1021 == cancel(http).json()["stCode"]
    assert ("complete", 10, 0) == tuple(truth(sandbox)[key] for key in ("state", "filled_quantity", "effects"))


def test_somebody_else_can_cancel_an_order_just_before_the_call(sandbox, http):
    sandbox.add_fault("cancel_before", on="cancel")
    assert 1006 == cancel(http).json()["stCode"]
    assert ("cancelled", "other", 0) == tuple(truth(sandbox)[key] for key in ("state", "cancelled_by", "effects"))


def test_a_partial_fill_leaves_something_to_cancel(sandbox, http):
    sandbox.add_fault("fill_before", on="cancel", quantity=4)
    assert OK == cancel(http).json()
    found = truth(sandbox)
    assert ("cancelled", 4, 6) == (found["state"], found["filled_quantity"], found["unfilled"])


def test_a_fill_and_a_reply_can_hit_the_same_call(sandbox, http):
    sandbox.add_fault("fill_before", on="cancel", times=1)
    sandbox.add_fault("preset", on="cancel", preset="1005", times=1)
    assert 1005 == cancel(http).json()["stCode"]
    assert 1021 == cancel(http).json()["stCode"]
    assert ["fill_before+preset", None] == [call["fault"] for call in sandbox.requests()]
    assert {"fill_before": 1, "preset": 1} == sandbox.stats()["faults"]


def test_an_ok_can_be_empty(sandbox, http):
    sandbox.add_fault("ack_only", on="cancel", times=1)
    assert OK == cancel(http).json()
    assert ("open", 0, None) == tuple(truth(sandbox)[key] for key in ("state", "effects", "cancelled_by"))
    assert OK == cancel(http).json()
    assert "cancelled" == truth(sandbox)["state"]


def test_a_cancel_can_be_refused_after_its_ok(sandbox, http):
    sandbox.add_fault("refuse_late", on="cancel", reason="17070 : too late")
    assert OK == cancel(http).json()
    row = http.get(f"/quick/user/orders/{NUMBER}").json()["data"][0]
    assert ("not cancelled", "17070 : too late") == (row["ordSt"], row["rejRsn"])
    assert 0 == truth(sandbox)["effects"]


def test_a_late_refusal_can_take_its_time(sandbox, http):
    sandbox.add_fault("refuse_late", on="cancel", seconds=0.2)
    cancel(http)
    assert "cancel pending" == truth(sandbox)["state"]
    assert 0 == wait_for_state(sandbox, "not cancelled")["effects"]


def test_a_cancel_can_stay_pending(sandbox, http):
    sandbox.add_fault("cancel_pending", on="cancel", seconds=0.2)
    assert OK == cancel(http).json()
    assert "cancel pending" == truth(sandbox)["state"]
    assert "api" == wait_for_state(sandbox, "cancelled")["cancelled_by"]


@pytest.mark.parametrize("retry_after", [None, 2])
def test_a_rate_limit_can_be_ordered(sandbox, http, retry_after):
    sandbox.add_fault("rate_limit", on="any", retry_after=retry_after)
    reply = cancel(http)
    assert {"code": 429, "error": "Rate limit exceeded", "message": "too many request received"} == reply.json()
    assert (429, retry_after and str(retry_after)) == (reply.status_code, reply.headers.get("Retry-After"))
    assert 0 == truth(sandbox)["effects"]


@pytest.mark.parametrize("name", sorted(PRESETS.keys() - {"text_json"}))
def test_every_preset_arrives_without_effect(sandbox, http, name):
    sandbox.add_fault("preset", on="cancel", preset=name)
    reply = cancel(http)
    assert PRESETS[name].status == reply.status_code
    assert PRESETS[name].content_type == reply.headers["Content-Type"]
    assert "open" == truth(sandbox)["state"]
    if isinstance(PRESETS[name].body, str):
        assert PRESETS[name].body == reply.text
    else:
        assert PRESETS[name].body == reply.json()


def test_a_preset_can_change_its_status_and_come_after_the_effect(sandbox, http):
    sandbox.add_fault("preset", on="cancel", preset="html_502", status=500, after_effect=True)
    assert 500 == cancel(http).status_code
    assert "cancelled" == truth(sandbox)["state"]


def test_real_json_can_come_as_text(sandbox, http):
    sandbox.add_fault("preset", on="any", preset="text_json")
    reply = cancel(http)
    assert ("text/plain", OK) == (reply.headers["Content-Type"], orjson.loads(reply.content))
    assert "cancelled" == truth(sandbox)["state"]


@pytest.mark.parametrize(
    ("on", "hit"),
    [
        ("cancel", {"regular", "bracket", "cover"}),
        ("regular", {"regular"}),
        ("bracket", {"bracket"}),
        ("cover", {"cover"}),
        ("orders", {"orders"}),
        ("order", {"order"}),
        ("history", {"history"}),
        ("reads", {"orders", "order", "history"}),
        ("any", {"regular", "bracket", "cover", "orders", "order", "history"}),
        ("login", set()),
    ],
)
def test_a_fault_hits_the_calls_that_it_is_for(sandbox, http, on, hit):
    sandbox.add_fault("preset", on=on, preset="html_504")
    calls = {variety: cancel(http, variety=variety) for variety in ROUTES}
    calls["orders"] = http.get("/quick/user/orders")
    calls["order"] = http.get(f"/quick/user/orders/{NUMBER}")
    calls["history"] = http.post("/quick/order/history", content=f"jData=%7B%22nOrdNo%22%3A%22{NUMBER}%22%7D")
    assert hit == {name for name, reply in calls.items() if reply.status_code == 504}


def test_a_fault_makes_logins_fail(sandbox, http):
    sandbox.add_fault("preset", on="login", preset="login_invalid", times=1)
    body = {"mobileNumber": "1", "ucc": UCC, "totp": "123456"}
    headers = {"Authorization": "x", "Content-Type": "application/json"}
    replies = [http.post(f"{sandbox.base_url}/login/1.0/tradeApiLogin", json=body, headers=headers) for _ in range(2)]
    assert [401, 200] == [reply.status_code for reply in replies]


def test_a_fault_can_be_for_one_account_or_one_order(sandbox, http):
    other = sandbox.create_orders([{"ucc": UCC}])[0]["order_number"]
    sandbox.add_fault("preset", on="cancel", preset="1005", ucc="ZZ999")
    sandbox.add_fault("preset", on="cancel", preset="1017", order_number=NUMBER, ucc=UCC)
    assert 1017 == cancel(http).json()["stCode"]
    assert 200 == cancel(http, other).json()["stCode"]
    assert [0, 1] == [fault["hits"] for fault in sandbox.faults()]


def test_a_fault_can_end_after_some_hits_in_all_or_per_order(sandbox, http):
    other = sandbox.create_orders([{"ucc": UCC}])[0]["order_number"]
    sandbox.add_fault("preset", on="cancel", preset="1005", times_per_order=1, name="once each")
    sandbox.add_fault("preset", on="cancel", preset="1017", times=1)
    codes = [cancel(http, number).json()["stCode"] for number in (NUMBER, NUMBER, NUMBER, other, other)]
    assert [1005, 1017, 200, 1005, 200] == codes
    assert [("once each", 2), ("preset-2", 1)] == [(fault["name"], fault["hits"]) for fault in sandbox.faults()]


def test_chance_repeats_itself_after_a_reset(sandbox, http):
    def throw():
        sandbox.clear_faults()
        sandbox.add_fault("preset", on="orders", preset="5203", probability=0.5)
        return ["data" in http.get("/quick/user/orders").json() for _ in range(30)]

    first = throw()
    assert {True, False} == set(first)
    assert first == throw()


def test_faults_can_be_cleared(sandbox, http):
    sandbox.add_fault("reset", on="any")
    sandbox.clear_faults()
    assert [] == sandbox.faults()
    assert OK == cancel(http).json()


async def test_stalled_calls_hold_up_nobody_else(sandbox, http):
    other = sandbox.create_orders([{"ucc": UCC}])[0]["order_number"]
    sandbox.add_fault("stall", on="cancel", seconds=1, order_number=NUMBER)
    stalled = asyncio.create_task(asyncio.to_thread(cancel, http))
    await asyncio.sleep(0.1)
    with httpx.Client(base_url=http.base_url, headers=http.headers, trust_env=False) as second:
        started = time.monotonic()
        await asyncio.to_thread(cancel, second, other)
        assert time.monotonic() - started < 0.7
    with pytest.raises(httpx.RemoteProtocolError):
        await stalled
