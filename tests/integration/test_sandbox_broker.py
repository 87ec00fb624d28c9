"""The broker's routes of the sandbox, over a real socket."""

import time
from urllib.parse import urlencode

import httpx
import orjson
import pytest

from worker.sandbox.process import running_sandbox
from worker.sandbox.totp import totp_codes

UCC = "AB123"
ROUTES = {"regular": "/quick/order/cancel", "bracket": "/quick/order/bo/exit", "cover": "/quick/order/co/exit"}
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
LOGIN = {"Authorization": "access-token", "neo-fin-key": "neotradeapi"}


@pytest.fixture(scope="module")
def running():
    with running_sandbox() as control:
        yield control


@pytest.fixture
def sandbox(running):
    running.reset()
    return running


@pytest.fixture(scope="module")
def http():
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client


class Trader:
    """A client that speaks to the broker as the specification says."""

    def __init__(self, http, session) -> None:
        self.http, self.session = http, session
        self.headers = {
            "accept": "application/json",
            "Sid": session.sid,
            "Auth": session.auth,
            "neo-fin-key": "neotradeapi",
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def post(self, path, fields):
        body = urlencode({"jData": orjson.dumps(fields).decode()})
        return self.http.post(self.session.base_url + path, headers=self.headers, content=body)

    def get(self, path):
        return self.http.get(self.session.base_url + path, headers=self.headers)

    def cancel(self, order, variety="regular", **fields):
        fields = {"on": order["order_number"], "am": "NO"} | fields
        return self.post(ROUTES[variety], fields)


@pytest.fixture
def trader(sandbox, http):
    return Trader(http, sandbox.create_account(UCC))


def one(sandbox, **fields):
    return sandbox.create_orders([{"ucc": UCC} | fields])[0]


def truth(sandbox, order):
    return sandbox.lookup([order["order_number"]])[order["order_number"]]


@pytest.mark.parametrize(
    ("call", "code", "reason"),
    [
        ("GET /nowhere", 404, "Not Found"),
        ("POST /r2/quick/order/cancel", 404, "Not Found"),
        ("GET /_sandbox/nowhere", 404, "Not Found"),
        ("GET /quick/order/cancel", 405, "Method Not Allowed"),
    ],
)
def test_an_unknown_path_or_method_is_answered_in_json(sandbox, http, call, code, reason):
    method, path = call.split()
    reply = http.request(method, sandbox.base_url + path)
    assert (code, "application/json") == (reply.status_code, reply.headers["Content-Type"])
    assert {"stat": "Not_Ok", "stCode": code, "errMsg": f"{reason}: {call}"} == reply.json()


@pytest.mark.parametrize("variety", list(ROUTES))
@pytest.mark.parametrize(
    "state", ["open", "trigger pending", "modified", "not cancelled", "validation pending", "some new state"]
)
def test_a_working_order_is_cancelled_on_its_own_route(sandbox, trader, variety, state):
    order = one(sandbox, variety=variety, state=state)
    reply = trader.cancel(order, variety)
    assert {"nOrdNo": order["order_number"], "stat": "Ok", "stCode": 200} == reply.json()
    found = truth(sandbox, order)
    assert ("cancelled", "api", 1, 1) == tuple(
        found[key] for key in ("state", "cancelled_by", "cancel_requests", "effects")
    )


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("cancelled", 200, 1006),
        ("cancel pending", 200, 1006),
        ("rejected", 200, 1006),
        ("expired", 200, 1006),
        ("complete", 400, 1021),
        ("traded", 400, 1021),
    ],
)
def test_an_order_that_no_longer_works_is_refused(sandbox, trader, state, status, code):
    order = one(sandbox, state=state)
    reply = trader.cancel(order)
    assert (status, code) == (reply.status_code, reply.json()["stCode"])
    assert (state, 1, 0) == tuple(truth(sandbox, order)[key] for key in ("state", "cancel_requests", "effects"))


def test_a_second_cancel_is_not_found(sandbox, trader):
    order = one(sandbox)
    trader.cancel(order)
    assert {"stat": "Not_Ok", "emsg": "Order already cancelled or not found.", "stCode": 1006} == (
        trader.cancel(order).json()
    )
    assert (2, 1) == (truth(sandbox, order)["cancel_requests"], truth(sandbox, order)["effects"])


def test_an_order_of_another_account_is_not_found(sandbox, trader):
    sandbox.create_account("XY999")
    order = one(sandbox, ucc="XY999")
    assert 1006 == trader.cancel(order).json()["stCode"]
    assert ("open", 0) == (truth(sandbox, order)["state"], truth(sandbox, order)["cancel_requests"])


@pytest.mark.parametrize("variety", list(ROUTES))
@pytest.mark.parametrize("route", list(ROUTES))
def test_only_the_route_of_the_variety_works(sandbox, trader, variety, route):
    order = one(sandbox, variety=variety)
    expected = 200 if variety == route else 1009
    assert expected == trader.cancel(order, route).json()["stCode"]


