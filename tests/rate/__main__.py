"""`python -m tests.rate`: the busiest rolling second of each account against its rate, at a broker that counts.

Every cell of a grid: rates x connect delays x numbers of worker processes x troubles. Exit code 0 if no account was ever
above its rate and none sent within a Retry-After; 1 if one did, or a cell could not be measured; 2 for wrong usage.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from tests.benchmarks.peer import PeerError
from tests.rate.cells import DELAYS, PROCESSES, QUICK, RATES, TROUBLES, Account, Run, runs
from tests.rate.judging import Figures
from tests.rate.running import measure
from worker.ops.process import ChildError

_HEAD = f"{'trouble':13}{'processes':>9}{'connect ms':>12}{'rate':>7}{'sends':>7}{'busiest':>9}{'allowed':>9}{'in pause':>10}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a line for each cell."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it still ends its children
    accounts = [Account(rate, delay) for delay, rate in product(given.delays, given.rates)]
    wanted = QUICK if given.quick else runs(given.troubles, given.processes)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {len(wanted) * len(accounts)} cells\n\n{_HEAD}  verdict"
    )
    cells: list[dict[str, Any]] = []
    for run in wanted:
        cells += _measured(run, accounts, given.seconds)
    verdicts = Counter(cell["verdict"] for cell in cells)
    print(f"\n{len(cells)} cells: " + ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common()))
    if given.json:
        given.json.write_text(json.dumps(cells, indent=1))
    return int(set(verdicts) != {"ok"})


def _measured(run: Run, accounts: Sequence[Account], seconds: float) -> Iterator[dict[str, Any]]:
    try:
        with tempfile.TemporaryDirectory(prefix="neo-cancel-rate-") as folder:
            measured = measure(run, accounts, seconds, Path(folder))
    except (ChildError, PeerError, TimeoutError) as error:
        print(f"{run.trouble:13}{run.processes:>9}  NOT MEASURED: {error}", flush=True)
        yield asdict(run) | {"verdict": "NOT MEASURED", "error": str(error)}
        return
    for account, figures in measured.items():
        print(_line(run, account, figures), flush=True)
        yield asdict(run) | asdict(account) | asdict(figures) | {"verdict": figures.verdict}


def _line(run: Run, account: Account, figures: Figures) -> str:
    cell = f"{run.trouble:13}{run.processes:>9}{account.delay_ms:>12}{account.rate:>7g}"
    window = "" if figures.window_seconds == 1 else f" (in {figures.window_seconds:g} s)"
    counts = f"{figures.sends:>7}{figures.busiest:>9}{figures.most:>9}{figures.in_pause:>10}"
    return f"{cell}{counts}  {figures.verdict}{window}"


def _parser() -> argparse.ArgumentParser:
    troubles = "\n".join(f"  {name:12} {meaning}" for name, meaning in TROUBLES.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.rate",
        description=__doc__,
        epilog=f"troubles:\n{troubles}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a sample of cells, in two minutes")
    parser.add_argument("--rates", type=_listed(float), default=RATES, metavar="N,...", help="sends a second")
    parser.add_argument("--delays", type=_listed(int), default=DELAYS, metavar="N,...", help="ms that a connect takes")
    parser.add_argument("--processes", type=_listed(int), default=PROCESSES, metavar="N,...", help="worker processes")
    parser.add_argument("--troubles", type=_listed(_trouble), default=tuple(TROUBLES), metavar="NAME,...")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each run (default: %(default)g)")
    parser.add_argument("--json", type=Path, default=os.environ.get("RATE_JSON"), help="(default: $RATE_JSON)")
    return parser


def _listed(read: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda said: tuple(map(read, said.split(",")))


def _trouble(said: str) -> str:
    if said not in TROUBLES:
        raise argparse.ArgumentTypeError(f"{said}: there are {', '.join(TROUBLES)}")
    return said


if __name__ == "__main__":
    sys.exit(main())
