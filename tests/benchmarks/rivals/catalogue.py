"""Who runs beside us, and how each one's worker is started.

All keep a result for each order that can be asked for, as our ledger does; the bare ones keep none and lose what a worker
held when it died, which is the least that their libraries can do.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BARE", "IDLE", "QUEUES", "RIVALS", "Rival"]

_HERE = "tests.benchmarks.rivals"


@dataclass(frozen=True, slots=True)
class Rival:
    """One rival. `worker` starts its worker after `python -m`; none means that the producer does the work itself."""

    name: str
    module: str
    package: str = ""
    worker: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """The worker's command line."""
        return [sys.executable, "-m", *self.worker.split()]


_BARE = {"BENCH_BARE": "yes"}
_CELERY = f"{_HERE}.celery_rival"
_TASKIQ = f"{_HERE}.taskiq_rival"
_TASKIQ_WORKER = f"taskiq worker {_TASKIQ}:broker -w 1 --max-async-tasks 64 --log-level WARNING"
_DRAMATIQ = f"{_HERE}.dramatiq_rival"
_DRAMATIQ_WORKER = f"dramatiq {_DRAMATIQ} -p 1 -t 32"
_ARQ = f"{_HERE}.arq_rival"

RIVALS = (
    Rival(
        "celery",
        _CELERY,
        "celery",
        f"celery -A {_CELERY} --quiet worker -P threads -c 8 --without-gossip --without-mingle --loglevel WARNING",
    ),
    Rival("taskiq", _TASKIQ, "taskiq", _TASKIQ_WORKER),
    Rival("taskiq-bare", _TASKIQ, "taskiq", _TASKIQ_WORKER, _BARE),
    Rival("saq", f"{_HERE}.saq_rival", "saq", f"saq {_HERE}.saq_rival.settings --quiet"),
    Rival("dramatiq", _DRAMATIQ, "dramatiq", _DRAMATIQ_WORKER),
    Rival("dramatiq-bare", _DRAMATIQ, "dramatiq", _DRAMATIQ_WORKER, _BARE),
    Rival("arq", _ARQ, "arq", f"arq {_ARQ}.WorkerSettings --custom-log-dict {_ARQ}.QUIET"),
    Rival("sdk", f"{_HERE}.sdk_rival", "kotakneoapi"),
)
QUEUES = ("taskiq", "saq", "dramatiq", "arq")
"""Those with one job per order and a result for each."""

BARE = ("taskiq-bare", "dramatiq-bare")
"""The same, less than they need to do our job."""

IDLE = ("taskiq", "saq")
"""Those whose latency is measured."""
