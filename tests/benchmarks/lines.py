"""The lines of the table: what each is, and what is asked of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.rivals.catalogue import BARE, IDLE, QUEUES, RIVALS

__all__ = ["FIGURES", "RATIOS", "Line"]

Round = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `asked` is the figure to keep, None for none; `at_most` says on which side."""

    title: str
    figure: Callable[[Round], float]
    asked: float | None = None
    at_most: bool = False
    aim: float | None = None
    digits: int = 2

    def is_kept(self, value: float) -> bool | None:
        """Whether the value does what is asked."""
        if self.asked is None:
            return None
        return value <= self.asked if self.at_most else value >= self.asked


def _of(name: str) -> Callable[[Round], float]:
    return lambda measured: measured[name]


def _ratio(above: str, below: str) -> Callable[[Round], float]:
    return lambda measured: measured[above] / measured[below]


def _best(names: tuple[str, ...], suffix: str, pick: Callable[..., float]) -> Callable[[Round], float]:
    return lambda measured: pick(measured[name + suffix] for name in names if name + suffix in measured)


def _over_best(names: tuple[str, ...]) -> Callable[[Round], float]:
    return lambda measured: measured["ours.rate"] / _best(names, ".rate", max)(measured)


def _over_fastest_idle(measured: Round) -> float:
    return measured["ours.p50_ms"] / _best(IDLE, ".p50_ms", min)(measured)


_PACED_TITLES: Final = {
    "paced-50": "50 x 40 at 8/s",
    "paced-50-3": "50 x 40 at 8/s, 3 processes",
    "paced-200": "200 x 40 at 8/s",
    "paced-300": "300 x 40 at 8/s",
}
_WIDE_TITLES: Final = {
    "deep": "100 x 100, no rate",
    "wide": "wide, no rate",
    "wide_at_rate": "wide, 8/s",
    "wide-2": "wide, no rate, 2 processes",
    "fives": "a fifth x 5, no rate",
    "fives_at_rate": "a fifth x 5, 8/s",
}
_COST: Final = {"unpaced": "50 x 40, no rate", **_PACED_TITLES, **_WIDE_TITLES}

_PACED: Final = (
    Line("50 x 40 at 8/s: CPU / without a rate", _ratio("paced-50.cpu_ms", "unpaced.cpu_ms"), 1.3, at_most=True),
    Line("the same, 3 processes", _ratio("paced-50-3.cpu_ms", "unpaced.cpu_ms"), 1.6, at_most=True),
    Line("50 x 40 at 8/s: Redis commands an order", _of("paced-50.commands"), 7, at_most=True),
    Line("the same, 3 processes", _of("paced-50-3.commands"), 7, at_most=True),
    Line(
        "50 x 40 at 8/s: Redis CPU / without a rate",
        _ratio("paced-50.server_cpu_ms", "unpaced.server_cpu_ms"),
        1.6,
        at_most=True,
    ),
    Line("the same, 3 processes", _ratio("paced-50-3.server_cpu_ms", "unpaced.server_cpu_ms"), 1.6, at_most=True),
    Line("200 x 40 at 8/s: last call / ideal", _of("paced-200.last"), 1.08, at_most=True, digits=3),
    Line("300 x 40 at 8/s: last call / ideal", _of("paced-300.last"), 1.15, at_most=True, digits=3),
    *(
        Line(f"{title}: busiest rolling second", _of(f"{name}.busiest"), 8, at_most=True, digits=0)
        for name, title in _PACED_TITLES.items()
    ),
)
"""What a rate may cost."""

_WIDE: Final = (
    Line("wide, no rate: CPU an order / of 100 x 100", _ratio("wide.cpu_ms", "deep.cpu_ms"), 1.5, at_most=True),
    Line("wide, 8/s: CPU an order / of 100 x 100", _ratio("wide_at_rate.cpu_ms", "deep.cpu_ms"), 2, at_most=True),
    Line("wide, no rate: Redis commands an order", _of("wide.commands"), 8, at_most=True),
    Line("wide, 8/s: Redis commands an order", _of("wide_at_rate.commands"), 8, at_most=True),
    Line("wide: enqueue_many, us an order, nobody working", _of("wide.alone_us"), 60, at_most=True, digits=1),
    Line("wide, no rate: MB of memory kept after it", _of("wide.kept_mb"), 20, at_most=True, digits=1),
    Line("wide, 8/s: MB of memory kept after it", _of("wide_at_rate.kept_mb"), 20, at_most=True, digits=1),
    Line("wide: share of the busier of 2 processes", _of("wide-2.share"), 0.6, at_most=True),
)
"""What a bulk of 2 orders of each of 10,000 accounts may cost."""

