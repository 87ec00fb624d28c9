"""Who runs beside us, and how each one's worker is started."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["IDLE", "QUEUES", "RIVALS", "Rival"]

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


_CELERY = f"{_HERE}.celery_rival"
_TASKIQ = f"{_HERE}.taskiq_rival"
_TASKIQ_WORKER = f"taskiq worker {_TASKIQ}:broker -w 1 --max-async-tasks 64 --log-level WARNING"
_ARQ = f"{_HERE}.arq_rival"

RIVALS = (
    Rival(
        "celery",
        _CELERY,
        "celery",
        f"celery -A {_CELERY} --quiet worker -P threads -c 8 --without-gossip --without-mingle --loglevel WARNING",
    ),
    Rival("taskiq", _TASKIQ, "taskiq", _TASKIQ_WORKER),
    Rival("taskiq-list", _TASKIQ, "taskiq", _TASKIQ_WORKER, {"BENCH_TASKIQ": "list"}),
    Rival("saq", f"{_HERE}.saq_rival", "saq", f"saq {_HERE}.saq_rival.settings --quiet"),
    Rival("dramatiq", f"{_HERE}.dramatiq_rival", "dramatiq", f"dramatiq {_HERE}.dramatiq_rival -p 1 -t 32"),
    Rival("arq", _ARQ, "arq", f"arq {_ARQ}.WorkerSettings --custom-log-dict {_ARQ}.QUIET"),
    Rival("sdk", f"{_HERE}.sdk_rival", "kotakneoapi"),
)
QUEUES = ("taskiq", "taskiq-list", "saq", "dramatiq", "arq")
"""Those with one job per order in a queue of its own kind."""

IDLE = ("taskiq", "saq")
"""Those whose latency is measured."""
