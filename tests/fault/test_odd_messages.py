"""Messages that differ from a good one in one header or field: each is worked on or put aside, and harms no other."""

import pytest

from tests.fault.odd_messages import OddStage


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
