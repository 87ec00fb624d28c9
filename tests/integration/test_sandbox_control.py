"""The sandbox's control API, its client and its process."""

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from worker.sandbox.control import SandboxControl, SandboxError
from worker.sandbox.presets import PRESETS
from worker.sandbox.process import running_sandbox

UCC = "AB123"
NUMBER = "260722000000001"


@pytest.fixture(scope="module")
def running():
    with running_sandbox("--seed", "1") as control:
        yield control


@pytest.fixture(scope="module")
def http():
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def sandbox(running):
    running.reset()
    running.create_account(UCC)
    return running


def order(**fields):
    return {"ucc": UCC} | fields


BAD_INPUT = [
    ("POST", "accounts", b"{", "body"),
    ("POST", "accounts", b"[]", "body"),
    ("POST", "accounts", b"\xff\xfe", "body"),
    ("POST", "accounts", b"", "body"),
    ("POST", "accounts", {}, "ucc"),
    ("POST", "accounts", {"ucc": "ab"}, "ucc"),
    ("POST", "accounts", {"ucc": 5}, "ucc"),
    ("POST", "accounts", {"ucc": UCC, "orders_per_second": 0}, "orders_per_second"),
    ("POST", "accounts", {"ucc": UCC, "orders_per_second": "8"}, "orders_per_second"),
    ("POST", "accounts", {"ucc": UCC, "mpin": "12"}, "mpin"),
    ("POST", "accounts", {"ucc": UCC, "totp_secret": "!!!!!!!!"}, "totp_secret"),
    ("POST", "accounts", {"ucc": UCC, "speed": 1}, "speed"),
    ("POST", "accounts", {"ucc": UCC, "mpin_attempts": 0}, "mpin_attempts"),
    ("POST", "accounts", {"ucc": UCC, "session_seconds": 0}, "session_seconds"),
    ("POST", "accounts", {"ucc": UCC, "ip_binding": "some"}, "ip_binding"),
    ("POST", "accounts", {"ucc": UCC, "ip_whitelist": ["127.0.0"]}, "ip_whitelist.0"),
    ("POST", "accounts", {"ucc": UCC, "ip_refusal_status": 500}, "ip_refusal_status"),
    ("POST", "accounts/unlock", {"ucc": "ZZ999"}, "ucc"),
    ("POST", "accounts/unlock", {}, "ucc"),
    ("POST", "clock", {"ahead_seconds": 1e9}, "ahead_seconds"),
    ("POST", "orders", {}, "generate"),
    ("POST", "orders", "x", "body"),
    ("POST", "orders", [order(), 5], "1"),
    ("POST", "orders", [order(), order(ucc="ZZ999")], "1.ucc"),
    ("POST", "orders", [order(variety="iceberg")], "0.variety"),
    ("POST", "orders", [order(order_number="12")], "0.order_number"),
    ("POST", "orders", [order(order_number=260722000000001)], "0.order_number"),
    ("POST", "orders", [order(order_number=NUMBER), order(order_number=NUMBER)], "1.order_number"),
    ("POST", "orders", [order(quantity=0)], "0.quantity"),
    ("POST", "orders", [order(quantity=10, filled_quantity=11)], "0.filled_quantity"),
    ("POST", "orders", [order(state="complete", filled_quantity=3)], "0.filled_quantity"),
    ("POST", "orders", [order(state="")], "0.state"),
    ("POST", "orders", [order(variety="bracket", product="CNC")], "0.product"),
    ("POST", "orders", [order(product="CO")], "0.product"),
    ("POST", "orders", [order(segment="moon")], "0.segment"),
    ("POST", "orders", [order(trading_symbol="tcs eq")], "0.trading_symbol"),
    ("POST", "orders", [order(amo="YES")], "0.amo"),
    ("POST", "orders", [order(colour="red")], "0.colour"),
    ("POST", "orders", {"generate": {"ucc": UCC}}, "generate.count"),
    ("POST", "orders", {"generate": {"ucc": UCC, "count": 0}}, "generate.count"),
    ("POST", "orders", {"generate": {"ucc": "ZZ999", "count": 3}}, "generate.ucc"),
    ("POST", "orders", {"generate": {"ucc": UCC, "count": 3, "order_number": NUMBER}}, "generate.order_number"),
    ("POST", "orders/state", {"order_number": NUMBER, "state": "open"}, "order_number"),
    ("POST", "orders/state", {"order_number": NUMBER}, "state"),
    ("POST", "truth/lookup", {"order_numbers": "x"}, "order_numbers"),
    ("POST", "truth/lookup", {"order_numbers": [5]}, "order_numbers.0"),
    ("GET", "truth?ucc=ZZ999", None, "ucc"),
    ("GET", "truth?account=ZZ999", None, "account"),
    ("GET", "requests?since=yesterday", None, "since"),
    ("GET", "requests?since=nan", None, "since"),
    ("GET", "requests?endpoint=place", None, "endpoint"),
    ("GET", "requests?endpoint=%FF%0A", None, "endpoint"),
    ("POST", "sessions/expire", {"ucc": "ZZ999"}, "ucc"),
    ("POST", "sessions/expire", {"ucc": UCC, "issue": "yes"}, "issue"),
    ("POST", "sessions/expire", {"issue": True}, "issue"),
    ("GET", "sessions/ZZ999", None, "ucc"),
    ("POST", "faults", {"fault": "alter", "on": "login"}, "0.alter.fields"),
    ("POST", "faults", {"fault": "delay", "on": "cancel"}, "0.delay.seconds"),
    ("POST", "faults", {"on": "cancel"}, "0"),
    ("POST", "faults", {"fault": "explode", "on": "cancel"}, "0"),
    ("POST", "faults", {"fault": "reset"}, "0.reset.on"),
    ("POST", "faults", {"fault": "reset", "on": "moon"}, "0.reset.on"),
    ("POST", "faults", {"fault": "reset", "on": "any", "probability": 1.5}, "0.reset.probability"),
    ("POST", "faults", {"fault": "reset", "on": "any", "times": 0}, "0.reset.times"),
    ("POST", "faults", {"fault": "delay", "on": "any", "seconds": -1}, "0.delay.seconds"),
    ("POST", "faults", {"fault": "preset", "on": "any", "preset": "9"}, "0.preset.preset"),
    ("POST", "faults", {"fault": "reply", "on": "any", "status": 99}, "0.reply.status"),
    ("POST", "faults", {"fault": "reply", "on": "any", "headers": {"A": "x\r\nB: y"}}, "0.reply.headers.A"),
    ("POST", "faults", {"fault": "reply", "on": "any", "headers": {"Content-Length": "1"}}, "0.reply.headers"),
    ("POST", "faults", [{"fault": "reset", "on": "any"}, {"fault": "reset", "on": 1}], "1.reset.on"),
]


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_named_and_changes_nothing(sandbox, http, case):
    method, path, body, field = case
    session = sandbox.session(UCC)
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    reply = http.request(method, f"{sandbox.base_url}/_sandbox/{path}", **sent)
    assert 400 == reply.status_code
    error = reply.json()["error"]
    assert error["field"].startswith(field)
    assert {"field", "value", "rule", "message"} == error.keys()
    assert "\n" not in error["message"]
    assert ([], [], session) == (sandbox.truth(), sandbox.faults(), sandbox.session(UCC))


