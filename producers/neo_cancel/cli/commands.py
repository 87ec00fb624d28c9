"""The verbs of the `neo-cancel` command."""

import math
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.exceptions import TyperException

from neo_cancel.cli.bulk_file import read_orders
from neo_cancel.cli.display import say, show_bad_rows, show_bulk, show_order, show_progress
from neo_cancel.cli.exits import ExitCode, complain
from neo_cancel.client import CancelProducer
from neo_cancel.errors import InvalidOrderError, WaitTimeoutError
from neo_cancel.order import CancelOrder, Lane, Variety

__all__ = ["run"]

DEFAULT_REDIS_URL: Final = "redis://127.0.0.1:6379/0"
ADDRESS_FILE: Final = Path("var/redis-url")

_HELP = """Cancel orders at Kotak Neo, and learn what truly became of them.

Exit codes: 0 no order may still work (without --wait: accepted), 1 an order may still work (not final yet, time-out,
refused, unknown, rows skipped), 2 bad input or usage, nothing was sent, 3 Redis cannot be reached or refuses,
130 interrupted; what was accepted goes on.

Redis: --redis-url, else NEO_CANCEL_REDIS_URL, else the address in the file var/redis-url, else redis://127.0.0.1:6379/0.
A password is better kept in NEO_CANCEL_REDIS_URL: other users can read a command line.

With --json, standard output holds one JSON object a line, and so do errors on standard error."""

app = typer.Typer(
    help=_HELP, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=False
)


def run(*, as_json: bool) -> int:
    """Run the command with the process's arguments and answer its exit code; wrong usage is told in one line."""
    try:
        return int(app(prog_name="neo-cancel", standalone_mode=False) or ExitCode.NONE_MAY_WORK)
    except TyperException as error:
        complain(f"{error.format_message()} (see --help)", kind="UsageError", as_json=as_json)
        return ExitCode.USAGE


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise typer.BadParameter(f"{text!r} is no number of seconds")
    return seconds


RedisUrl = Annotated[
    str | None, typer.Option("--redis-url", metavar="URL", help="Where the ledger is; see neo-cancel --help.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the final status.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", parser=_seconds, metavar="SECONDS", help="How long to wait; for ever without."),
]


