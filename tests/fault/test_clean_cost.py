"""What verification costs when nothing goes wrong."""

import pytest

from neo_cancel import CancelOrder
from neo_cancel.record import Status
from tests.fault.rig import Rig
from worker.sandbox.process import running_sandbox

ORDERS = 1000


@pytest.mark.parametrize("rate", ["0", "100"], ids=["no limit", "100 a second"])
def test_a_thousand_clean_orders_cost_ten_reads(redis_url, tmp_path, rate):
    """1,000 cancels and at most one book read per 100 orders, single-order reads counted, and every order verified."""
    with running_sandbox() as sandbox:
        rig = Rig(sandbox, redis_url, tmp_path)
        rig.open_account("AB123")
        made = sandbox.generate_orders("AB123", ORDERS, state="open")
        with rig.worker(
            NEO_CANCEL_ORDERS_PER_SECOND=rate,
            NEO_CANCEL_READS_PER_SECOND="5",
            NEO_CANCEL_READ_TIMEOUT="4",
            NEO_CANCEL_CALL_TIMEOUT="6",
            NEO_CANCEL_BOOK_TIMEOUT="8",
            NEO_CANCEL_VERIFICATION_WINDOW="10",
        ) as producer:
            bulk = producer.enqueue_many(
                CancelOrder(ucc="AB123", order_number=order["order_number"], deadline_seconds=170) for order in made
            )
            bulk.wait(150)
            records, calls = bulk.records(), sandbox.stats()["endpoints"]
    reads = sum(count for endpoint, count in calls.items() if endpoint != "regular")
    print(f"{ORDERS} clean orders at {rate}/s: {calls}")
    assert {(Status.CANCELLED, True)} == {(record.status, record.verified) for record in records}
    assert ORDERS == calls["regular"]
    assert reads <= ORDERS // 100