RATIOS: Final = (
    Line("bulk, 1 process: ours / bare aiohttp loop", _ratio("ours.rate", "limit.rate"), 0.30, aim=0.45),
    Line("bulk, 1 process: ours / best rival queue", _over_best(QUEUES), 3, aim=4),
    Line("bulk, 1 process: ours / best queue without results", _over_best(BARE)),
    Line("bulk, 1 process: ours / Celery, one task an order", _ratio("ours.rate", "celery.rate"), 5),
    Line("bulk: 2 processes / 1", _ratio("ours-2.rate", "ours.rate"), 1.6),
    Line("bulk: verification on / off", _ratio("ours-verified.rate", "ours.rate"), 0.90),
    Line("idle p50: ours / the faster of taskiq and saq", _over_fastest_idle, 1.25, at_most=True, aim=1),
    Line("idle: p99 / p50", _ratio("ours.p99_ms", "ours.p50_ms"), 3, at_most=True),
    Line("risk beside a bulk: p99 / idle p99", _ratio("beside.p99_ms", "ours.p99_ms"), 3, at_most=True),
    Line("risk ahead of 500 of its account: p99/(interval+call)", _of("same.intervals_and_call"), 1, at_most=True),
    Line("4 processes, 8/s: busiest rolling second", _of("drain.busiest"), 8, at_most=True, digits=0),
    Line("4 processes, 8/s: time / (orders / rate)", _of("drain.ratio"), 1.05, at_most=True, digits=3),
    Line("4 processes, 8/s: last call / ideal", _of("drain.last"), 1.04, at_most=True, digits=3),
    *_PACED,
    *_WIDE,
    Line("100 x 10 behind one account's bulk / alone", _of("fair.ratio"), 1.5, at_most=True),
    Line("the same at 8 orders/s an account", _of("fair_at_rate.ratio"), 1.5, at_most=True),
    Line("enqueue_many: us an order, nobody working", _of("enqueue.us"), 60, at_most=True, digits=1),
    Line("bulk: Redis commands an order", _of("ours.commands"), 8, at_most=True),
    Line("bulk: socket reads of the server an order", _of("ours.reads"), 1, at_most=True),
    Line("100,000 queued: KB of memory an order in flight", _of("many.order_kb"), 2, at_most=True),
    Line("100,000 queued: time an order / of the usual bulk", _ratio("usual.rate", "many.rate"), 1.15, at_most=True),
    Line("100,000 queued: CPU an order / of the usual bulk", _ratio("many.cpu_ms", "usual.cpu_ms"), 1.15, at_most=True),
)
"""What is asked for, as ratios wherever two things can be measured in turn."""

_WORKERS: Final = ("limit", "ours", "ours-verified", "ours-2", *(rival.name for rival in RIVALS))

FIGURES: Final = (
    *(Line(f"{name}: cancels/s", _of(f"{name}.rate"), digits=0) for name in _WORKERS),
    *(Line(f"{name}: CPU ms a cancel", _of(f"{name}.cpu_ms"), digits=3) for name in _WORKERS),
    *(Line(f"{name}: idle p50 ms", _of(f"{name}.p50_ms")) for name in ("ours", *IDLE)),
    *(Line(f"{name}: idle p99 ms", _of(f"{name}.p99_ms")) for name in ("ours", *IDLE)),
    Line("risk beside a bulk: p50 ms", _of("beside.p50_ms")),
    Line("risk beside a bulk: p99 ms", _of("beside.p99_ms")),
    Line("risk beside a bulk: cancels measured", _of("beside.samples"), digits=0),
    Line("risk ahead of its account: token intervals, p50", _of("same.intervals_p50")),
    Line("100 x 10 alone: s", _of("fair.alone_s")),
    Line("100 x 10 alone at 8/s: s", _of("fair_at_rate.alone_s")),
    Line("enqueue_many while a worker works: us an order", _of("ours.enqueue_us"), digits=1),
    Line("ours: share of the machine's processors in use", _of("ours.busy")),
    Line("ours-2: share of the machine's processors in use", _of("ours-2.busy")),
    Line("ours: CPU ms of the Redis server a cancel", _of("ours.server_cpu_ms"), digits=3),
    *(Line(f"{title}: Redis commands an order", _of(f"{name}.commands"), digits=1) for name, title in _COST.items()),
    *(Line(f"{title}: CPU ms an order", _of(f"{name}.cpu_ms"), digits=3) for name, title in _COST.items()),
    *(Line(f"{title}: Redis CPU ms an order", _of(f"{name}.server_cpu_ms"), digits=3) for name, title in _COST.items()),
    *(Line(f"{title}: last call / ideal", _of(f"{name}.last"), digits=3) for name, title in _PACED_TITLES.items()),
    *(Line(f"{title}: orders/s", _of(f"{name}.rate"), digits=0) for name, title in _COST.items()),
    Line("wide while a worker works: enqueue_many, us an order", _of("wide.enqueue_us"), digits=1),
    Line("4 processes, 8/s: calls sent", _of("drain.calls"), digits=0),
    Line("usual bulk: memory grown MB", _of("usual.grown_mb"), digits=1),
    Line("100,000 queued: memory grown MB", _of("many.grown_mb"), digits=1),
    Line("100,000 queued: most orders in flight at that", _of("many.in_flight"), digits=0),
    Line("100,000 queued: cancels/s", _of("many.rate"), digits=0),
    Line("100,000 queued: CPU ms a cancel", _of("many.cpu_ms"), digits=3),
)
"""The absolute figures under the ratios: they drift between machines and hours."""
