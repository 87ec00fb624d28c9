"""How long a cancel is worth the while: a job ends with its deadline, wherever it is."""

import pytest

from neo_cancel import CancelOrder
from neo_cancel.keys import named_key
from neo_cancel.record import Status
from tests.fault.rig import names_of

LATE = Status.UNKNOWN
"""Not `expired`: to the worker this order is older than the Redis server, which may have forgotten that it was sent."""


@pytest.mark.parametrize(
    ("seconds", "routine", "risk"),
    [(40, Status.CANCELLED, Status.CANCELLED), (65, LATE, Status.CANCELLED), (305, LATE, LATE)],
)
def test_the_lanes_default_deadlines_end_what_waited_too_long_in_a_queue(make_stage, seconds, routine, risk):
    """60 s for routine and 300 s for risk orders: at pick-up, what is late ends without a call."""
    stage = make_stage(NEO_CANCEL_WATCH_INTERVAL="600")
    late, urgent = stage.make(2)
    wishes = [
        CancelOrder(ucc=late.ucc, order_number=late.order_number),
        CancelOrder(ucc=urgent.ucc, order_number=urgent.order_number, lane="risk"),
    ]
    for wish in wishes:
        stage.producer.enqueue(wish)
    names = names_of(wishes)
    assert [60.0, 300.0] == [record.deadline_seconds for record in stage.records(names)]
    for name in names:
        waited(stage.server.client, name, seconds)
    stage.start_worker()
    assert [routine, risk] == [record.status for record in stage.wait_final(names)]
    assert sum(status is Status.CANCELLED for status in (routine, risk)) == stage.calls()


def waited(client, name, seconds):
    """Write the record as if the order had been accepted so long ago."""
    words = client.get(named_key(name)).split(b" ", 6)
    words[3] = str(int(words[3]) - seconds * 1000).encode()
    client.set(named_key(name), b" ".join(words), keepttl=True)
