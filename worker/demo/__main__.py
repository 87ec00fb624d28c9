"""`python -m worker.demo`: set everything up from nothing, cancel 300 orders under faults, compare ledger and truth."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Final, Protocol

from rich.console import Console
from rich.progress import Progress

from neo_cancel import BulkHandle, CancelProducer, NeoCancelError, OrderHandle, OrderRecord
from neo_cancel.order import Lane
from worker.demo.report import Outcome, Report
from worker.demo.scenario import ACCOUNTS, DemoOrder, create_orders
from worker.ops.interruption import InterruptedRunError, Interruption
from worker.ops.process import ChildError
from worker.sandbox.control import SandboxControl, SandboxError
from worker.stack.accounts import write_accounts
from worker.stack.parts import Stack, UnavailableError

__all__ = ["ExitCode", "main"]

_SINGLES: Final = 6
_THREADS: Final = 32
_PATIENCE_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.2
_PLAIN_SECONDS: Final = 1.0
# Short time-outs: the faults are part of the show, waiting for them is not.
_WORKERS: Final = {
    "NEO_CANCEL_READ_TIMEOUT": "1",
    "NEO_CANCEL_CALL_TIMEOUT": "2",
    "NEO_CANCEL_BOOK_TIMEOUT": "3",
    "NEO_CANCEL_VERIFICATION_WINDOW": "5",
    "NEO_CANCEL_ORDERS_PER_SECOND": "100",
    "NEO_CANCEL_LOG_LEVEL": "WARNING",
}


class ExitCode(IntEnum):
    """How the demo ended."""

    AGREES = 0
    """Every order's final status is what the sandbox knows to be true."""
    DISAGREES = 1
    """Some are not, or have not ended; they are named."""
    BROKEN = 2
    """A part did not start or ended by itself."""
    INTERRUPTED = 130


class Shown(Protocol):
    """Where progress goes."""

    def __call__(self, done: int) -> None:
        """Show how many orders are final."""
        ...


def main() -> int:
    """Run the demo; see ExitCode. With DEMO_JSON set, the report is written to that file, too."""
    console = Console(highlight=False)
    _forget_settings()
    root = Path(tempfile.mkdtemp(prefix="neo-cancel-demo-"))
    code = ExitCode.BROKEN
    try:
        with Interruption() as interruption, Stack(root=root, env=_WORKERS, interruption=interruption) as stack:
            report = _run(stack, console)
        _show(report, console)
        code = ExitCode.AGREES if report.agrees else ExitCode.DISAGREES
    except InterruptedRunError:
        console.print("interrupted; everything is stopped")
        code = ExitCode.INTERRUPTED
    except (ChildError, UnavailableError, SandboxError, NeoCancelError) as error:
        sys.stderr.write(f"neo-cancel demo: {error}\n")
    finally:
        if code in (ExitCode.AGREES, ExitCode.INTERRUPTED):
            shutil.rmtree(root, ignore_errors=True)
        else:
            sys.stderr.write(f"logs are kept in {root / 'log'}\n")
    return code


def _forget_settings() -> None:
    """Leave settings for real workers and a real Redis alone: a demo is the same everywhere."""
    for name in [name for name in os.environ if name.startswith("NEO_CANCEL_")]:
        del os.environ[name]


def _run(stack: Stack, console: Console) -> Report:
    console.print("starting Redis, sandbox broker, worker nodes and Flower ...")
    stack.start_redis()
    accounts_file = stack.root / "accounts.json"
    stack.launch_nodes(lanes=list(Lane), processes=1, threads=_THREADS, accounts_file=accounts_file)
    stack.launch_flower()
    with stack.start_sandbox() as sandbox:
        write_accounts(accounts_file, [sandbox.create_account(ucc) for ucc in ACCOUNTS])
        orders = create_orders(sandbox)
        stack.wait()
        console.print(f"workers: {', '.join(stack.nodes)}")
        console.print(f"Flower: {stack.flower_url} (user neo-cancel, password {stack.flower_password})", soft_wrap=True)
        with CancelProducer(stack.redis_url).connect() as producer:
            begun = time.monotonic()
            records = _cancel(producer, orders, stack, console)
            return _compared(orders, records, sandbox, time.monotonic() - begun)


def _cancel(
    producer: CancelProducer, orders: Sequence[DemoOrder], stack: Stack, console: Console
) -> dict[str, OrderRecord]:
    """Enqueue most in one bulk and a few one by one, and wait until all have ended or patience has."""
    singles, many = orders[:_SINGLES], orders[_SINGLES:]
    bulk = producer.enqueue_many(order.cancel for order in many)
    handles = [producer.enqueue(order.cancel) for order in singles]
    console.print(f"{len(bulk)} cancels enqueued in bulk {bulk.batch}, {len(handles)} one by one")
    gives_up_at = time.monotonic() + _PATIENCE_SECONDS
    with _progress(console, len(orders)) as show:
        while (done := _count(bulk, handles)) < len(orders) and time.monotonic() < gives_up_at:
            show(done)
            stack.check()
            time.sleep(_LOOK_SECONDS)
        show(done)
    found = [*bulk.records(), *(handle.status() for handle in handles)]
    return {record.key: record for record in found if record is not None}


def _count(bulk: BulkHandle, handles: Sequence[OrderHandle]) -> int:
    return len(bulk) - bulk.status().pending + sum(handle.status().is_final for handle in handles)


def _compared(
    orders: Sequence[DemoOrder], records: Mapping[str, OrderRecord], sandbox: SandboxControl, seconds: float
) -> Report:
    truth = sandbox.lookup(order.cancel.order_number for order in orders)
    return Report(
        [Outcome(order, records.get(order.name), truth.get(order.cancel.order_number)) for order in orders], seconds
    )


@contextmanager
def _progress(console: Console, total: int) -> Generator[Shown]:
    """Draw a bar on a terminal; elsewhere write a line a second while something changes."""
    if console.is_terminal:
        with Progress(console=console) as progress:
            task = progress.add_task("cancelling", total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    shown, next_at = -1, 0.0

    def line(done: int) -> None:
        nonlocal shown, next_at
        if done != shown and (done == total or time.monotonic() >= next_at):
            console.print(f"{done} of {total} final")
            shown, next_at = done, time.monotonic() + _PLAIN_SECONDS

    yield line


def _show(report: Report, console: Console) -> None:
    console.print(report.table())
    for line in report.summary():
        console.print(line, markup=False, soft_wrap=True)
    if path := os.environ.get("DEMO_JSON"):
        Path(path).write_text(json.dumps(report.to_json(), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