@app.command("order")
def order_command(
    ucc: Annotated[str, typer.Argument(metavar="UCC", help="The client account.")],
    order_number: Annotated[str, typer.Argument(metavar="ORDER_NUMBER", help="The broker's number, digits only.")],
    *,
    variety: Annotated[
        str, typer.Option(metavar="VARIETY", help="regular, bracket or cover: chooses the broker's endpoint.")
    ] = Variety.REGULAR.value,
    amo: Annotated[bool, typer.Option("--amo", help="An after-market order; needs --symbol.")] = False,
    symbol: Annotated[str | None, typer.Option(help="The trading symbol, such as TCS-EQ.")] = None,
    risk: Annotated[bool, typer.Option("--risk", help="Urgent: overtakes every routine cancel.")] = False,
    strategy: Annotated[str | None, typer.Option(help="Who asks.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    deadline: Annotated[
        float | None,
        typer.Option(parser=_seconds, metavar="SECONDS", help="When to give up; 60 routine, 300 risk without it."),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    redis_url: RedisUrl = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Cancel one order.

    Example: neo-cancel order AB123 251015000123456 --risk --reason "stop loss" --wait --timeout 10
    """
    _check_timeout(wait, timeout)
    wanted = CancelOrder(
        ucc=ucc,
        order_number=order_number,
        variety=variety,
        amo=amo,
        trading_symbol=symbol,
        lane=Lane.RISK if risk else Lane.ROUTINE,
        strategy=strategy,
        reason=reason,
        deadline_seconds=deadline,
    )
    with CancelProducer(_address(redis_url)) as producer:
        handle = producer.enqueue(wanted)
        if not wait:
            show_order(handle.status(), as_json=as_json)
            return ExitCode.NONE_MAY_WORK
        try:
            record = handle.wait(timeout)
        except WaitTimeoutError as error:
            complain(str(error), kind=type(error).__name__, as_json=as_json)
            record = handle.status()
        show_order(record, as_json=as_json)
        return _verdict(harmless=not record.may_still_work)


@app.command("bulk")
def bulk_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV with a header, or JSON lines; - is standard input.")],
    *,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Send the good rows even where others are bad.")] = False,
    risk: Annotated[bool, typer.Option("--risk", help="Make every row urgent, whatever its lane says.")] = False,
    wait: Wait = False,
    timeout: Timeout = None,
    redis_url: RedisUrl = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Cancel the orders of a file: all of them, or none where a row is bad.

    Columns, or fields of the JSON objects: ucc and order_number; if wanted variety, amo (true/false/yes/no/1/0),
    trading_symbol, lane (routine/risk), strategy, reason, deadline_seconds. An empty cell is not given.

    Examples: neo-cancel bulk open-orders.csv --risk --wait;
    echo '{"ucc": "AB123", "order_number": "251015000123456"}' | neo-cancel bulk -
    """
    _check_timeout(wait, timeout)
    found = read_orders(_content(file), lane=Lane.RISK if risk else None)
    show_bad_rows(found.bad, as_json=as_json)
    if found.bad and not (skip_bad and found.orders):
        complain(f"nothing was sent: {len(found.bad)} bad rows", kind="InvalidOrderError", as_json=as_json)
        return ExitCode.USAGE
    with CancelProducer(_address(redis_url)) as producer:
        handle = producer.enqueue_many(found.orders)
        counts = {"duplicates": handle.duplicates, "attached": handle.attached, "answered": handle.answered}
        if as_json:
            say("accepted", {"batch": handle.batch, "asked": len(handle), **counts, "skipped": len(found.bad)})
        else:
            extra = "".join(f", {count} {name}" for name, count in counts.items() if count)
            typer.echo(f"bulk {handle.batch}: {len(handle)} orders accepted{extra}")
        if not wait:
            return _verdict(harmless=not found.bad)
        show_progress(handle, timeout_seconds=timeout, as_json=as_json)
        status = show_bulk(handle, as_json=as_json)
        return _verdict(harmless=status.is_complete and not found.bad)


@app.command("status")
def status_command(
    name: Annotated[str, typer.Argument(metavar="UCC|BATCH_ID", help="An account, or the id of a bulk alone.")],
    order_number: Annotated[str | None, typer.Argument(metavar="[ORDER_NUMBER]", help="The broker's number.")] = None,
    *,
    redis_url: RedisUrl = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show what is known of an order, or count a bulk. Nothing is sent.

    Examples: neo-cancel status AB123 251015000123456;
    neo-cancel status 0b9c4f0e-6d0c-4f5e-9d57-0d2f1a3b5c7d
    """
    if order_number is None:
        with CancelProducer(_address(redis_url)) as producer:
            return _verdict(harmless=show_bulk(producer.bulk(name), as_json=as_json).is_complete)
    CancelOrder(ucc=name, order_number=order_number)
    with CancelProducer(_address(redis_url)) as producer:
        record = producer.look_up(name, order_number)
    show_order(record, as_json=as_json)
    return _verdict(harmless=not record.may_still_work)


@app.command("watch")
def watch_command(
    batch: Annotated[str, typer.Argument(metavar="BATCH_ID", help="The id that `bulk` printed.")],
    *,
    timeout: Timeout = None,
    redis_url: RedisUrl = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Follow a bulk until every order has a final status.

    Example: neo-cancel watch 0b9c4f0e-6d0c-4f5e-9d57-0d2f1a3b5c7d --json
    """
    with CancelProducer(_address(redis_url)) as producer:
        handle = producer.bulk(batch)
        show_progress(handle, timeout_seconds=timeout, as_json=as_json)
        return _verdict(harmless=show_bulk(handle, as_json=as_json).is_complete)


def _address(given: str | None) -> str:
    if url := given or os.environ.get("NEO_CANCEL_REDIS_URL"):
        return url
    if ADDRESS_FILE.is_file():
        return ADDRESS_FILE.read_text(errors="replace").strip()
    return DEFAULT_REDIS_URL


def _content(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        rule = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise InvalidOrderError("file", file, rule) from None


def _check_timeout(wait: bool, timeout: float | None) -> None:
    if timeout is not None and not wait:
        raise typer.BadParameter("--timeout needs --wait")


def _verdict(*, harmless: bool) -> ExitCode:
    return ExitCode.NONE_MAY_WORK if harmless else ExitCode.SOME_MAY_WORK
