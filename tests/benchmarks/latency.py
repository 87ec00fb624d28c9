"""`make latency`, or `python -m tests.benchmarks.latency`: from the broker's "Ok" to the final, verified status.

Exit code 0 when all was measured, whatever it showed; 1 when something could not be measured.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from config.settings import Settings
from tests.benchmarks.measures.verified import Bulk, Figures, bulk, reads, single

_READS = Settings.model_fields["reads_per_second"].default


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement, and what it should show at most: seconds, or calls in a rolling second."""

    title: str
    measure: Callable[[], Figures]
    wanted: Mapping[str, float]


def _lines(given: argparse.Namespace) -> dict[str, Line]:
    many = Bulk(given.accounts, given.orders, 300, given.workers)
    long = Bulk(given.long_accounts, given.orders, 2000, given.workers)
    shared = Bulk(1, 6 * given.orders, 300, 3)
    return {
        "bulk": Line(_title(many), partial(bulk, many), {"p50": 1.0, "p99": 2.5}),
        "single": Line(
            f"one order of an idle account, {given.singles} times, a book of 300 rows",
            partial(single, Bulk(1, 0, 300), times=given.singles),
            {"p99": 0.5},
        ),
        "long": Line(_title(long), partial(bulk, long), {"p99": 6.0}),
        "reads": Line(_title(shared), partial(reads, shared), {"busiest_second_of_reads": _READS}),
    }


def _title(size: Bulk) -> str:
    return (
        f"{size.accounts} accounts x {size.orders} orders, books of {size.rows} rows, "
        f"{size.workers} worker process{'es' if size.workers > 1 else ''}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    given = _parser().parse_args(arguments)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    results: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    lines = _lines(given)
    for name in given.only.split(",") if given.only else lines:
        results[name] = _measured(lines[name])
    if given.json:
        Path(given.json).write_text(json.dumps(results, indent=1))
    return int(any("error" in result for result in results.values() if isinstance(result, dict)))


def _measured(line: Line) -> dict[str, Any]:
    print(f"\n{line.title}", flush=True)
    try:
        figures = line.measure()
    except (ValueError, TimeoutError) as error:
        print(f"  not measured: {error}")
        return {"title": line.title, "error": str(error)}
    for name, value in figures.items():
        wanted = line.wanted.get(name)
        mark = "" if wanted is None else f"  wanted: {wanted:g} at most: {'ok' if value <= wanted else 'MISSED'}"
        print(f"  {name:26}{value:10.3f}{mark}")
    return {"title": line.title, "wanted": line.wanted, "figures": figures}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.latency", description=__doc__)
    parser.add_argument("--accounts", type=int, default=50, help="with books of 300 rows (default: %(default)s)")
    parser.add_argument("--long-accounts", type=int, default=10, help="with books of 2,000 rows (default: %(default)s)")
    parser.add_argument("--orders", type=int, default=40, help="of each account (default: %(default)s)")
    parser.add_argument("--singles", type=int, default=50, help="orders of the idle account (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes of the bulks (default: %(default)s)")
    parser.add_argument("--only", metavar="NAME,...", help="of bulk, single, long, reads")
    parser.add_argument("--json", type=Path, default=os.environ.get("LATENCY_JSON"), help="(default: $LATENCY_JSON)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