def test_the_client_raises_the_sandboxs_own_words(sandbox):
    with pytest.raises(SandboxError, match=r"quantity: .* greater than or equal to 1, got 0") as caught:
        sandbox.create_orders([order(quantity=0)])
    assert "0.quantity" == caught.value.field


def test_ten_thousand_orders_can_be_created_and_read(sandbox):
    created = sandbox.generate_orders(UCC, 10_000, state="trigger pending")
    assert 10_000 == len({row["order_number"] for row in created})
    assert {"trigger pending"} == {row["state"] for row in sandbox.truth(UCC)}


def test_orders_are_created_as_asked(sandbox):
    created = sandbox.create_orders(
        [
            order(order_number=NUMBER, quantity=7, filled_quantity=3, segment="nse_fo"),
            order(variety="bracket", state="cancelled"),
            order(variety="cover", state="complete", quantity=5),
            order(amo=True, trading_symbol="M&MFIN-EQ", product="MTF"),
        ]
    )
    assert (NUMBER, 7, 3, 4, "NRML", "open") == tuple(
        created[0][key]
        for key in ("order_number", "quantity", "filled_quantity", "unfilled", "product", "initial_state")
    )
    assert ("BO", "before", "cancelled") == tuple(created[1][key] for key in ("product", "cancelled_by", "standing"))
    assert ("CO", 5, "filled") == tuple(created[2][key] for key in ("product", "filled_quantity", "standing"))
    assert ("MTF", "M&MFIN-EQ", "after market order req received") == tuple(
        created[3][key] for key in ("product", "trading_symbol", "state")
    )
    assert created == sandbox.truth()


def test_a_generated_number_never_takes_the_place_of_a_given_one(sandbox):
    (first,) = sandbox.create_orders([order()])
    given = str(int(first["order_number"]) + 1)
    numbers = [row["order_number"] for row in sandbox.create_orders([order(), order(order_number=given)])]
    assert given == numbers[1]
    assert 2 == len(set(numbers))


def test_a_number_is_taken_once_over_all_accounts(sandbox):
    sandbox.create_account("XY999")
    sandbox.create_orders([order(order_number=NUMBER)])
    with pytest.raises(SandboxError, match="must be new"):
        sandbox.create_orders([{"ucc": "XY999", "order_number": NUMBER}])


