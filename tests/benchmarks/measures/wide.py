"""Wide bulks: a few orders of each of very many accounts, as when the risk desk closes everybody's positions."""

import time
from collections.abc import Sequence

from tests.benchmarks.arithmetic import share_of_busier
from tests.benchmarks.batch import Batch
from tests.benchmarks.measures.bulk import Figures, enqueue_us, ours_bulk
from tests.benchmarks.ours import Ledger
from tests.benchmarks.peer import Peer
from tests.benchmarks.stage import BOTH_LANES, Stage
from tests.benchmarks.usage import resident_bytes

__all__ = ["wide"]

_DEEP_ACCOUNTS, _DEEP_ORDERS = 100, 100
_TWO, _FIVE = 2, 5
_SETTLE_SECONDS = 5.0
_LOOK_SECONDS = 0.25


def wide(stage: Stage) -> Figures:
    """2 orders of each account and 5 of a fifth of the accounts, with a rate and without, after 100 of 100 accounts."""
    many = stage.size.wide
    deep = stage.batch("A", _DEEP_ACCOUNTS, _DEEP_ACCOUNTS * _DEEP_ORDERS)
    figures: Figures = {"wide.alone_us": enqueue_us(stage, many, many * _TWO)}
    with stage.ours([BOTH_LANES], verify=False, accounts=many) as running:
        figures |= ours_bulk(stage, *running, deep, name="deep")
        for name, accounts, each in (("wide", many, _TWO), ("fives", many // _FIVE, _FIVE)):
            for prefix, suffix in (("A", ""), ("L", "_at_rate")):
                batch = stage.batch(prefix, accounts, accounts * each)
                figures |= _with_memory(stage, *running, batch, name=name + suffix)
    return figures | _shared(stage)


def _with_memory(
    stage: Stage, producer: Peer, pids: Sequence[int], ledger: Ledger, batch: Batch, *, name: str
) -> Figures:
    before = resident_bytes(pids)
    figures = ours_bulk(stage, producer, pids, ledger, batch, name=name)
    after = _least_bytes(pids)
    if before is not None and after is not None:
        figures[f"{name}.kept_mb"] = (after - before) / 1e6
    return figures


def _least_bytes(pids: Sequence[int]) -> int | None:
    """The least memory in use within some seconds: what is let go is let go a little after the work."""
    until = time.monotonic() + _SETTLE_SECONDS
    least = resident_bytes(pids)
    while least is not None and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        least = min(least, resident_bytes(pids) or least)
    return least


def _shared(stage: Stage) -> Figures:
    """The same wide bulk through two processes: what part of it the busier one sent."""
    many = stage.size.wide
    with stage.ours([BOTH_LANES] * 2, verify=False, accounts=many, are_told_apart=True) as running:
        stage.broker.reset()
        figures = ours_bulk(stage, *running, stage.batch("A", many, many * _TWO), name="wide-2")
        return figures | {"wide-2.share": share_of_busier(stage.broker.accounts())}