@pytest.mark.parametrize(
    ("amo", "fields", "code"),
    [
        (True, {"am": "YES", "ts": "M&MFIN-EQ"}, 200),
        (True, {"am": "YES", "ts": "TCS-EQ"}, 1009),
        (True, {"am": "YES"}, 1009),
        (True, {"am": "NO"}, 1009),
        (False, {"am": "YES", "ts": "M&MFIN-EQ"}, 1009),
        (False, {"am": "NO", "ts": "M&MFIN-EQ"}, 200),
    ],
)
def test_an_amo_needs_its_flag_and_symbol(sandbox, trader, amo, fields, code):
    order = one(sandbox, amo=amo, trading_symbol="M&MFIN-EQ")
    assert code == trader.cancel(order, **fields).json()["stCode"]


@pytest.mark.parametrize("name", ["accept", "neo-fin-key", "Content-Type"])
def test_a_wrong_header_is_a_definite_error(sandbox, trader, name):
    order = one(sandbox)
    trader.headers[name] = "other"
    assert (400, 1009) == (trader.cancel(order).status_code, trader.cancel(order).json()["stCode"])
    assert "open" == truth(sandbox, order)["state"]


@pytest.mark.parametrize("name", ["Sid", "Auth"])
@pytest.mark.parametrize("path", ["/quick/user/orders", "/quick/user/orders/1"])
def test_a_wrong_session_is_refused(trader, name, path):
    trader.headers[name] = "other"
    reply = trader.get(path)
    assert (401, {"stCode": 100022, "errMsg": "invalid session token", "stat": "Not_Ok"}) == (
        reply.status_code,
        reply.json(),
    )


def test_an_expired_session_is_refused_until_a_new_one_is_used(sandbox, trader, http):
    order = one(sandbox)
    sandbox.expire_session(UCC)
    assert 100022 == trader.cancel(order).json()["stCode"]
    assert 100022 == trader.get("/quick/user/orders").json()["stCode"]
    renewed = Trader(http, sandbox.renew_session(UCC))
    assert renewed.session == sandbox.session(UCC)
    assert 200 == renewed.cancel(order).json()["stCode"]
    assert 2 == truth(sandbox, order)["cancel_requests"]


def test_the_routes_work_at_the_root_too(sandbox, trader, http):
    order = one(sandbox)
    reply = http.get(f"{sandbox.base_url}/quick/user/orders/{order['order_number']}", headers=trader.headers)
    assert order["order_number"] == reply.json()["data"][0]["nOrdNo"]


def test_bad_bodies_and_queries_are_definite_errors(trader):
    assert (
        1007
        == trader.http.post(trader.session.base_url + ROUTES["regular"], headers=trader.headers, content=b"{}").json()[
            "stCode"
        ]
    )
    assert 1009 == trader.post(ROUTES["regular"], {"on": "1", "extra": 1}).json()["stCode"]
    assert 5202 == trader.get("/quick/user/orders?x=1").json()["stCode"]
    assert 5203 == trader.get("/quick/user/orders?sId=server1").json()["stCode"]


def test_reads_show_book_order_and_history(sandbox, trader):
    orders = sandbox.create_orders(
        [{"ucc": UCC}, {"ucc": UCC, "variety": "bracket"}, {"ucc": UCC, "amo": True, "segment": "mcx_fo"}]
    )
    trader.cancel(orders[0])
    book = trader.get("/quick/user/orders").json()
    assert "Ok" == book["stat"]
    assert [("cancelled", "CNC"), ("open", "BO"), ("after market order req received", "NRML")] == [
        (row["ordSt"], row["prod"]) for row in book["data"]
    ]
    assert "AMO" == book["data"][2]["ordGenTp"]
    single = trader.get(f"/quick/user/orders/{orders[1]['order_number']}").json()
    assert [book["data"][1]] == single["data"]
    history = trader.post("/quick/order/history", {"nOrdNo": orders[0]["order_number"]}).json()
    assert ["cancelled", "open"] == [row["ordSt"] for row in history["data"]]


def test_history_can_come_wrapped_twice(sandbox, http):
    trader = Trader(http, sandbox.create_account(UCC, history_wrapped=True))
    order = one(sandbox)
    history = trader.post("/quick/order/history", {"nOrdNo": order["order_number"]}).json()
    assert ["open"] == [row["ordSt"] for row in history["data"]["data"]]


def test_what_is_not_there_reads_as_no_data(trader):
    no_data = {"stat": "Not_Ok", "errMsg": "No Data", "stCode": 5203}
    assert no_data == trader.get("/quick/user/orders").json()
    assert no_data == trader.get("/quick/user/orders/260722000000001").json()
    assert no_data == trader.post("/quick/order/history", {"nOrdNo": "260722000000001"}).json()
    assert 1009 == trader.post("/quick/order/history", {"on": "1"}).json()["stCode"]


def test_an_account_can_be_slow_to_cancel(sandbox, http):
    trader = Trader(http, sandbox.create_account(UCC, cancel_pending_seconds=0.2))
    order = one(sandbox)
    assert "Ok" == trader.cancel(order).json()["stat"]
    assert "cancel pending" == truth(sandbox, order)["state"]
    assert ("cancelled", "api") == settled(sandbox, order, "cancelled")


