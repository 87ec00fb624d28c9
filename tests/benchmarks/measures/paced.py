"""What a rate costs: bulks of accounts at the broker's rate, beside one of the same shape without."""

import time
from collections.abc import Sequence

from tests.benchmarks.arithmetic import busiest_account
from tests.benchmarks.measures.bulk import Figures, ours_bulk
from tests.benchmarks.ours import Ledger
from tests.benchmarks.peer import Peer
from tests.benchmarks.stage import BOTH_LANES, RATE, Stage

__all__ = ["paced"]

_ORDERS = 40
_FEW, _MANY, _MOST = 50, 200, 300
_PROCESSES = 3
_IDLE_SECONDS = 1.1
"""So long after its last call an account is idle: no call of the past second is in the way of the next bulk."""


def paced(stage: Stage) -> Figures:
    """40 orders of each account: without a rate, at the rate, then with more accounts and with more processes."""
    figures: Figures = {}
    with stage.ours([BOTH_LANES], verify=False, accounts=_MOST) as running:
        free = stage.batch("A", _FEW, _FEW * _ORDERS)
        figures |= ours_bulk(stage, *running, free, name="unpaced")
        for accounts in (_FEW, _MANY, _MOST):
            figures |= _at_rate(stage, *running, accounts=accounts, name=f"paced-{accounts}")
            time.sleep(_IDLE_SECONDS)
    with stage.ours([BOTH_LANES] * _PROCESSES, verify=False, accounts=_MOST) as running:
        return figures | _at_rate(stage, *running, accounts=_FEW, name=f"paced-{_FEW}-{_PROCESSES}")


def _at_rate(stage: Stage, producer: Peer, pids: Sequence[int], ledger: Ledger, *, accounts: int, name: str) -> Figures:
    batch = stage.batch("L", accounts, accounts * _ORDERS)
    figures = ours_bulk(stage, producer, pids, ledger, batch, name=name)
    arrivals = stage.broker.arrivals()
    times = [at for number in batch.numbers for at in arrivals[number]]
    return figures | {
        f"{name}.last": (max(times) - min(times)) / ((_ORDERS - 1) / RATE),
        f"{name}.busiest": busiest_account(batch.orders, arrivals),
    }
