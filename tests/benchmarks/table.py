"""The results for people and for programs."""

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tests.benchmarks.lines import FIGURES, RATIOS, Line
from tests.benchmarks.results import Results, Value
from tests.benchmarks.rivals.catalogue import RIVALS
from tests.benchmarks.stage import Size

__all__ = ["as_json", "as_text"]

_PACKAGES = (*(rival.package for rival in RIVALS), "taskiq-redis", "aiohttp", "httpx", "redis", "uvloop")
_MARKS = {True: "ok", False: "MISSED", None: ""}


def as_text(results: Results, size: Size) -> str:
    """Write the table: ratios first, then the figures under them, then what is missing and why."""
    work = (
        f"{size.orders:,} orders, {size.accounts} accounts, {size.rounds} rounds; rivals {size.rival_orders:,} orders"
    )
    head = [
        f"{work}; {os.cpu_count()} cores, Python {platform.python_version()}",
        "The middle column is the median over the rounds, a ratio being taken within each round; then lowest and highest.",
    ]
    return "\n".join(
        [
            *head,
            "",
            f"{'ratio':52}{'asked':>9}{'median':>10}  {'lowest .. highest':20}",
            *_rows(results, RATIOS),
            "",
            f"{'figure':52}{'':9}{'median':>10}  {'lowest .. highest':20}",
            *_rows(results, FIGURES),
            *(["", *(f"note: {note}" for note in results.notes)] if results.notes else []),
        ]
    )


def _rows(results: Results, lines: Iterable[Line]) -> list[str]:
    rows = []
    for line in lines:
        value = results.value(line.figure)
        if value is not None:
            rows.append(_row(line, value))
        elif line.asked is not None:
            rows.append(f"{line.title:52}{_asked(line):>9}{'not run':>10}")
    return rows


def _row(line: Line, value: Value) -> str:
    middle = f"{value.middle:,.{line.digits}f}"
    extremes = f"{value.lowest:,.{line.digits}f} .. {value.highest:,.{line.digits}f}" if value.rounds > 1 else ""
    mark = _MARKS[line.is_kept(value.middle)]
    if line.aim is not None:
        mark += f" (aim {'<=' if line.at_most else '>='} {line.aim:g})"
    return f"{line.title:52}{_asked(line):>9}{middle:>10}  {extremes:20}{mark}".rstrip()


def _asked(line: Line) -> str:
    return "" if line.asked is None else f"{'<=' if line.at_most else '>='} {line.asked:g}"


def as_json(results: Results, size: Size) -> dict[str, Any]:
    """Say the same for programs, with every round's figures."""
    return {
        "size": asdict(size),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": sys.version.split()[0]},
        "packages": {name: _version(name) for name in _PACKAGES},
        "ratios": [_line(results, line) for line in RATIOS],
        "figures": [_line(results, line) for line in FIGURES],
        "rounds": results.rounds,
        "notes": results.notes,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(results: Results, line: Line) -> dict[str, Any]:
    value = results.value(line.figure)
    return {
        "title": line.title,
        "asked": line.asked,
        "rule": None if line.asked is None else "at most" if line.at_most else "at least",
        "aim": line.aim,
        "value": None if value is None else asdict(value),
        "kept": None if value is None else line.is_kept(value.middle),
    }
