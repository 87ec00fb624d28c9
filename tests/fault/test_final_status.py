"""One rule of the final status at a time, end to end: a real worker node, a real Valkey, the sandbox broker."""

import pytest

from neo_cancel.record import Status
from tests.fault.rig import PATIENT, asked
from worker.ops.embedded import free_port
from worker.ops.process import wait_until
from worker.sandbox.process import running_sandbox


def test_what_was_filled_before_is_recorded(rig, producer, ucc):
    """A cancelled order says how much of it was executed."""
    number = rig.make(ucc, quantity=10, filled_quantity=4)
    record = producer.enqueue(asked(ucc, number)).wait(PATIENT)
    said = record.status, record.verified, record.filled_quantity, record.unfilled_quantity
    assert (Status.CANCELLED, True, 4, 6) == said


def test_a_cancel_the_exchange_refused_is_tried_again(rig, producer, ucc):
    """Ok, then `not cancelled` in the book: its reason is in the log, the second cancel works."""
    number = rig.make(ucc)
    rig.sandbox.add_fault("refuse_late", on="cancel", order_number=number, times=1, reason="RMS: circuit limit")
    record = producer.enqueue(asked(ucc, number)).wait(PATIENT)
    reasons = [line["reason"] for line in rig.logged("cancel refused by the exchange") if number in line["order"]]
    assert (Status.CANCELLED, 2) == (record.status, record.attempts)
    assert {"RMS: circuit limit"} == set(reasons)


def test_a_cancel_the_exchange_refuses_to_the_end_is_refused(rig, producer, ucc):
    """With the book's reason, and proven."""
    number = rig.make(ucc)
    rig.sandbox.add_fault("refuse_late", on="cancel", order_number=number, reason="RMS: circuit limit")
    record = producer.enqueue(asked(ucc, number, deadline=4.0)).wait(PATIENT)
    assert (Status.REFUSED, "RMS: circuit limit", True) == (record.status, record.text, record.verified)
    assert record.attempts >= 2


def test_an_order_the_book_does_not_have_is_not_found(rig, producer, ucc):
    """The book was read, it has other orders, and the broker says no, too."""
    rig.make(ucc)
    record = producer.enqueue(asked(ucc, "260722999999999")).wait(PATIENT)
    assert (Status.NOT_FOUND, True) == (record.status, record.verified)


def test_an_empty_book_proves_nothing(producer, ucc):
    """5203 for an account without orders: the broker's word stands, unverified."""
    record = producer.enqueue(asked(ucc, "260722999999999")).wait(PATIENT)
    assert (Status.REFUSED, "1006", False) == (record.status, record.code, record.verified)


@pytest.mark.parametrize(
    ("live", "request_", "corrected"),
    [
        ({"variety": "bracket"}, {}, ("variety",)),
        ({"variety": "cover"}, {"variety": "bracket"}, ("variety",)),
        ({}, {"variety": "cover"}, ("variety",)),
        ({"amo": True, "trading_symbol": "M&M-EQ"}, {}, ("amo", "trading_symbol")),
        ({"amo": True, "trading_symbol": "M&M-EQ"}, {"amo": True, "trading_symbol": "TCS-EQ"}, ("trading_symbol",)),
        ({"trading_symbol": "TCS-EQ"}, {"amo": True, "trading_symbol": "TCS-EQ"}, ("amo",)),
    ],
)
def test_the_live_row_corrects_the_request(rig, producer, ucc, live, request_, corrected):  # noqa: PLR0917
    """What the book knows better is taken from it, used, and recorded as corrected."""
    number = rig.make(ucc, **live)
    record = producer.enqueue(asked(ucc, number, **request_)).wait(PATIENT)
    truth = rig.sandbox.lookup([number])[number]
    assert (Status.CANCELLED, corrected, "api") == (record.status, record.corrected, truth["cancelled_by"])
    assert (truth["variety"], truth["amo"]) == (record.variety, record.amo)


def test_an_order_whose_broker_is_away_expires(rig, producer, ucc):
    """Nothing was ever sent, and the record says so."""
    rig.put(ucc, {"base_url": f"http://127.0.0.1:{free_port()}", "sid": "s", "auth": "a"})
    record = producer.enqueue(asked(ucc, "260722000000001", deadline=1.5)).wait(PATIENT)
    assert (Status.EXPIRED, None, True) == (record.status, record.first_sent_at, record.may_still_work)


