"""`make bench`, or `python -m tests.benchmarks`: us, the limit and the rivals in turn, in one run, as ratios.

Exit code 0 when all of ours ran, whatever it showed; 1 when something of ours could not be measured; 2 for wrong usage.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.benchmarks.measures import bulk, fairness, latency, paced, rate, volume, wide
from tests.benchmarks.results import Results
from tests.benchmarks.rivals.catalogue import RIVALS
from tests.benchmarks.stage import Size, Stage, running_stage
from tests.benchmarks.table import as_json, as_text

Measure = Callable[[Stage], dict[str, float]]

IN_TURN: Mapping[str, Measure] = {
    "limit": bulk.limit,
    "ours": partial(bulk.ours, name="ours", after=fairness.behind_a_bulk),
    "ours-verified": partial(bulk.ours, name="ours-verified", verify=True),
    "ours-2": partial(bulk.ours, name="ours-2", processes=2),
    "latency": latency.ours,
    **{rival.name: partial(bulk.rival, rival=rival) for rival in RIVALS},
    "enqueue": bulk.enqueue,
    "paced": paced.paced,
}
"""Measured in every round."""

ONCE: Mapping[str, Measure] = {"drain": rate.drain, "many": volume.many, "wide": wide.wide}
"""Measured once, after the rounds: they take minutes."""

_RIVALS = frozenset(rival.name for rival in RIVALS)
_QUICK = Size(orders=1_000, accounts=20, rival_orders=200, singles=40, many=3_000, wide=500, rounds=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print."""
    options = _parser().parse_args(arguments)
    size = _size(options)
    wanted = options.only.split(",") if options.only else [*IN_TURN, *([] if options.quick else ONCE)]
    if unknown := set(wanted) - {*IN_TURN, *ONCE}:
        sys.stderr.write(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join([*IN_TURN, *ONCE])}\n")
        return 2
    if options.json:
        try:
            Path(options.json).touch()
        except OSError as error:
            sys.stderr.write(f"{options.json}: {error.strerror}\n")
            return 2
    # Ended from outside, it still ends its children and shows what it has.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="neo-cancel-bench-") as folder, running_stage(Path(folder), size) as stage:
        results = run(stage, wanted)
    print(as_text(results, size))
    if options.json:
        Path(options.json).write_text(json.dumps(as_json(results, size), indent=1))
    return int(results.is_incomplete)


def run(stage: Stage, wanted: Sequence[str]) -> Results:
    """Measure everything in turn, round after round; what an interruption leaves unmeasured is noted."""
    results = Results()
    try:
        _run(stage, wanted, results)
    except KeyboardInterrupt:
        results.notes.append("interrupted: the rest was not run")
        results.is_incomplete = True
    return results


def _run(stage: Stage, wanted: Sequence[str], results: Results) -> None:
    for number in range(1, stage.size.rounds + 1):
        measured: dict[str, float] = {}
        results.rounds.append(measured)
        for name in IN_TURN:
            if name in wanted:
                measured |= _measured(stage, name, IN_TURN[name], results, when=f"round {number}")
    for name in ONCE:
        if name in wanted:
            results.rounds.append(_measured(stage, name, ONCE[name], results, when="once"))


def _measured(stage: Stage, name: str, measure: Measure, results: Results, *, when: str) -> dict[str, float]:
    try:
        figures = measure(stage)
    except Exception as error:  # noqa: BLE001 - one contender that does not run must not cost the others their lines
        told = " ".join(str(error).split())[:300]
        results.notes.append(f"{name}, {when}: not run: {type(error).__name__}: {told}")
        results.is_incomplete |= name not in _RIVALS
        stage.say(results.notes[-1])
        return {}
    shown = ", ".join(f"{key.removeprefix(name + '.')} {value:,.3g}" for key, value in figures.items())
    stage.say(f"{when}: {name}: {shown}")
    return figures


def _size(options: argparse.Namespace) -> Size:
    usual = _QUICK if options.quick else Size()
    orders = options.orders or usual.orders
    return Size(
        orders=orders,
        accounts=options.accounts or usual.accounts,
        rival_orders=min(orders, usual.rival_orders),
        singles=usual.singles,
        many=options.many or usual.many,
        wide=options.wide or usual.wide,
        rounds=options.rounds or usual.rounds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Us, the limit and rivals in turn.")
    parser.add_argument("--rounds", type=_count, help="(default: 3)")
    parser.add_argument("--orders", type=_count, help="orders of the bulk (default: 10000)")
    parser.add_argument("--accounts", type=_count, help="accounts they are spread over (default: 100)")
    parser.add_argument("--many", type=_count, help="orders of the big bulk (default: 100000)")
    parser.add_argument("--wide", type=_count, help="accounts of the wide bulk (default: 10000)")
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join([*IN_TURN, *ONCE])}")
    parser.add_argument("--quick", action="store_true", help="one small round, to see that it runs")
    parser.add_argument("--json", metavar="PATH", default=os.environ.get("BENCH_JSON"), help="(default: $BENCH_JSON)")
    return parser


def _count(said: str) -> int:
    number = int(said)
    if number < 1:
        raise ValueError(said)
    return number


if __name__ == "__main__":
    sys.exit(main())
