"""The commands of `neo-cancel`: what may be typed, and its help."""

import os
from collections.abc import Generator
from contextlib import contextmanager

import typer
from typer.exceptions import TyperException

from neo_cancel.cli import options, verbs
from neo_cancel.cli.bulk_file import BulkFile, opened
from neo_cancel.cli.exits import ExitCode, complain
from neo_cancel.errors import InvalidOrderError, LedgerError
from neo_cancel.namespace import DEFAULT_NAMESPACE
from neo_cancel.order import CancelOrder, Lane, Variety
from neo_cancel.sync.producer import CancelProducer

__all__ = ["app", "run"]

_HELP = """Cancel orders at Kotak Neo, and learn what truly became of them.

Exit codes: 0 no order may still work; `order` and `bulk` without --wait: all was accepted, which says nothing of what becomes
of it. 1 an order may still work (not final yet, time-out, refused, unknown, rows skipped), 2 bad input or usage, nothing was
sent, 3 Redis cannot be reached or refuses, 130 interrupted; what was accepted goes on.

An order that ended `unknown` or `blocked` stays watched: ask again with `status`, proof replaces it.

Redis: --redis-url, else NEO_CANCEL_REDIS_URL, else the address in the file var/redis-url of this folder or one above it, else
redis://127.0.0.1:6379/0.
A password is better kept in NEO_CANCEL_REDIS_URL: other users can read a command line. NEO_CANCEL_NAMESPACE is the
namespace of the workers' keys there, nc unless set.

With --json, standard output holds one JSON object a line, and so do errors on standard error."""

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
)


def run(*, as_json: bool) -> int:
    """Run the command with the process's arguments and answer its exit code. Wrong usage becomes one line."""
    try:
        code = app(prog_name="neo-cancel", standalone_mode=False, obj=_connected)
    except TyperException as error:
        complain(f"{error.format_message()} (see --help)", kind="UsageError", as_json=as_json)
        return ExitCode.USAGE
    return int(code or ExitCode.NONE_MAY_WORK)


@app.callback(help=_HELP)
def command(*, version: options.Version = False) -> None:
    """Take what may stand before the verb."""


@app.command("order")
def order_command(
    context: typer.Context,
    ucc: options.Ucc,
    order_number: options.OrderNumber,
    *,
    variety: options.VarietyName = Variety.REGULAR.value,
    amo: options.AfterMarket = False,
    symbol: options.Symbol = None,
    risk: options.Risk = False,
    strategy: options.Strategy = None,
    reason: options.Reason = None,
    deadline: options.Deadline = None,
    wait: options.Wait = False,
    timeout: options.Timeout = None,
    redis_url: options.RedisUrl = None,
    as_json: options.AsJson = False,
) -> ExitCode:
    """Cancel one order.

    Example: neo-cancel order AB123 251015000123456 --risk --reason "stop loss" --wait --timeout 10
    """
    options.check_timeout(wait, timeout)
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
    with _producer(context, redis_url) as producer:
        return verbs.cancel_order(producer, wanted, wait=wait, timeout_seconds=timeout, as_json=as_json)


@app.command("bulk")
def bulk_command(
    context: typer.Context,
    file: options.File,
    *,
    skip_bad: options.SkipBad = False,
    risk: options.RiskForAll = False,
    wait: options.Wait = False,
    timeout: options.Timeout = None,
    redis_url: options.RedisUrl = None,
    as_json: options.AsJson = False,
) -> ExitCode:
    """Cancel the orders of a file: all of them, or none where a row is bad.

    Columns, or fields of the JSON objects: ucc and order_number; if wanted variety, amo (true/false/yes/no/1/0),
    trading_symbol, lane (routine/risk), strategy, reason, deadline_seconds. An empty cell is not given.

    Examples: neo-cancel bulk open-orders.csv --risk --wait;
    echo '{"ucc": "AB123", "order_number": "251015000123456"}' | neo-cancel bulk -
    """
    options.check_timeout(wait, timeout)
    with opened(file) as stream:
        rows = BulkFile(file, stream, lane=Lane.RISK if risk else None)
        if not verbs.is_to_be_sent(rows, skip_bad=skip_bad, as_json=as_json):
            return ExitCode.USAGE
        with _producer(context, redis_url) as producer:
            return verbs.cancel_bulk(producer, rows, wait=wait, timeout_seconds=timeout, as_json=as_json)


@app.command("status")
def status_command(
    context: typer.Context,
    name: options.UccOrBatch,
    order_number: options.MaybeOrderNumber = None,
    *,
    redis_url: options.RedisUrl = None,
    as_json: options.AsJson = False,
) -> ExitCode:
    """Show what is known of an order, or count a bulk. Nothing is sent.

    Examples: neo-cancel status AB123 251015000123456; neo-cancel status AB123:251015000123456;
    neo-cancel status 0b9c4f0e-6d0c-4f5e-9d57-0d2f1a3b5c7d
    """
    order = options.named_order(name, order_number)
    if order is None:
        with _producer(context, redis_url) as producer:
            return verbs.show_bulk_status(producer, producer.bulk(name), as_json=as_json)
    wanted = CancelOrder(ucc=order[0], order_number=order[1])
    with _producer(context, redis_url) as producer:
        return verbs.show_order_status(producer, wanted.ucc, wanted.order_number, as_json=as_json)


@app.command("watch")
def watch_command(
    context: typer.Context,
    batch: options.BatchId,
    *,
    timeout: options.Timeout = None,
    redis_url: options.RedisUrl = None,
    as_json: options.AsJson = False,
) -> ExitCode:
    """Follow a bulk until every order has a final status.

    Example: neo-cancel watch 0b9c4f0e-6d0c-4f5e-9d57-0d2f1a3b5c7d --json
    """
    with _producer(context, redis_url) as producer:
        return verbs.follow_bulk(producer, producer.bulk(batch), timeout_seconds=timeout, as_json=as_json)


def _connected(url: str) -> CancelProducer:
    return CancelProducer(url, namespace=os.environ.get("NEO_CANCEL_NAMESPACE") or DEFAULT_NAMESPACE)


@contextmanager
def _producer(context: typer.Context, redis_url: str | None) -> Generator[CancelProducer]:
    """Make the producer by what `run` gave the command: one of the environment's namespace, or a test's own.

    Its errors say whose address it has.
    """
    found = options.address(redis_url)
    try:
        with context.obj(found.url) as producer:
            yield producer
    except (LedgerError, InvalidOrderError) as error:
        if isinstance(error, LedgerError) or error.field == "redis_url":
            error.add_note(f"the address is from {found.source}")
        raise
