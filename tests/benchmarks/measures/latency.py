"""How soon a single cancel is at the broker: idle, beside a bulk of other accounts, and ahead of its own account's bulk.

The nodes are deployed as they are meant to be: one process for risk, one for routine, verification on.
"""

import time

from tests.benchmarks.arithmetic import latencies, percentile
from tests.benchmarks.batch import Batch
from tests.benchmarks.measures.bulk import PAUSE_SECONDS, Figures, idle
from tests.benchmarks.ours import Ledger
from tests.benchmarks.peer import Peer
from tests.benchmarks.stage import RATE, Stage

__all__ = ["ours"]

_SAME_ACCOUNTS = 10
_SAME_WAITING = 500
_SAME_TRIES = 40
_SAME_PAUSE_SECONDS = 0.4
"""So that an account's risk orders are seconds apart, and meet its routine ones anywhere between two of them."""
_SETTLE_SECONDS = 2.0
_ONE_CALL_SECONDS = 0.010


def ours(stage: Stage) -> Figures:
    """Measure all three in one deployment."""
    with stage.ours([("risk",), ("routine",)], verify=True) as (producer, _, ledger):
        figures = idle(stage, producer, "ours", "risk")
        figures |= _beside_a_bulk(stage, producer, ledger)
        return figures | _ahead_of_its_account(stage, producer)


def _beside_a_bulk(stage: Stage, producer: Peer, ledger: Ledger) -> Figures:
    size = stage.size
    bulk = stage.batch("A", size.accounts, size.orders)
    producer.ask(verb="bulk", batch=bulk.to_json())
    asked: dict[str, float] = {}
    # In portions, until the bulk has ended: what is asked after its end would be idle.
    seen = stage.broker.count()
    while stage.broker.count() - seen < bulk.count * 0.9 and len(asked) < size.singles * 5:
        portion = stage.batch("S", 10, 20, "risk")
        asked |= producer.ask(verb="singles", batch=portion.to_json(), pause_seconds=PAUSE_SECONDS)["asked"]
    ledger.wait_final(bulk.names, within_seconds=120)
    arrivals = stage.broker.arrivals()
    bulk_ended = max(arrivals[number][0] for number in bulk.numbers)
    seconds = latencies({number: at for number, at in asked.items() if at < bulk_ended}, arrivals)
    return {
        "beside.p50_ms": percentile(seconds, 50) * 1e3,
        "beside.p99_ms": percentile(seconds, 99) * 1e3,
        "beside.samples": len(seconds),
    }


def _ahead_of_its_account(stage: Stage, producer: Peer) -> Figures:
    waiting = stage.batch("R", _SAME_ACCOUNTS, _SAME_ACCOUNTS * _SAME_WAITING)
    producer.ask(verb="bulk", batch=waiting.to_json())
    time.sleep(_SETTLE_SECONDS)
    urgent: Batch = stage.batch("R", _SAME_ACCOUNTS, _SAME_TRIES, "risk")
    told = producer.ask(verb="singles", batch=urgent.to_json(), pause_seconds=_SAME_PAUSE_SECONDS)
    time.sleep(_SETTLE_SECONDS)
    seconds = latencies(told["asked"], stage.broker.arrivals())
    if len(seconds) < urgent.count:
        raise ValueError(f"{urgent.count - len(seconds)} of {urgent.count} risk cancels waited for over 2 s")
    return {
        "same.intervals_and_call": percentile(seconds, 99) / (1 / RATE + _ONE_CALL_SECONDS),
        "same.intervals_p50": percentile(seconds, 50) * RATE,
    }
