"""Kotak's own SDK works against the sandbox as it does against the broker."""

import importlib
import time

import pytest
import structlog

from worker.sandbox.process import running_sandbox
from worker.sandbox.totp import totp_codes

UCC = "AB123"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox() as control:
        yield control


@pytest.fixture(scope="module")
def sdk():
    # Its import opens a log file and configures structlog for the whole process: neither may outlast these tests.
    before = structlog.get_config()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEO_LOG_FILE_ENABLED", "false")
        patch.setenv("NEO_LOG_LEVEL", "CRITICAL")
        yield importlib.import_module("neo_api_client")
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def client(sandbox, sdk, monkeypatch):
    # The SDK has no argument for its hosts; these two constants are its only setting of them.
    hosts = importlib.import_module("neo_api_client.utils.neo_utility")
    monkeypatch.setattr(hosts, "SESSION_PROD_BASE_URL", sandbox.base_url)
    monkeypatch.setattr(hosts, "CONFIG_SERVICE_URL_PROD", f"{sandbox.base_url}/config")
    sandbox.reset()
    sandbox.create_account(UCC, mpin="123456")
    client = sdk.NeoAPI(consumer_key="access-token", environment="prod")
    yield client
    client.api_client.rest_client.close()


def log_in(client):
    viewed = client.totp_login(mobile_number="+919999999999", ucc=UCC, totp="654321")
    assert "View" == viewed["data"]["kType"]
    return client.totp_validate(mpin="123456")


def test_the_sdk_logs_in_and_keeps_the_path_of_the_base_url(client, sandbox):
    validated = log_in(client)
    assert "Trade" == validated["data"]["kType"]
    assert f"{sandbox.base_url}/r1" == validated["data"]["baseUrl"]
    assert {UCC: 1} == sandbox.stats()["logins"]


def test_the_sdk_logs_in_where_every_rule_is_in_force(client, sandbox):
    sandbox.create_account(
        UCC,
        mpin="123456",
        totp_secret=SECRET,
        access_token="access-token",
        mobile="+919999999999",
        mpin_attempts=1,
        session_seconds=3600,
        session_limit=1,
        ip_binding="all",
        ip_whitelist=["127.0.0.1"],
        login_seconds=0.01,
    )
    client.totp_login(mobile_number="+919999999999", ucc=UCC, totp=totp_codes(SECRET, time.time(), drift=0).pop())
    assert "Trade" == client.totp_validate(mpin="123456")["data"]["kType"]
    (order,) = sandbox.create_orders([{"ucc": UCC}])
    assert "Ok" == client.cancel_order(order_id=order["order_number"])["stat"]


def test_a_wrong_mpin_gives_the_sdk_no_session(client):
    client.totp_login(mobile_number="+919999999999", ucc=UCC, totp="654321")
    assert "401" == client.totp_validate(mpin="000000")["errorCode"]


def test_the_sdk_reads_book_order_history_and_its_address(client, sandbox):
    (order,) = sandbox.create_orders([{"ucc": UCC}])
    number = order["order_number"]
    log_in(client)
    assert [number] == [row["nOrdNo"] for row in client.order_report()["data"]]
    assert "open" == client.order_report(order_id=number)["data"][0]["ordSt"]
    assert [number] == [row["nOrdNo"] for row in client.order_history(order_id=number)["data"]["data"]]
    assert [{"ip": "127.0.0.1"}] == client.whatsmyip()["data"]


def test_the_sdk_cancels_a_regular_order_and_the_truth_shows_it(client, sandbox):
    (order,) = sandbox.create_orders([{"ucc": UCC}])
    number = order["order_number"]
    log_in(client)
    assert {"nOrdNo": number, "stat": "Ok", "stCode": 200} == client.cancel_order(order_id=number)
    truth = sandbox.lookup([number])[number]
    assert ("cancelled", "api", 1) == (truth["state"], truth["cancelled_by"], truth["effects"])


def test_the_sdk_hears_that_a_completed_order_is_too_late(client, sandbox):
    (order,) = sandbox.create_orders([{"ucc": UCC, "state": "complete"}])
    log_in(client)
    reply = client.cancel_order(order_id=order["order_number"])
    assert (1021, 400) == (reply["stCode"], reply["status_code"])