def test_an_order_can_be_changed_behind_the_apis_back(sandbox):
    sandbox.create_orders([order(order_number=NUMBER)])
    assert 4 == sandbox.set_state(NUMBER, "open", filled_quantity=4)["filled_quantity"]
    with pytest.raises(SandboxError, match="filled_quantity"):
        sandbox.set_state(NUMBER, "open", filled_quantity=11)
    changed = sandbox.set_state(NUMBER, "cancelled", reason="by the client")
    assert ("other", "by the client", 3) == (changed["cancelled_by"], changed["reason"], len(changed["changed_at"]))


def test_a_lookup_leaves_unknown_orders_out(sandbox):
    sandbox.create_orders([order(order_number=NUMBER)])
    assert {NUMBER} == sandbox.lookup([NUMBER, "260722999999999"]).keys()


def test_truth_and_requests_can_be_narrowed(sandbox):
    sandbox.create_account("XY999")
    sandbox.create_orders([order(), {"ucc": "XY999"}])
    assert ["XY999"] == [row["ucc"] for row in sandbox.truth("XY999")]
    session = sandbox.session(UCC)
    headers = {"accept": "application/json", "neo-fin-key": "neotradeapi", "Sid": session.sid, "Auth": session.auth}
    before = time.time()
    httpx.get(f"{session.base_url}/quick/user/orders", headers=headers, trust_env=False)
    (seen,) = sandbox.requests(ucc=UCC, since=before, endpoint="reads")
    assert ("orders", 200, None) == (seen["endpoint"], seen["status"], seen["fault"])
    assert before <= seen["epoch"] <= time.time()
    assert seen["monotonic"] <= time.monotonic()
    assert [] == sandbox.requests(ucc="XY999") + sandbox.requests(since=time.time()) + sandbox.requests(
        endpoint="cancel"
    )
    assert {"orders": 1} == sandbox.stats()["endpoints"]
    sandbox.clear_requests()
    assert [] == sandbox.requests()


def test_an_account_without_a_session_says_so(sandbox):
    sandbox.expire_session(UCC)
    with pytest.raises(SandboxError, match="all of its sessions have expired"):
        sandbox.session(UCC)


def test_a_session_does_not_show_its_token(sandbox):
    session = sandbox.session(UCC)
    assert session.auth not in repr(session)
    assert f"{sandbox.base_url}/r1" == session.base_url


def test_every_preset_is_listed_in_order(sandbox):
    assert list(PRESETS) == sandbox.presets()


def test_an_unknown_control_path_is_an_error_of_the_client(sandbox):
    with pytest.raises(SandboxError, match="HTTP 404"):
        sandbox._call("GET", "nothing")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_when_it_is_ready_and_ends_cleanly(number):
    command = [sys.executable, "-m", "worker.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            line = child.stdout.readline().decode()
            assert line.startswith("sandbox listening on http://127.0.0.1:")
            child.send_signal(number)
            assert (0, b"", b"") == (child.wait(10), child.stdout.read(), child.stderr.read())
        finally:
            child.kill()


def test_a_run_repeats_no_order_number_of_an_earlier_one():
    drawn = []
    for _ in range(2):
        with running_sandbox() as control:
            control.create_account(UCC)
            drawn.append({row["order_number"] for row in control.generate_orders(UCC, 20_000)})
            control.reset()
            control.create_account(UCC)
            drawn.append({row["order_number"] for row in control.generate_orders(UCC, 100)})
    assert 40_200 == len(set.union(*drawn))


def test_a_stalled_call_does_not_hold_up_the_end():
    with running_sandbox() as control:
        session = control.create_account(UCC)
        control.add_fault("stall", on="any", seconds=600)
        headers = {"accept": "application/json", "neo-fin-key": "neotradeapi", "Sid": session.sid, "Auth": session.auth}
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{session.base_url}/quick/user/orders", headers=headers, timeout=0.2, trust_env=False)


def test_a_limit_for_all_accounts_comes_from_the_command_line():
    with running_sandbox("--orders-per-second", "1") as control:
        session = control.create_account(UCC)
        headers = {
            "accept": "application/json",
            "neo-fin-key": "neotradeapi",
            "Sid": session.sid,
            "Auth": session.auth,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        url = f"{session.base_url}/quick/order/cancel"
        with httpx.Client(headers=headers, trust_env=False) as http:
            statuses = [http.post(url, content="jData=%7B%22on%22%3A%221%22%7D").status_code for _ in range(2)]
    assert [200, 429] == statuses


def test_a_taken_port_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match=f"cannot listen on 127.0.0.1:{port}"), running_sandbox(port=port):
            pass


@pytest.mark.parametrize("arguments", [("--port", "x"), ("--orders-per-second", "-1"), ("--colour", "red")])
def test_bad_options_are_refused(arguments):
    with pytest.raises(SandboxError, match="error: "), running_sandbox(*arguments):
        pass


def test_the_client_can_be_closed_by_hand(sandbox):
    control = SandboxControl(sandbox.base_url + "/")
    assert [] == control.truth()
    control.close()
