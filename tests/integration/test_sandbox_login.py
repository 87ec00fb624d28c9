"""Logins and sessions of the sandbox under their rules, over a real socket."""

import base64
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from email.utils import parsedate_to_datetime

import httpx
import orjson
import pytest

from worker.sandbox.control import SandboxError
from worker.sandbox.process import running_sandbox
from worker.sandbox.totp import totp_codes

UCC = "AB123"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
TOKEN = "access-token"
HERE, THERE, ELSEWHERE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@pytest.fixture(scope="module")
def running():
    with running_sandbox() as control:
        yield control


@pytest.fixture
def sandbox(running):
    running.reset()
    return running


class Client:
    """A client of the broker that logs in as the documentation says, from an address of its own."""

    def __init__(self, sandbox, address=HERE, access_token=TOKEN):
        self.headers = {"Authorization": access_token, "neo-fin-key": "neotradeapi"}
        self.root, self.trade = f"{sandbox.base_url}/login/1.0", {}
        self.http = httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=10)

    def close(self):
        self.http.close()

    def begin(self, totp="123456", mobile="+919999999999", ucc=UCC):
        body = {"mobileNumber": mobile, "ucc": ucc, "totp": totp}
        return self.http.post(f"{self.root}/tradeApiLogin", headers=self.headers, json=body)

    def finish(self, viewed, mpin="654321"):
        view = viewed.json()["data"]
        headers = self.headers | {"Auth": view["token"], "sid": view["sid"]}
        return self.http.post(f"{self.root}/tradeApiValidate", headers=headers, json={"mpin": mpin})

    def log_in(self, *, mpin="654321", **first):
        viewed = self.begin(**first)
        reply = self.finish(viewed, mpin) if "data" in viewed.json() else viewed
        self.trade = reply.json().get("data", {})
        return reply

    def call(self, method, path, **more):
        headers = {"accept": "application/json", "Sid": self.trade["sid"], "Auth": self.trade["token"]}
        headers |= {"neo-fin-key": "neotradeapi", "Content-Type": "application/x-www-form-urlencoded"}
        return self.http.request(method, path, headers=headers, **more)

    def read(self):
        """Read the order book; returns its code: 5203 from a session that works, as there are no orders."""
        return self.call("GET", self.trade["baseUrl"] + "/quick/user/orders").json()["stCode"]

    def cancel(self):
        """Cancel an order that does not exist; 1006 from a session that works."""
        return self.call(
            "POST", self.trade["baseUrl"] + "/quick/order/cancel", content="jData=%7B%22on%22%3A%221%22%7D"
        )


@pytest.fixture
def client(sandbox):
    with ExitStack() as opened:
        yield lambda *given, **named: opened.enter_context(closing(Client(sandbox, *given, **named)))


def payload_of(token):
    part = token.split(".")[1]
    return orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def counted(sandbox, *names):
    logins = sandbox.logins(UCC)
    return tuple(logins[name] for name in names)


def test_a_session_ends_by_time_and_its_token_says_when(sandbox, client):
    sandbox.create_account(UCC, session_seconds=0.2)
    trader = client()
    before = time.time()
    trader.log_in()
    assert before - 1 < payload_of(trader.trade["token"])["exp"] <= time.time() + 0.2
    while trader.read() != 100022:
        assert 10 > time.time() - before
    assert (1, 0) == counted(sandbox, "logins", "sessions")
    trader.log_in()
    assert 2 == sandbox.logins(UCC)["logins"]


def test_every_session_can_be_ended_on_command(sandbox, client):
    sandbox.create_account(UCC)
    sandbox.create_account("XY999")
    first, other = client(), client()
    first.log_in()
    other.log_in(ucc="XY999")
    # Two of logins, and two that came with the accounts.
    assert 4 == sandbox.expire_sessions()
    assert [100022, 100022] == [first.read(), other.read()]
    assert 0 == sandbox.expire_session(UCC)


def test_sessions_can_be_ended_from_the_command_line(sandbox, client):
    sandbox.create_account(UCC)
    sandbox.create_account("XY999")
    command = [sys.executable, "-m", "worker.sandbox.expire", "--url", sandbox.base_url]
    asked = [[UCC], [], ["ZZ999"]]
    runs = [subprocess.run([*command, *named], capture_output=True, text=True, check=False) for named in asked]
    assert ["1 sessions ended\n", "1 sessions ended\n", ""] == [run.stdout for run in runs]
    assert [0, 0, 1] == [run.returncode for run in runs]
    assert "must be an account of the sandbox" in runs[2].stderr


