"""What a bulk costs the server: producer, Celery and workers together, as the server itself counts."""

import json

import redis

from neo_cancel import CancelOrder, CancelProducer, Status
from tests.nodes import running_worker
from worker.sandbox.process import running_sandbox

ACCOUNTS, EACH = 15, 100


def test_a_bulk_costs_few_commands_and_fewer_round_trips_than_orders(redis_url, tmp_path):
    """At most eight commands an order and one read of a socket, from the first enqueue to the last final status."""
    accounts, orders = {}, []
    with running_sandbox() as sandbox:
        for number in range(ACCOUNTS):
            session = sandbox.create_account(f"RT{number:03d}")
            accounts[session.ucc] = {"base_url": session.base_url, "sid": session.sid, "auth": session.auth}
            made = sandbox.generate_orders(session.ucc, EACH, state="open")
            orders += [CancelOrder(ucc=session.ucc, order_number=order["order_number"]) for order in made]
        (tmp_path / "accounts.json").write_text(json.dumps(accounts))
        with (
            running_worker(
                redis_url=redis_url,
                accounts_file=tmp_path / "accounts.json",
                lanes=("risk", "routine"),
                env={"NEO_CANCEL_ORDERS_PER_SECOND": "0"},
                log_path=tmp_path / "worker.log",
            ),
            CancelProducer(redis_url).connect() as producer,
            redis.Redis.from_url(redis_url) as client,
        ):
            before = client.info("stats")
            status = producer.enqueue_many(orders).wait(timeout_seconds=120)
            after = client.info("stats")
    assert {Status.CANCELLED: ACCOUNTS * EACH} == dict(status.counts)
    commands, reads = (after[name] - before[name] for name in ("total_commands_processed", "total_reads_processed"))
    assert commands <= 8 * len(orders)
    assert reads <= len(orders)
