"""`python -m tests.simulation --seconds 60 --seed 1`: exit code 0 only if no promise was broken.

`--seed N --temper NAME --timeline` replays one run; `--shrink PATTERN` makes a failing one small and prints its timeline.
"""

import argparse
import json
import re
import secrets
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.simulation.episode import Report, run
from tests.simulation.habits import TEMPERS
from tests.simulation.plan import Plan, make_plan
from tests.simulation.report import Summary, timeline
from tests.simulation.shrink import shrink
from tests.simulation.worker import PRODUCT

__all__ = ["main", "simulate"]


def simulate(
    seeds: Iterator[int] | range,
    tempers: list[str],
    *,
    orders: int,
    seconds: float = float("inf"),
    digests: bool = False,
) -> Summary:
    """Run each seed with each temper, for so many seconds of real time at most."""
    summary, ends_at = Summary(), time.monotonic() + seconds
    for seed in seeds:
        for temper in tempers:
            if time.monotonic() >= ends_at:
                return summary
            began_at = time.process_time()
            summary.add(run(make_plan(seed, temper, orders=orders), PRODUCT), with_digest=digests)
            summary.cpu_seconds += time.process_time() - began_at
    return summary


def main() -> int:
    given = _arguments()
    if given.shrink is not None or given.timeline:
        return _show(given)
    began_at = time.monotonic()
    summary = _simulate_all(given)
    took = time.monotonic() - began_at
    told: dict[str, Any] = {"seed": given.seed, "seconds": round(took, 1)}
    text = json.dumps(told | summary.to_json(), indent=1)
    if given.json:
        given.json.write_text(text)
    print(summary.brief(given.seed, took) if given.brief else text)
    return 1 if any(given.only is None or kind in given.only for kind in summary.violations) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=None, help="the first seed (default: a fresh one, which is printed)"
    )
    parser.add_argument(
        "--seeds", type=int, default=None, help="how many seeds (default: 1, or as many as fit into --seconds)"
    )
    parser.add_argument("--seconds", type=float, default=None, help="stop after so many seconds of real time")
    parser.add_argument("--temper", action="append", choices=sorted(TEMPERS), help="one broker's temper (default: all)")
    parser.add_argument("--orders", type=int, default=300, help="of one run")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the seeds")
    parser.add_argument(
        "--only",
        type=lambda said: said.split(","),
        metavar="KIND,...",
        help="fail only where one of these promises is broken",
    )
    parser.add_argument("--brief", action="store_true", help="print counts and what was broken only")
    parser.add_argument("--json", type=Path, help="write the report here, too")
    parser.add_argument("--digests", action="store_true", help="add the sum of each history")
    parser.add_argument(
        "--timeline", action="store_true", help="print the history of what went wrong in the seed's run"
    )
    parser.add_argument(
        "--shrink", metavar="PATTERN", help="make the run small that breaks a promise so ('kind: text')"
    )
    given = parser.parse_args()
    if given.seed is None:
        given.seed = secrets.randbelow(2**31)
    given.tempers = given.temper or sorted(TEMPERS)
    return given


def _simulate_all(given: argparse.Namespace) -> Summary:
    seconds = float("inf") if given.seconds is None else given.seconds
    count = given.seeds or (1 if given.seconds is None else 10**9)
    seeds = [range(given.seed + job, given.seed + count, given.jobs) for job in range(given.jobs)]
    if given.jobs == 1:
        return simulate(seeds[0], given.tempers, orders=given.orders, seconds=seconds, digests=given.digests)
    total = Summary()
    with ProcessPoolExecutor(given.jobs) as pool:
        futures = [
            pool.submit(simulate, some, given.tempers, orders=given.orders, seconds=seconds, digests=given.digests)
            for some in seeds
        ]
        for future in futures:
            total.merge(future.result())
    return total


def _show(given: argparse.Namespace) -> int:
    """Print the timeline of the first of the seed's runs that breaks a promise so, shrunk if that is wanted."""
    pattern = re.compile(given.shrink or "")
    for temper in given.tempers:
        report = _only(run(make_plan(given.seed, temper, orders=given.orders), PRODUCT), pattern)
        if report.violations:
            if given.shrink:
                report = _only(run(_smallest(report, pattern), PRODUCT), pattern)
            print(timeline(report))
            return 1
    print(f"seed {given.seed}: no such violation")
    return 0


def _smallest(report: Report, pattern: re.Pattern[str]) -> Plan:
    suspects = list(dict.fromkeys(one.number for one in report.violations))
    return shrink(report.plan, lambda smaller: bool(_only(run(smaller, PRODUCT), pattern).violations), suspects)


def _only(report: Report, pattern: re.Pattern[str]) -> Report:
    return replace(report, violations=[one for one in report.violations if pattern.search(f"{one.kind}: {one.text}")])


if __name__ == "__main__":
    sys.exit(main())