def test_a_sandbox_that_is_away_is_one_line_of_the_command(unused_port):
    command = [sys.executable, "-m", "worker.sandbox.expire", "--url", f"http://127.0.0.1:{unused_port}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (1, 1) == (run.returncode, len(run.stderr.splitlines()))


@pytest.mark.parametrize(
    ("binding", "read", "cancel"), [("off", 5203, 1006), ("orders", 5203, 1037), ("all", 1037, 1037)]
)
def test_a_session_may_be_bound_to_the_address_of_its_login(sandbox, client, binding, read, cancel):
    sandbox.create_account(UCC, ip_binding=binding)
    here, there = client(), client(THERE)
    here.log_in()
    there.trade = here.trade
    assert [5203, 1006] == [here.read(), here.cancel().json()["stCode"]]
    assert [read, cancel] == [there.read(), there.cancel().json()["stCode"]]
    assert [read, cancel].count(1037) == sandbox.logins(UCC)["foreign_ip"]


@pytest.mark.parametrize("status", [200, 401, 403])
def test_cancels_from_an_address_off_the_whitelist_are_100008_and_reads_are_not(sandbox, client, status):
    sandbox.create_account(UCC, ip_whitelist=[HERE], ip_refusal_status=status)
    there = client(THERE)
    there.log_in()
    reply = there.cancel()
    assert (status, 100008, 5203) == (reply.status_code, reply.json()["stCode"], there.read())
    assert 1 == sandbox.logins(UCC)["not_whitelisted"]


def test_the_caller_is_told_the_address_that_the_broker_saw(sandbox, client):
    sandbox.create_account(UCC)
    there = client(THERE)
    there.log_in()
    url = f"{sandbox.base_url}/login/1.0/get-client-ip"
    assert [{"ip": THERE}] == there.call("GET", url).json()["data"]
    there.http.headers["X-Sandbox-IP"] = "203.0.113.7"
    assert [{"ip": "203.0.113.7"}] == there.call("GET", url).json()["data"]


def test_a_login_beyond_the_limit_ends_the_oldest_session(sandbox, client):
    sandbox.create_account(UCC, session_limit=2)
    hosts = [client(address) for address in (HERE, THERE, ELSEWHERE)]
    for host in hosts:
        host.log_in()
    assert [100022, 5203, 5203] == [host.read() for host in hosts]
    assert (3, 2, 0, 1) == counted(sandbox, "logins", "sessions", "replaced", "pushed_out")


def test_a_login_takes_the_place_of_the_session_of_its_own_address(sandbox, client):
    sandbox.create_account(UCC, session_limit=2)
    hosts = [client(address) for address in (HERE, THERE, THERE)]
    for host in hosts:
        host.log_in()
    assert [5203, 100022, 5203] == [host.read() for host in hosts]
    assert (2, 1, 0) == counted(sandbox, "sessions", "replaced", "pushed_out")


def test_without_a_limit_every_session_lives_on(sandbox, client):
    sandbox.create_account(UCC)
    hosts = [client() for _ in range(4)]
    for host in hosts:
        host.log_in()
    assert [5203] * 4 == [host.read() for host in hosts]


def test_wrong_mpins_lock_the_account_until_it_is_unlocked(sandbox, client):
    sandbox.create_account(UCC, mpin="111111", mpin_attempts=2)
    trader = client()
    said = [trader.log_in(mpin=mpin).json().get("message") for mpin in ("222222", "333333", "111111")]
    assert ["Invalid MPIN.", "Invalid MPIN.", "Account is locked after too many wrong MPINs."] == said
    assert (0, 2, 1, True) == counted(sandbox, "logins", "wrong_mpin", "locked", "is_locked")
    sandbox.unlock(UCC)
    assert "Trade" == trader.log_in(mpin="111111").json()["data"]["kType"]
    assert (1, False) == counted(sandbox, "logins", "is_locked")


def test_a_right_mpin_forgives_the_wrong_ones_before_it(sandbox, client):
    sandbox.create_account(UCC, mpin="111111", mpin_attempts=2)
    trader = client()
    statuses = [trader.log_in(mpin=mpin).status_code for mpin in ("222222", "111111", "222222", "111111")]
    assert [401, 200, 401, 200] == statuses


def test_an_account_that_is_created_anew_is_unlocked(sandbox, client):
    for _ in range(2):
        sandbox.create_account(UCC, mpin="111111", mpin_attempts=1)
        assert "Invalid MPIN." == client().log_in(mpin="222222").json()["message"]


@pytest.mark.parametrize(
    ("rules", "counter"),
    [
        ({"access_token": "another"}, "wrong_credentials"),
        ({"mobile": "+910000000000"}, "wrong_credentials"),
        ({"totp_secret": SECRET}, "wrong_totp"),
    ],
)
def test_what_the_account_has_must_be_what_is_sent(sandbox, client, rules, counter):
    sandbox.create_account(UCC, **rules)
    reply = client().log_in(totp="12345x" if "totp_secret" in rules else "123456")
    assert (401, "Invalid credentials or TOTP.") == (reply.status_code, reply.json()["message"])
    assert (1, 0, 1) == counted(sandbox, "attempts", "accepted", counter)


def test_the_second_call_needs_the_access_token_too(sandbox, client):
    sandbox.create_account(UCC, access_token="right")
    viewed = client(access_token="right").begin()
    assert "401" == client(access_token="wrong").finish(viewed).json()["errorCode"]
    assert (1, 0, 1) == counted(sandbox, "accepted", "logins", "wrong_credentials")


def test_a_code_is_taken_once_and_what_becomes_of_it_is_counted(sandbox, client):
    sandbox.create_account(UCC, totp_secret=SECRET)
    code = totp_codes(SECRET, time.time()).pop()
    statuses = [client().begin(code).status_code for _ in range(2)]
    assert [200, 401] == statuses
    assert (2, 1, 1, 0) == counted(sandbox, "attempts", "accepted", "reused_totp", "wrong_totp")


def test_without_drift_a_code_of_another_step_is_wrong(sandbox, client):
    sandbox.create_account(UCC, totp_secret=SECRET, totp_drift=0)
    now = time.time()
    others = totp_codes(SECRET, now, drift=4) - totp_codes(SECRET, now, drift=2)
    assert [401, 401, 401, 401] == [client().begin(code).status_code for code in others]


def test_a_first_half_becomes_one_session(sandbox, client):
    sandbox.create_account(UCC, login_seconds=0.1)
    trader = client()
    viewed = trader.begin()
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(trader.finish(viewed).status_code)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [200, 401] == sorted(replies)
    assert (1, 2) == counted(sandbox, "logins", "most_at_once")
    assert 2 == sandbox.all_logins()["most_at_once"]


def test_a_slow_login_takes_its_time_in_both_calls(sandbox, client):
    sandbox.create_account(UCC)
    trader = client()
    viewed = trader.begin()
    sandbox.create_account(UCC, login_seconds=600)
    trader.http.timeout = 0.2
    with pytest.raises(httpx.ReadTimeout):
        trader.begin()
    with pytest.raises(httpx.ReadTimeout):
        trader.finish(viewed)


def test_the_brokers_clock_may_be_ahead(sandbox, client):
    sandbox.create_account(UCC, totp_secret=SECRET, totp_drift=0)
    sandbox.set_clock(ahead_seconds=600)
    now = time.time()
    # The step of the code and the one after it: the check may come a moment later.
    codes = [totp_codes(SECRET, now + ahead, drift=0).pop() for ahead in (0, 600, 630)]
    replies = [client().begin(code) for code in codes]
    assert 401 == replies[0].status_code
    assert 200 in [reply.status_code for reply in replies[1:]]
    assert 590 < parsedate_to_datetime(replies[0].headers["Date"]).timestamp() - now < 620


def test_the_date_header_alone_may_be_wrong(sandbox, client):
    sandbox.create_account(UCC, totp_secret=SECRET)
    sandbox.set_clock(date_ahead_seconds=-600)
    now = time.time()
    reply = client().begin(totp_codes(SECRET, now, drift=0).pop())
    assert 200 == reply.status_code
    assert -620 < parsedate_to_datetime(reply.headers["Date"]).timestamp() - now < -580


def test_a_reset_puts_clock_and_counts_right(sandbox, client):
    sandbox.create_account(UCC)
    client().log_in()
    sandbox.set_clock(ahead_seconds=600)
    sandbox.reset()
    assert {"ahead_seconds": 0.0, "date_ahead_seconds": 0.0} == sandbox._call("GET", "clock")
    assert {"accounts": {}, "most_at_once": 0} == sandbox.all_logins()


def test_a_token_may_tell_nothing(sandbox, client):
    sandbox.create_account(UCC, tokens="opaque")
    trader = client()
    trader.log_in()
    assert "." not in trader.trade["token"]
    assert 5203 == trader.read()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"baseUrl": "http://broker.test"}, {"baseUrl": "http://broker.test", "kType": "Trade"}),
        ({"kType": "View"}, {"kType": "View", "status": "success"}),
        ({"token": None, "status": "failure"}, {"token": None, "status": "failure"}),
    ],
)
def test_a_fault_alters_what_a_login_says(sandbox, client, fields, expected):
    sandbox.create_account(UCC)
    sandbox.add_fault("alter", on="validate", fields=fields)
    data = client().log_in().json()["data"]
    assert expected == {name: data.get(name) for name in expected}
    assert 1 == sandbox.logins(UCC)["logins"]


