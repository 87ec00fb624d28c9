"""Messages that differ from a good one in one header or field: each is worked on or put aside, and harms no other."""

import pytest

from config.settings import Settings
from tests.fault.odd_messages import OddStage
from worker.ops.ping import Pinger


@pytest.fixture
def odd_stage(shared_sandbox, tmp_path):
    with OddStage(shared_sandbox, tmp_path, ucc="ODD002") as made:
        yield made


def test_two_hundred_odd_messages_end_no_node_and_hold_up_no_order(odd_stage):
    """The same process to the end; nothing is left in a queue, unacknowledged or held; the log tells no secret."""
    report = odd_stage.storm(200, seed=1)
    assert odd_stage.node.is_running
    assert [] == report.harm
    assert report.sent == report.parked + report.worked
    assert 50 < report.parked < 150
    assert report.good == report.good_worked


CONTROL = (b"17", b"null", b"{}", b'{"properties": 1}', b'{"__type__": "datetime", "__value__": 5}', b"[" * 50_000)


def test_odd_control_messages_end_no_node(odd_stage):
    """Any neighbour on the same Redis can publish them. The same process answers the next ping and works on the next order."""
    node = Pinger.from_settings(Settings(redis_url=odd_stage.server.url))
    with node as pinger:
        odd_stage.until(lambda: pinger.answers("w1@%h"), "an answer")
        assert all(odd_stage.server.client.publish("/0.nc.pidbox", data) > 0 for data in CONTROL)
        [order] = odd_stage.orders(1)
        assert "cancelled" == odd_stage.producer.enqueue(order).wait(30).status
        assert pinger.answers("w1@%h", timeout_seconds=10)
    assert odd_stage.node.is_running
    assert [] == odd_stage.unforeseen()
