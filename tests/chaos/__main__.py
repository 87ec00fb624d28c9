"""`python -m tests.chaos --seconds 60 --seed 1`: exit code 0 only if nothing was lost and every status is true or unknown."""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.chaos.driver import Options, run
from tests.chaos.events import EVENTS
from tests.chaos.habits import HabitOptions, run_habits
from tests.chaos.kills import KillOptions, run_kills


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the report here instead of to standard output")
    parser.add_argument(
        "--scenario",
        choices=("everything", "kills", "habits"),
        default="everything",
        help="everything at once, or kill -9 of a random worker every two seconds behind a queue of 20,000 orders, or "
        "a broker with all its habits, in a storm, until every order has ended",
    )
    parser.add_argument(
        "--orders", type=int, default=0, help="(default: 60 a second; kills: 20,000, habits: 3,000 at once)"
    )
    parser.add_argument("--accounts", type=int, default=30, help="of habits (default: %(default)s)")
    parser.add_argument("--deadline", type=float, default=0.0, help="habits: seconds for each order")
    parser.add_argument("--calm", action="store_true", help="habits: no storm")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument(
        "--every", type=float, default=0.0, help="mean seconds between two events (1; kills: 2; habits: no kills)"
    )
    parser.add_argument("--only", default="", help=f"comma-separated events out of {', '.join(EVENTS)}")
    parser.add_argument("--appendfsync", choices=("everysec", "always"), default="everysec")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a setting of the workers")
    parser.add_argument("--keep", type=Path, help="keep logs and data in a new folder inside this one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(tempfile.mkdtemp(dir=given.keep, prefix=f"seed-{given.seed}-") if given.keep else scratch)
        report = SCENARIOS[given.scenario](given, folder)
    text = json.dumps(report, indent=1, default=str)
    if given.json:
        given.json.write_text(text)
        text = json.dumps(report["figures"], default=str)
    print(text)
    return 1 if any(report["figures"].get(name) for name in ("lost", "false", "wrong_kind", "given_up")) else 0


def _kills(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return run_kills(
        KillOptions(
            seconds=given.seconds,
            seed=given.seed,
            folder=folder,
            orders=given.orders or 20_000,
            workers=given.workers,
            every=given.every or 2.0,
            appendfsync=given.appendfsync,
            env=dict(pair.split("=", 1) for pair in given.env),
        )
    )


def _everything(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return asyncio.run(
        run(
            Options(
                seconds=given.seconds,
                seed=given.seed,
                folder=folder,
                orders=given.orders or int(60 * given.seconds),
                workers=given.workers,
                every=given.every or 1.0,
                only=frozenset(filter(None, given.only.split(","))),
                appendfsync=given.appendfsync,
                env=dict(pair.split("=", 1) for pair in given.env),
            )
        )
    )


def _habits(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    return run_habits(
        HabitOptions(
            seconds=given.seconds,
            seed=given.seed,
            folder=folder,
            orders=given.orders or 3000,
            accounts=given.accounts,
            workers=given.workers,
            kill_every=given.every,
            deadline=given.deadline,
            storm=not given.calm,
            env=dict(pair.split("=", 1) for pair in given.env),
        )
    )


SCENARIOS = {"everything": _everything, "kills": _kills, "habits": _habits}


if __name__ == "__main__":
    sys.exit(main())