def test_a_fault_alters_a_reply_without_data_at_its_top(sandbox, client):
    sandbox.create_account(UCC, mpin="111111")
    sandbox.add_fault("alter", on="validate", fields={"message": "else"})
    assert "else" == client().log_in().json()["message"]


@pytest.mark.parametrize(("on", "hit"), [("totp", [504, 200]), ("validate", [200, 504]), ("login", [504, 504])])
def test_a_fault_may_hit_one_of_the_two_calls(sandbox, client, on, hit):
    sandbox.create_account(UCC)
    trader = client()
    viewed = trader.begin()
    sandbox.add_fault("preset", on=on, preset="html_504")
    assert hit == [trader.begin().status_code, trader.finish(viewed).status_code]


@pytest.mark.parametrize(
    ("preset", "status", "content_type"),
    [
        ("login_html", 200, "text/html"),
        ("login_invalid_http200", 200, "application/json"),
        ("login_error_list", 200, "application/json"),
        ("login_error_in_data", 200, "application/json"),
        ("login_wrong_mpin", 401, "application/json"),
        ("100008_http403", 403, "application/json"),
    ],
)
def test_a_login_may_fail_in_many_shapes(sandbox, client, preset, status, content_type):
    sandbox.create_account(UCC)
    sandbox.add_fault("preset", on="totp", preset=preset)
    reply = client().begin()
    assert (status, content_type, False) == (reply.status_code, reply.headers["Content-Type"], '"token"' in reply.text)
    assert (1, 0) == counted(sandbox, "attempts", "accepted")


