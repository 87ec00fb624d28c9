"""A bad day at the broker: thousands of orders, a third of them in trouble, every status true and few calls wasted."""

import random
import time
from collections import Counter

from neo_cancel import CancelOrder
from neo_cancel.record import Status
from tests.fault.rig import Rig
from tests.fault.storm import storm_over
from tests.fault.truth import contradicts, status_for
from worker.ops.process import wait_until
from worker.sandbox.process import running_sandbox

ORDERS, ACCOUNTS = 3000, 30


def test_a_storm_leaves_the_truth(redis_url, tmp_path):
    """100 % of statuses true, at most 0.5 % unknown and those proven within 60 s, at most 1.6 calls an order."""
    with running_sandbox("--seed", "11") as sandbox:
        rig = Rig(sandbox, redis_url, tmp_path)
        numbers = []
        for at in range(ACCOUNTS):
            rig.open_account(f"AB{at:03d}")
            numbers += sandbox.generate_orders(f"AB{at:03d}", ORDERS // ACCOUNTS, state="open")
        shuffled = random.Random(11).sample(numbers, len(numbers))
        sandbox.add_faults(storm_over([order["order_number"] for order in shuffled]))
        # The time-outs, rates and windows of production.
        with rig.worker(
            NEO_CANCEL_ORDERS_PER_SECOND="8",
            NEO_CANCEL_READS_PER_SECOND="5",
            NEO_CANCEL_READ_TIMEOUT="4",
            NEO_CANCEL_CALL_TIMEOUT="6",
            NEO_CANCEL_BOOK_TIMEOUT="8",
            NEO_CANCEL_VERIFICATION_WINDOW="10",
            NEO_CANCEL_BACKOFF="0.1",
            NEO_CANCEL_BACKOFF_MOST="5",
            NEO_CANCEL_WATCH_INTERVAL="5",
        ) as producer:
            started = time.monotonic()
            bulk = producer.enqueue_many(
                CancelOrder(ucc=order["ucc"], order_number=order["order_number"]) for order in numbers
            )
            bulk.wait(150)
            took = time.monotonic() - started
            unknown = [record for record in bulk.records() if record.status is Status.UNKNOWN]
            stats = sandbox.stats()
            wait_until(
                lambda: Status.UNKNOWN not in bulk.status().counts, "the watch list to find proof", timeout_seconds=60
            )
            records = bulk.records()
        truths = sandbox.lookup([record.order_number for record in records])
    wrong = {
        record.key: f"{record.status}, truth: {status_for(truths[record.order_number])}"
        for record in records
        if record.status is not status_for(truths[record.order_number])
    }
    calls = stats["requests"] / ORDERS
    print(
        f"{ORDERS} orders in {took:.1f} s: {Counter(str(record.status) for record in records)}; "
        f"unknown at the end of the jobs: {len(unknown) / ORDERS:.2%}; {calls:.3f} calls an order: {stats['endpoints']}; "
        f"verified: {sum(record.verified for record in records)}; busiest: {max(stats['busiest_second'].values())}"
    )
    assert {} == wrong
    assert [] == [record.key for record in records if contradicts(record.status, truths[record.order_number])]
    assert len(unknown) <= 0.005 * ORDERS
    assert calls <= 1.6