def settled(sandbox, order, state, timeout_seconds=5.0):
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        found = truth(sandbox, order)
        if found["state"] == state:
            break
        time.sleep(0.02)
    return found["state"], found["cancelled_by"]


def test_a_fill_during_cancel_pending_wins(sandbox, http):
    trader = Trader(http, sandbox.create_account(UCC, cancel_pending_seconds=0.1))
    order = one(sandbox)
    trader.cancel(order)
    sandbox.set_state(order["order_number"], "complete")
    time.sleep(0.2)
    assert ("complete", None) == (truth(sandbox, order)["state"], truth(sandbox, order)["cancelled_by"])


def test_cancels_above_the_rate_are_429_without_effect(sandbox, http):
    trader = Trader(http, sandbox.create_account(UCC, orders_per_second=3))
    orders = sandbox.generate_orders(UCC, 5)
    replies = [trader.cancel(order) for order in orders]
    assert [200, 200, 200, 429, 429] == [reply.status_code for reply in replies]
    assert {"code": 429, "error": "Rate limit exceeded", "message": "too many request received"} == replies[4].json()
    assert 3 == sum(order["effects"] for order in sandbox.truth(UCC))
    assert {UCC: 5} == sandbox.stats()["busiest_second"]


def test_reads_have_a_rate_of_their_own(sandbox, http):
    trader = Trader(http, sandbox.create_account(UCC, reads_per_second=1, orders_per_second=1))
    statuses = [trader.get("/quick/user/orders").status_code for _ in range(2)]
    assert [200, 429, 200] == [*statuses, trader.cancel(one(sandbox)).status_code]


def log_in(http, sandbox, totp="123456", mpin="654321", **headers):
    body = {"mobileNumber": "+919999999999", "ucc": UCC, "totp": totp}
    viewed = http.post(f"{sandbox.base_url}/login/1.0/tradeApiLogin", headers=LOGIN | headers, json=body)
    if "data" not in viewed.json():
        return viewed
    view = {"Auth": viewed.json()["data"]["token"], "sid": viewed.json()["data"]["sid"]}
    return http.post(f"{sandbox.base_url}/login/1.0/tradeApiValidate", headers=LOGIN | view, json={"mpin": mpin})


def test_a_login_opens_a_further_session(sandbox, trader, http):
    data = log_in(http, sandbox).json()["data"]
    assert ("Trade", "success", f"{sandbox.base_url}/r1") == (data["kType"], data["status"], data["baseUrl"])
    assert trader.session.auth != data["token"]
    ip_headers = LOGIN | {"Auth": data["token"], "Sid": data["sid"]}
    reply = http.get(f"{sandbox.base_url}/login/1.0/get-client-ip", headers=ip_headers)
    assert {"data": [{"ip": "127.0.0.1"}], "stCode": 1000} == reply.json()
    assert 5203 == trader.get("/quick/user/orders").json()["stCode"]
    assert {UCC: 1} == sandbox.stats()["logins"]


def test_configured_secrets_are_checked_and_a_totp_works_once(sandbox, http):
    sandbox.create_account(UCC, mpin="111111", totp_secret=SECRET)
    # This step's code and the next one's: both stay good while the test runs.
    now = time.time()
    code, another = totp_codes(SECRET, now) & totp_codes(SECRET, now + 30)
    assert "401" == log_in(http, sandbox, totp="12345x").json()["errorCode"]
    assert "401" == log_in(http, sandbox, totp=code, mpin="222222").json()["errorCode"]
    assert "401" == log_in(http, sandbox, totp=code, mpin="111111").json()["errorCode"]
    assert "Trade" == log_in(http, sandbox, totp=another, mpin="111111").json()["data"]["kType"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"totp": "12345"}, 401), ({"mpin": "abc"}, 401), ({"Authorization": ""}, 401), ({"neo-fin-key": "x"}, 400)],
)
def test_a_bad_login_is_refused(sandbox, http, changes, status):
    sandbox.create_account(UCC)
    assert status == log_in(http, sandbox, **changes).status_code
    assert {UCC: 0} == sandbox.stats()["logins"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "body invalid"),
        (b"[]", 400, "body invalid"),
        (b'{"ucc":"AB123","totp":"123456"}', 400, "mobileNumber"),
        (b'{"mobileNumber":"1","ucc":"ZZ999","totp":"123456"}', 200, "Invalid UCC"),
    ],
)
def test_a_login_with_a_bad_body_is_refused(sandbox, http, body, status, said):
    sandbox.create_account(UCC)
    reply = http.post(f"{sandbox.base_url}/login/1.0/tradeApiLogin", headers=LOGIN, content=body)
    assert status == reply.status_code
    assert said in reply.text


def test_validation_and_address_need_a_session(sandbox, http):
    assert 401 == http.post(f"{sandbox.base_url}/login/1.0/tradeApiValidate", headers=LOGIN, json={}).status_code
    assert 401 == http.get(f"{sandbox.base_url}/login/1.0/get-client-ip", headers=LOGIN).status_code