def test_a_redirect_may_be_ordered(sandbox, client):
    sandbox.create_account(UCC)
    sandbox.add_fault("reply", on="totp", status=307, headers={"Location": "http://broker.test/"})
    assert (307, "http://broker.test/") == ((reply := client().begin()).status_code, reply.headers["Location"])


def test_rules_of_all_accounts_come_from_the_command_line():
    options = ["--login", "session_limit=1", "--login", "ip_binding=all", "--login", 'ip_whitelist=["127.0.0.2"]']
    with running_sandbox(*options, "--clock", "date_ahead_seconds=3600") as sandbox, ExitStack() as opened:
        sandbox.create_account(UCC)
        sandbox.create_account("XY999", ip_binding="off")
        first, second, other = (opened.enter_context(closing(Client(sandbox))) for _ in range(3))
        first.log_in()
        reply = second.log_in()
        assert [100022, 5203] == [first.read(), second.read()]
        assert 3500 < parsedate_to_datetime(reply.headers["Date"]).timestamp() - time.time() < 3700
        other.log_in(ucc="XY999")
        second.http.headers["X-Sandbox-IP"] = other.http.headers["X-Sandbox-IP"] = THERE
        assert [1037, 5203] == [second.read(), other.read()]
        assert [1037, 1006] == [trader.cancel().json()["stCode"] for trader in (second, other)]


@pytest.mark.parametrize(
    "option",
    [
        ("--login", "session_limit=0"),
        ("--login", "mpin=123456"),
        ("--login", "tokens=jwe"),
        ("--clock", "ahead_seconds=x"),
    ],
)
def test_a_bad_rule_on_the_command_line_is_refused(option):
    with pytest.raises(SandboxError, match=option[1].partition("=")[0]), running_sandbox(*option):
        pass
