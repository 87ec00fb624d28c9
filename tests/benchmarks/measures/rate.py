"""The rate over all processes: four of them drain one account."""

from tests.benchmarks.arithmetic import busiest_second
from tests.benchmarks.measures.bulk import Figures
from tests.benchmarks.stage import BOTH_LANES, RATE, Stage

__all__ = ["drain"]

_PROCESSES = 4
_ORDERS = 400


def drain(stage: Stage) -> Figures:
    """The busiest rolling second at the broker, and the time from the first enqueue to the last call."""
    with stage.ours([BOTH_LANES] * _PROCESSES, verify=True) as (producer, _, ledger):
        # In four bulks, so that all processes get messages of the account.
        began = 0.0
        numbers: list[str] = []
        names: list[str] = []
        for _ in range(_PROCESSES):
            batch = stage.batch("R", 1, _ORDERS // _PROCESSES)
            told = producer.ask(verb="bulk", batch=batch.to_json())
            began = began or told["began"]
            numbers += batch.numbers
            names += batch.names
        ledger.wait_final(names, within_seconds=90)
        arrivals = stage.broker.arrivals()
    times = [at for number in numbers for at in arrivals[number]]
    return {
        "drain.busiest": busiest_second(times),
        "drain.calls": len(times),
        "drain.ratio": (max(times) - began) / (_ORDERS / RATE),
        "drain.last": (max(times) - min(times)) / ((_ORDERS - 1) / RATE),
    }
