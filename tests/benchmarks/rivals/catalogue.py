"""Who runs beside us, and how each one's worker is started."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["IDLE", "QUEUES", "RIVALS", "Rival"]

_HERE = "tests.benchmarks.rivals"


@dataclass(frozen=True, slots=True)
class Rival:
    """One rival. `arguments` start its worker with `python -m`; none means that the producer does the work itself."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """The worker's command line."""
        return [sys.executable, "-m", *self.arguments]


_CELERY = f"{_HERE}.celery_rival"
_TASKIQ = f"{_HERE}.taskiq_rival"
_TASKIQ_WORKER = ("taskiq", "worker", f"{_TASKIQ}:broker", "-w", "1", "--max-async-tasks", "64", "--log-level", "WARNING")
_ARQ = f"{_HERE}.arq_rival"

RIVALS = (
    Rival(
        "celery",
        _CELERY,
        ("celery", "-A", _CELERY, "--quiet", "worker", "-P", "threads", "-c", "16")
        + ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
    ),
    Rival("taskiq", _TASKIQ, _TASKIQ_WORKER),
    Rival("taskiq-list", _TASKIQ, _TASKIQ_WORKER, {"BENCH_TASKIQ": "list"}),
    Rival("saq", f"{_HERE}.saq_rival", ("saq", f"{_HERE}.saq_rival.settings", "--quiet")),
    Rival("dramatiq", f"{_HERE}.dramatiq_rival", ("dramatiq", f"{_HERE}.dramatiq_rival", "-p", "1", "-t", "32")),
    Rival("arq", _ARQ, ("arq", f"{_ARQ}.WorkerSettings", "--custom-log-dict", f"{_ARQ}.QUIET")),
    Rival("sdk", f"{_HERE}.sdk_rival"),
)
QUEUES = ("taskiq", "taskiq-list", "saq", "dramatiq", "arq")
"""Those with one job per order in a queue of its own kind."""

IDLE = ("taskiq", "saq")
"""Those whose latency is measured."""
