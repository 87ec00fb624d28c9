"""What waits takes nothing from those who could go on."""

from dataclasses import replace

from neo_cancel import CancelOrder
from neo_cancel.record import FINAL
from tests.chaos.stage import write_accounts
from tests.fault.rig import names_of
from worker.orders.account_queue import QueuePolicy

SLOW = [f"SL{number:03d}" for number in range(12)]


def orders_of(stage, ucc, count):
    made = stage.sandbox.generate_orders(ucc, count)
    return [CancelOrder(ucc=ucc, order_number=order["order_number"], deadline_seconds=600) for order in made]


def test_accounts_that_wait_for_their_rate_keep_no_thread_from_another(make_stage):
    """Twelve messages that take a minute each, four threads; then one order of an account that could send at once."""
    stage = make_stage(NEO_CANCEL_ORDERS_PER_SECOND="0.5")
    write_accounts(stage.sandbox, stage.folder / "accounts.json", [*SLOW, stage.ucc])
    slow = [order for ucc in SLOW for order in orders_of(stage, ucc, 30)]
    stage.producer.enqueue_many(slow)
    stage.start_worker(threads=4)
    quick = orders_of(stage, stage.ucc, 1)
    stage.producer.enqueue_many(quick)
    stage.wait_final(names_of(quick))
    records = stage.records(names_of(slow))
    # Every account's message was taken, and most of its orders are still to be sent: nobody waited for them.
    assert set(SLOW) == {record.ucc for record in records if record.owner is not None or record.status in FINAL}
    assert sum(record.status in FINAL for record in records) < len(slow) / 2


def test_hanging_routine_calls_hold_no_risk_order_of_their_account_back(make_stage):
    """Neither a new one, nor one that becomes urgent while it waits behind them; one node serves both lanes."""
    stage = make_stage(NEO_CANCEL_READ_TIMEOUT="60", NEO_CANCEL_CALL_TIMEOUT="60")
    *hanging, waiting = stage.make(65)
    stage.sandbox.add_faults(
        {"fault": "stall", "on": "cancel", "order_number": order.order_number, "seconds": 30.0} for order in hanging
    )
    stage.producer.enqueue_many([*hanging, waiting])
    stage.start_worker()
    in_flight = QueuePolicy().at_once
    stage.until(lambda: stage.calls() == in_flight, "routine calls that hang")
    urgent = [replace(order, lane="risk") for order in (*stage.make(1), waiting)]
    for order in urgent:
        stage.producer.enqueue(order)
    stage.wait_final(names_of(urgent), timeout_seconds=20)
    assert in_flight + len(urgent) == stage.calls()
    assert {"queued", "sending", "waiting"} >= {record.status for record in stage.records(names_of(hanging))}
