"""What each verb of the command does with a producer. Every verb shows its result and answers the exit code."""

from contextlib import suppress

import typer

from neo_cancel.cli.bulk_file import BulkFile
from neo_cancel.cli.display import counted, show_bad_rows, show_bulk, show_order, show_progress, write_object
from neo_cancel.cli.exits import ExitCode, complain
from neo_cancel.cli.progress import Step, followed
from neo_cancel.errors import InvalidOrderError, WaitTimeoutError
from neo_cancel.open_bulk import OpenBulk
from neo_cancel.order import CancelOrder
from neo_cancel.sync.handles import BulkHandle
from neo_cancel.sync.producer import CancelProducer

__all__ = ["cancel_bulk", "cancel_order", "follow_bulk", "is_to_be_sent", "show_bulk_status", "show_order_status"]


def cancel_order(
    producer: CancelProducer, order: CancelOrder, *, wait: bool, timeout_seconds: float | None, as_json: bool
) -> ExitCode:
    """Enqueue one order. Without `wait`, an accepted order is a success."""
    handle = producer.enqueue(order)
    if handle.contradicts:
        told = f"order {order.ucc}:{order.order_number} is under way as another variety, AMO or symbol: the order book settles it"
        complain(told, kind="Contradiction", as_json=as_json)
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


def is_to_be_sent(file: BulkFile, *, skip_bad: bool, as_json: bool) -> bool:
    """Check a file to its last row and report the bad rows; answer whether the good ones are to be sent."""
    show_bad_rows(file, as_json=as_json)
    if not file.bad or (skip_bad and file.rows):
        return True
    complain(f"nothing was sent: {counted(file.bad, 'bad row')}", kind="InvalidOrderError", as_json=as_json)
    return False


def cancel_bulk(
    producer: CancelProducer, file: BulkFile, *, wait: bool, timeout_seconds: float | None, as_json: bool
) -> ExitCode:
    """Enqueue the good rows of a checked file. A row that was left out may still work."""
    handle = _send(producer, file, as_json=as_json)
    _show_accepted(handle, skipped=file.bad, as_json=as_json)
    is_whole = not file.bad and _is_sent(file, handle, as_json=as_json)
    if not wait:
        return _verdict(harmless=is_whole)
    code = follow_bulk(producer, handle, timeout_seconds=timeout_seconds, as_json=as_json, skipped=file.bad)
    return code if is_whole else ExitCode.SOME_MAY_WORK


def _send(producer: CancelProducer, file: BulkFile, *, as_json: bool) -> BulkHandle:
    bulk = OpenBulk(len(file))
    sent = (producer.enqueue_piece(piece, bulk) for piece in file.pieces())
    try:
        # A file that cannot be read any more was changed since its check: `_is_sent` says so.
        with suppress(InvalidOrderError):
            step = Step(word="orders sent", measured=lambda: (bulk.offered, len(file)))
            for _ in followed(sent, step, as_json=as_json):
                pass
    except KeyboardInterrupt:
        told = f"bulk {bulk.batch} was cut off after {bulk.accepted} of {len(file)} orders"
        complain(told, kind="Interrupted", as_json=as_json)
        raise
    finally:
        file.close()
    counts = {**bulk.counts, "duplicates": file.rows - len(file)}
    return BulkHandle(producer, bulk.batch, file.names, **counts)


def _is_sent(file: BulkFile, handle: BulkHandle, *, as_json: bool) -> bool:
    """Tell whether every order that was checked was found again to be sent: a file may change meanwhile."""
    if len(handle) == len(file):
        return True
    lost = counted(len(file) - len(handle), "order")
    said = f"{file.name} was changed while it was read: {lost} of it not sent; send it again, nothing doubles"
    complain(said, kind="FileChanged", as_json=as_json)
    return False


def follow_bulk(
    producer: CancelProducer, handle: BulkHandle, *, timeout_seconds: float | None, as_json: bool, skipped: int = 0
) -> ExitCode:
    """Follow a bulk until it has ended or the time is up, then count it."""
    told = show_progress(handle, timeout_seconds=timeout_seconds, as_json=as_json)
    status = show_bulk(producer, handle, as_json=as_json, told=told, skipped=skipped)
    return _verdict(harmless=status.is_complete)


def show_bulk_status(producer: CancelProducer, handle: BulkHandle, *, as_json: bool) -> ExitCode:
    """Count a bulk."""
    return _verdict(harmless=show_bulk(producer, handle, as_json=as_json).is_complete)


def show_order_status(producer: CancelProducer, ucc: str, order_number: str, *, as_json: bool) -> ExitCode:
    """Show what the ledger knows of an order."""
    record = producer.look_up(ucc, order_number)
    show_order(record, as_json=as_json)
    return _verdict(harmless=not record.may_still_work)


def _show_accepted(handle: BulkHandle, *, skipped: int, as_json: bool) -> None:
    names = ("duplicates", "attached", "answered", "contradicted")
    counts = {name: getattr(handle, name) for name in names}
    if as_json:
        write_object("accepted", {"batch": handle.batch, "asked": len(handle), **counts, "skipped": skipped})
    else:
        words = {"duplicates": counted(handle.duplicates, "duplicate")}
        extra = "".join(f", {words.get(name, f'{count} {name}')}" for name, count in counts.items() if count)
        typer.echo(f"bulk {handle.batch}: {counted(len(handle), 'order')} accepted{extra}")


def _verdict(*, harmless: bool) -> ExitCode:
    return ExitCode.NONE_MAY_WORK if harmless else ExitCode.SOME_MAY_WORK