def test_an_order_is_cancelled_when_its_broker_comes_back(rig, producer, ucc):
    """No connection, then a broker that does not know the session, then a session that it knows."""
    port = free_port()
    rig.put(ucc, {"base_url": f"http://127.0.0.1:{port}/r1", "sid": "s", "auth": "a"})
    handle = producer.enqueue(asked(ucc, "260722000000001", deadline=60.0))
    wait_until(lambda: handle.status().status is Status.WAITING, "the first try to fail", timeout_seconds=PATIENT)
    with running_sandbox(port=port) as other:
        session = other.create_account(ucc)
        other.create_orders([{"ucc": ucc, "order_number": "260722000000001"}])
        wait_until(lambda: other.requests(endpoint="cancel"), "a call with the old session", timeout_seconds=PATIENT)
        rig.put(ucc, {"base_url": session.base_url, "sid": session.sid, "auth": session.auth})
        record = handle.wait(PATIENT)
        truth = other.truth()[0]
    assert (Status.CANCELLED, True, "api") == (record.status, record.verified, truth["cancelled_by"])


def test_a_bulk_survives_the_end_of_its_session(rig, producer, ucc):
    """Expired in the middle, renewed in the accounts file a moment later: every order goes on and is cancelled."""
    rig.open_account(ucc, orders_per_second=60)
    orders = rig.sandbox.generate_orders(ucc, 180)
    bulk = producer.enqueue_many(asked(ucc, order["order_number"], deadline=60) for order in orders)
    wait_until(
        lambda: len(rig.sandbox.requests(ucc=ucc, endpoint="cancel")) > 40, "some to be sent", timeout_seconds=PATIENT
    )
    rig.sandbox.expire_session(ucc)
    wait_until(
        lambda: any(call["st_code"] == 100022 for call in rig.sandbox.requests(ucc=ucc)),
        "a call to be refused",
        timeout_seconds=PATIENT,
    )
    session = rig.sandbox.renew_session(ucc)
    rig.put(ucc, {"base_url": session.base_url, "sid": session.sid, "auth": session.auth, "orders_per_second": 60})
    bulk.wait(PATIENT)
    assert {(Status.CANCELLED, True)} == {(record.status, record.verified) for record in bulk.records()}
    assert {"api"} == {order["cancelled_by"] for order in rig.sandbox.truth(ucc)}


@pytest.mark.parametrize("preset", ["100008", "100008_http401", "1037"])
def test_a_blocked_account_stops_and_the_book_decides(rig, producer, ucc, preset):
    """An IP error: a call or a few instead of one an order, an alarm that says what to do, and the book's truth."""
    states = {"open": Status.BLOCKED, "cancelled": Status.ALREADY_CANCELLED, "complete": Status.FILLED}
    expected = {rig.make(ucc, state=state): status for state, status in states.items() for _ in range(20)}
    rig.sandbox.add_fault("preset", on="cancel", ucc=ucc, preset=preset)
    bulk = producer.enqueue_many(asked(ucc, number) for number in expected)
    bulk.wait(PATIENT)
    assert expected == {record.order_number: record.status for record in bulk.records()}
    alarms = [line for line in rig.logged("account blocked: no cancel can be sent from here") if line["ucc"] == ucc]
    assert ("error", preset[:6].rstrip("_")) == (alarms[0]["level"], alarms[0]["code"])
    assert "whitelist" in alarms[0]["to_do"]
    assert len(rig.sandbox.requests(ucc=ucc, endpoint="cancel")) < len(expected)


def test_an_ip_mismatch_is_mended_by_a_session_of_this_machine(rig, producer, ucc):
    """1037 once, a new session in the accounts file: the order goes on."""
    # The worker holds a session; then, while its cancel is under way, somebody writes another one (here the same, at another
    # spelling of its address). Written earlier, it might be seen before the cancel, which would then be refused with the new one.
    producer.enqueue(asked(ucc, rig.make(ucc))).wait(PATIENT)
    rig.sandbox.add_fault("delay", on="cancel", ucc=ucc, seconds=1.0, times=1)
    rig.sandbox.add_fault("preset", on="cancel", ucc=ucc, preset="1037", times=1)
    handle = producer.enqueue(asked(ucc, rig.make(ucc)))
    wait_until(
        lambda: len(rig.sandbox.requests(ucc=ucc, endpoint="cancel")) == 2, "the cancel", timeout_seconds=PATIENT
    )
    rig.put(ucc, rig.accounts[ucc] | {"base_url": rig.accounts[ucc]["base_url"] + "/"})
    record = handle.wait(PATIENT)
    assert (Status.CANCELLED, 2) == (record.status, record.attempts)


def test_waiting_for_evidence_blocks_no_other_order(rig, producer, ucc):
    """Every read of the account stalls, and all of its cancels are sent; then the broker's word stands."""
    rig.sandbox.add_fault("stall", on="reads", ucc=ucc, seconds=60)
    orders = rig.sandbox.generate_orders(ucc, 300)
    bulk = producer.enqueue_many(asked(ucc, order["order_number"], deadline=60) for order in orders)
    wait_until(
        lambda: len(rig.sandbox.requests(ucc=ucc, endpoint="cancel")) == 300, "all to be sent", timeout_seconds=PATIENT
    )
    bulk.wait(PATIENT)
    assert {(Status.CANCELLED, False)} == {(record.status, record.verified) for record in bulk.records()}
