"""What the command shows: tables and progress for people, one JSON object a line for programs."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from neo_cancel.bulk import BulkStatus
from neo_cancel.cli.bulk_file import BadRow
from neo_cancel.cli.exits import complain
from neo_cancel.errors import WaitTimeoutError
from neo_cancel.record import OrderRecord
from neo_cancel.sync.handles import BulkHandle

__all__ = ["show_bad_rows", "show_bulk", "show_order", "show_progress", "write_object"]

SHOWN_AT_MOST: Final = 20
_LINE_EVERY_SECONDS: Final = 1.0
_ORDER_FIELDS: Final = (
    "variety",
    "lane",
    "amo",
    "trading_symbol",
    "strategy",
    "reason",
    "batch",
    "waiting_for",
    "attempts",
    "code",
    "text",
    "verified",
    "verified_by",
    "filled_quantity",
    "unfilled_quantity",
    "send_latency_seconds",
    "final_latency_seconds",
)


def write_object(kind: str, fields: Mapping[str, Any]) -> None:
    """Write one JSON object on standard output."""
    sys.stdout.write(json.dumps({"kind": kind, **fields}) + "\n")
    sys.stdout.flush()


def show_order(record: OrderRecord, *, as_json: bool) -> None:
    """Show one order's record."""
    if as_json:
        write_object("order", record.to_json())
        return
    table = _table("order", record.key)
    table.add_row("status", str(record.status))
    table.add_row("may still work", "yes" if record.may_still_work else "no")
    values = record.to_json()
    for name in _ORDER_FIELDS:
        if values[name] not in (None, False, 0):
            table.add_row(name.replace("_", " "), _shown(values[name]))
    _console().print(table)


def show_bulk(handle: BulkHandle, *, as_json: bool) -> BulkStatus:
    """Show the counts of a bulk and the first twenty orders that may still work; answer the counts."""
    records = handle.records()
    status = BulkStatus.of(records)
    if as_json:
        write_object("bulk", {"batch": handle.batch, **status.to_json()})
        return status
    console = _console()
    counts = _table("status", "orders")
    for name, count in sorted(status.counts.items()):
        counts.add_row(str(name), str(count))
    if status.missing:
        counts.add_row("missing", str(status.missing))
    counts.add_section()
    counts.add_row("asked", str(status.asked))
    console.print(counts)
    _show_risky(console, [record for record in records if record is not None and record.may_still_work])
    verdict = "COMPLETE: no order may still work" if status.is_complete else f"{_risky(status)} may still work"
    console.print(f"bulk {handle.batch}: {verdict}", soft_wrap=True)
    return status


def show_bad_rows(bad: Sequence[BadRow], *, as_json: bool) -> None:
    """Report the rows that hold no good order: the first twenty to people, all of them to programs."""
    for row in bad if as_json else bad[:SHOWN_AT_MOST]:
        complain(str(row.error), kind=type(row.error).__name__, as_json=as_json, error=row.error, line=row.line)
    if not as_json and len(bad) > SHOWN_AT_MOST:
        complain(f"... and {len(bad) - SHOWN_AT_MOST} more bad rows", kind="InvalidOrderError", as_json=False)


def show_progress(handle: BulkHandle, *, timeout_seconds: float | None, as_json: bool) -> None:
    """Follow a bulk until it has ended or the time is up: records for programs, a bar or plain lines for people."""
    # The counts that follow show the orders that are not final in time.
    with suppress(WaitTimeoutError):
        results = handle.results(timeout_seconds)
        if as_json:
            for record in results:
                write_object("order", record.to_json())
        elif sys.stderr.isatty():
            _run_through(_with_bar(results, len(handle)))
        else:
            _run_through(_with_lines(results, len(handle)))


def _run_through(results: Iterable[OrderRecord]) -> None:
    for _ in results:
        pass


def _with_bar(results: Iterable[OrderRecord], total: int) -> Iterator[OrderRecord]:
    columns = (TextColumn("final"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("final", total=total)
        for record in results:
            progress.advance(task)
            yield record


def _with_lines(results: Iterable[OrderRecord], total: int) -> Iterator[OrderRecord]:
    due = 0.0
    for done, record in enumerate(results, start=1):
        if time.monotonic() >= due or done == total:
            due = time.monotonic() + _LINE_EVERY_SECONDS
            sys.stderr.write(f"{done} of {total} final\n")
            sys.stderr.flush()
        yield record


def _show_risky(console: Console, risky: Sequence[OrderRecord]) -> None:
    if not risky:
        return
    table = _table("order", "status", "code", "text")
    for record in risky[:SHOWN_AT_MOST]:
        table.add_row(record.key, str(record.status), record.code or "", record.text or record.waiting_for or "")
    console.print(table)
    if len(risky) > SHOWN_AT_MOST:
        console.print(f"... and {len(risky) - SHOWN_AT_MOST} more; --json names them all")


def _risky(status: BulkStatus) -> str:
    count = status.may_still_work + status.missing
    return "1 order" if count == 1 else f"{count} orders"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _console() -> Console:
    # Text of the broker or of a strategy is shown as it is, never read as markup.
    return Console(markup=False, highlight=False, emoji=False)


def _table(*headers: str) -> Table:
    return Table(*headers, show_header=True)
