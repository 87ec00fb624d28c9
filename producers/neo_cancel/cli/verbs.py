"""What each verb of the command does with a producer. Every verb shows its result and answers the exit code."""

import typer

from neo_cancel.cli.bulk_file import BulkFile
from neo_cancel.cli.display import show_bad_rows, show_bulk, show_order, show_progress, write_object
from neo_cancel.cli.exits import ExitCode, complain
from neo_cancel.errors import WaitTimeoutError
from neo_cancel.order import CancelOrder
from neo_cancel.sync.handles import BulkHandle
from neo_cancel.sync.producer import CancelProducer

__all__ = ["cancel_bulk", "cancel_order", "follow_bulk", "is_to_be_sent", "show_bulk_status", "show_order_status"]


def cancel_order(
    producer: CancelProducer, order: CancelOrder, *, wait: bool, timeout_seconds: float | None, as_json: bool
) -> ExitCode:
    """Enqueue one order. Without `wait`, an accepted order is a success."""
    handle = producer.enqueue(order)
    if not wait:
        show_order(handle.status(), as_json=as_json)
        return ExitCode.NONE_MAY_WORK
    try:
        record = handle.wait(timeout_seconds)
    except WaitTimeoutError as error:
        complain(str(error), kind=type(error).__name__, as_json=as_json)
        record = handle.status()
    show_order(record, as_json=as_json)
    return _verdict(harmless=not record.may_still_work)


def is_to_be_sent(rows: BulkFile, *, skip_bad: bool, as_json: bool) -> bool:
    """Report the bad rows of a file; answer whether the good ones are to be sent."""
    show_bad_rows(rows.bad, as_json=as_json)
    if not rows.bad or (skip_bad and rows.orders):
        return True
    complain(f"nothing was sent: {len(rows.bad)} bad rows", kind="InvalidOrderError", as_json=as_json)
    return False


def cancel_bulk(
    producer: CancelProducer, rows: BulkFile, *, wait: bool, timeout_seconds: float | None, as_json: bool
) -> ExitCode:
    """Enqueue the good rows of a file. A row that was left out may still work."""
    handle = producer.enqueue_many(rows.orders)
    _show_accepted(handle, skipped=len(rows.bad), as_json=as_json)
    if not wait:
        return _verdict(harmless=not rows.bad)
    code = follow_bulk(handle, timeout_seconds=timeout_seconds, as_json=as_json)
    return ExitCode.SOME_MAY_WORK if rows.bad else code


def follow_bulk(handle: BulkHandle, *, timeout_seconds: float | None, as_json: bool) -> ExitCode:
    """Follow a bulk until it has ended or the time is up, then count it."""
    show_progress(handle, timeout_seconds=timeout_seconds, as_json=as_json)
    return show_bulk_status(handle, as_json=as_json)


def show_bulk_status(handle: BulkHandle, *, as_json: bool) -> ExitCode:
    """Count a bulk."""
    return _verdict(harmless=show_bulk(handle, as_json=as_json).is_complete)


def show_order_status(producer: CancelProducer, ucc: str, order_number: str, *, as_json: bool) -> ExitCode:
    """Show what the ledger knows of an order."""
    record = producer.look_up(ucc, order_number)
    show_order(record, as_json=as_json)
    return _verdict(harmless=not record.may_still_work)


def _show_accepted(handle: BulkHandle, *, skipped: int, as_json: bool) -> None:
    counts = {"duplicates": handle.duplicates, "attached": handle.attached, "answered": handle.answered}
    if as_json:
        write_object("accepted", {"batch": handle.batch, "asked": len(handle), **counts, "skipped": skipped})
    else:
        extra = "".join(f", {count} {name}" for name, count in counts.items() if count)
        typer.echo(f"bulk {handle.batch}: {len(handle)} orders accepted{extra}")


def _verdict(*, harmless: bool) -> ExitCode:
    return ExitCode.NONE_MAY_WORK if harmless else ExitCode.SOME_MAY_WORK
