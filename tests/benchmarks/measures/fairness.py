"""Fair sharing: a small bulk over many accounts, alone and behind a big one of another account."""

from tests.benchmarks.ours import Ledger
from tests.benchmarks.peer import Peer
from tests.benchmarks.stage import Stage

__all__ = ["behind_a_bulk"]

Figures = dict[str, float]
_SMALL_ACCOUNTS = 100
_SMALL = 1_000


def behind_a_bulk(stage: Stage, producer: Peer, ledger: Ledger) -> Figures:
    """Without a rate, where they share the processor, and at the broker's rate, where the big account only waits."""
    figures = _pair(stage, producer, ledger, small="A", big="B", name="fair")
    return figures | _pair(stage, producer, ledger, small="L", big="Q", name="fair_at_rate")


def _pair(stage: Stage, producer: Peer, ledger: Ledger, *, small: str, big: str, name: str) -> Figures:
    alone = _small(stage, producer, ledger, small)
    bulk = stage.batch(big, 1, stage.size.orders)
    producer.ask(verb="bulk", batch=bulk.to_json())
    beside = _small(stage, producer, ledger, small)
    if name == "fair":
        # The next pair must not run beside it; at the broker's rate it would take an hour.
        ledger.wait_final(bulk.names, within_seconds=120)
    return {f"{name}.alone_s": alone, f"{name}.beside_s": beside, f"{name}.ratio": beside / alone}


def _small(stage: Stage, producer: Peer, ledger: Ledger, prefix: str) -> float:
    batch = stage.batch(prefix, _SMALL_ACCOUNTS, _SMALL)
    told = producer.ask(verb="bulk", batch=batch.to_json())
    return ledger.wait_final(batch.names, within_seconds=120) - told["began"]
