"""What the command shows: tables for people, one JSON object a line for programs."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from neo_cancel.bulk import BulkStatus, slices
from neo_cancel.cli.bulk_file import BulkFile
from neo_cancel.cli.exits import complain
from neo_cancel.cli.progress import Step, followed
from neo_cancel.errors import WaitTimeoutError
from neo_cancel.record import OrderRecord
from neo_cancel.sync.handles import BulkHandle
from neo_cancel.sync.producer import CancelProducer

__all__ = ["counted", "show_bad_rows", "show_bulk", "show_order", "show_progress", "write_object"]

SHOWN_AT_MOST: Final = 20
_WIDE: Final = 1000
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


def counted(count: int, noun: str) -> str:
    """Write a number with its noun: 1 order, 2 orders."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def write_object(kind: str, fields: Mapping[str, Any]) -> None:
    """Write one JSON object on standard output."""
    sys.stdout.write(json.dumps({"kind": kind, **fields}) + "\n")
    sys.stdout.flush()


def show_order(record: OrderRecord, *, as_json: bool) -> None:
    """Show one order's record."""
    if as_json:
        write_object("order", record.to_json())
        return
    table = Table()
    table.add_column("order", no_wrap=True)
    table.add_column(record.key, min_width=max(len(record.key), len(record.batch or "")))
    table.add_row("status", str(record.status))
    table.add_row("may still work", "yes" if record.may_still_work else "no")
    values = record.to_json()
    for name in _ORDER_FIELDS:
        if values[name] not in (None, False, 0):
            table.add_row(name.replace("_", " "), _shown(values[name]))
    _print(table)


def show_bulk(
    producer: CancelProducer,
    handle: BulkHandle,
    *,
    as_json: bool,
    told: AbstractSet[str] = frozenset(),
    skipped: int = 0,
) -> BulkStatus:
    """Show the counts of a bulk and the orders that may still work: the first twenty to people, all to programs.

    `told` names the orders of which programs know that already; `skipped` rows of the file were left out. Answers the counts.
    """
    if as_json:
        status = BulkStatus.of(_records(producer, handle, lambda name, record: _write_risky(name, record, told)))
        left_out = {"skipped": skipped, "complete": False} if skipped else {}
        write_object("bulk", {"batch": handle.batch, **status.to_json(), **left_out})
        return status
    risky: list[OrderRecord] = []

    def note(_: str, record: OrderRecord | None) -> None:
        if record is not None and len(risky) < SHOWN_AT_MOST:
            risky.append(record)

    status, console = BulkStatus.of(_records(producer, handle, note)), _console()
    _print(_counts(status))
    _show_risky(console, risky, status.may_still_work)
    console.print(f"bulk {handle.batch}: {_verdict(status, skipped)}", soft_wrap=True)
    return status


def show_bad_rows(file: BulkFile, *, as_json: bool) -> None:
    """Check a file, and report the rows that hold no good order: the first twenty to people, all of them to programs."""
    name = None if file.name == "-" else file.name
    for row in followed(file.check(), Step(word="MB checked", measured=lambda: file.megabytes), as_json=as_json):
        if row is not None and (as_json or file.bad <= SHOWN_AT_MOST):
            kind = type(row.error).__name__
            complain(str(row.error), kind=kind, as_json=as_json, error=row.error, file=name, line=row.line)
    if not as_json and file.bad > SHOWN_AT_MOST:
        more = counted(file.bad - SHOWN_AT_MOST, "more bad row")
        complain(f"... and {more}", kind="InvalidOrderError", as_json=False)


def show_progress(handle: BulkHandle, *, timeout_seconds: float | None, as_json: bool) -> set[str]:
    """Follow a bulk until it has ended or the time is up: records for programs, a bar or plain lines for people.

    Answers which orders programs were told of that may still work.
    """
    told: set[str] = set()
    # The counts that follow show the orders that are not final in time.
    with suppress(WaitTimeoutError):
        step = Step(word="final", total=len(handle))
        for record in followed(handle.results(timeout_seconds), step, as_json=as_json):
            if as_json:
                write_object("order", record.to_json())
            if as_json and record.may_still_work:
                told.add(record.key)
    return told


def _records(
    producer: CancelProducer, handle: BulkHandle, note: Callable[[str, OrderRecord | None], None]
) -> Iterator[OrderRecord | None]:
    """Read the records of a bulk, some at a time; `note` gets each order that may still work, or whose record is gone."""
    for names in slices(handle.names):
        for name, record in zip(names, producer.read_records(names), strict=True):
            if record is None or record.may_still_work:
                note(name, record)
            yield record


def _write_risky(name: str, record: OrderRecord | None, told: AbstractSet[str]) -> None:
    if record is None:
        write_object("missing", {"order": name})
    elif name not in told:
        write_object("order", record.to_json())


def _counts(status: BulkStatus) -> Table:
    table = Table("status", "orders")
    for name, count in sorted(status.counts.items()):
        table.add_row(str(name), str(count))
    if status.missing:
        table.add_row("missing", str(status.missing))
    table.add_section()
    table.add_row("asked", str(status.asked))
    return table


def _show_risky(console: Console, risky: Sequence[OrderRecord], count: int) -> None:
    if not risky:
        return
    table = Table()
    table.add_column("order", no_wrap=True, min_width=max(len(record.key) for record in risky))
    table.add_column("status", no_wrap=True, min_width=max(len(record.status) for record in risky))
    table.add_column("code", no_wrap=True, min_width=4)
    table.add_column("text", min_width=20)
    for record in risky:
        table.add_row(record.key, str(record.status), record.code or "", record.text or record.waiting_for or "")
    _print(table)
    if count > len(risky):
        console.print(f"... and {count - len(risky)} more; --json names them all")


def _verdict(status: BulkStatus, skipped: int) -> str:
    left_out = f"{counted(skipped, 'row')} left out" if skipped else ""
    if not status.is_complete:
        risky = counted(status.may_still_work + status.missing, "order")
        return f"{' and '.join(filter(None, [risky, left_out]))} may still work"
    return f"no order that was sent may still work, {left_out} may" if skipped else "COMPLETE: no order may still work"


def _print(table: Table) -> None:
    # In a narrow window lines are longer than it: an id that is cut or folded cannot be copied.
    least = Measurement.get(_console(_WIDE), _console(_WIDE).options, table).minimum
    _console(max(_console().width, least)).print(table, crop=False)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _console(width: int | None = None) -> Console:
    # Text of the broker or of a strategy is shown as it is, never read as markup.
    return Console(width=width, markup=False, highlight=False, emoji=False)
