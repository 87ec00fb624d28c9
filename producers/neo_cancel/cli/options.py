"""The arguments and options of the command, each defined once, and where it finds Redis."""

import math
import os
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from neo_cancel.version import __version__

__all__ = [
    "Address",
    "AfterMarket",
    "AsJson",
    "BatchId",
    "Deadline",
    "File",
    "MaybeOrderNumber",
    "OrderNumber",
    "Reason",
    "RedisUrl",
    "Risk",
    "RiskForAll",
    "SkipBad",
    "Strategy",
    "Symbol",
    "Timeout",
    "Ucc",
    "UccOrBatch",
    "VarietyName",
    "Version",
    "Wait",
    "address",
    "check_timeout",
    "named_order",
]

DEFAULT_REDIS_URL: Final = "redis://127.0.0.1:6379/0"
ADDRESS_FILE: Final = Path("var/redis-url")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise typer.BadParameter(f"{text!r} is no number of seconds")
    return seconds


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"neo-cancel {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
]
RedisUrl = Annotated[
    str | None, typer.Option("--redis-url", metavar="URL", help="Where the ledger is; see neo-cancel --help.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
Wait = Annotated[
    bool,
    typer.Option("--wait", help="Wait for the final status. Without it, exit code 0 means accepted, not cancelled."),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", parser=_seconds, metavar="SECONDS", help="How long to wait; for ever without."),
]

Ucc = Annotated[str, typer.Argument(metavar="UCC", help="The client account.")]
OrderNumber = Annotated[str, typer.Argument(metavar="ORDER_NUMBER", help="The broker's number, digits only.")]
VarietyName = Annotated[
    str, typer.Option("--variety", metavar="VARIETY", help="regular, bracket or cover: chooses the broker's endpoint.")
]
AfterMarket = Annotated[bool, typer.Option("--amo", help="An after-market order; needs --symbol.")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="The trading symbol, such as TCS-EQ.")]
Risk = Annotated[bool, typer.Option("--risk", help="Urgent: overtakes every routine cancel.")]
Strategy = Annotated[str | None, typer.Option("--strategy", help="Who asks.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why.")]
Deadline = Annotated[
    float | None,
    typer.Option(
        "--deadline", parser=_seconds, metavar="SECONDS", help="When to give up; 60 routine, 300 risk without it."
    ),
]

File = Annotated[str, typer.Argument(metavar="FILE", help="CSV with a header, or JSON lines; - is standard input.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Send the good rows even where others are bad.")]
RiskForAll = Annotated[bool, typer.Option("--risk", help="Make every row urgent, whatever its lane says.")]

UccOrBatch = Annotated[
    str, typer.Argument(metavar="UCC|BATCH_ID", help="An account; or alone the id of a bulk, or UCC:ORDER_NUMBER.")
]
MaybeOrderNumber = Annotated[str | None, typer.Argument(metavar="ORDER_NUMBER", help="The broker's number.")]
BatchId = Annotated[str, typer.Argument(metavar="BATCH_ID", help="The id that `bulk` printed.")]


class Address(NamedTuple):
    """The address of Redis and where it was found."""

    url: str
    source: str


def address(given: str | None) -> Address:
    """Find the address of Redis: as given, else NEO_CANCEL_REDIS_URL, else the file var/redis-url, else the default.

    The file is looked for in this folder and in those above it.
    """
    if given:
        return Address(given, "--redis-url")
    if url := os.environ.get("NEO_CANCEL_REDIS_URL"):
        return Address(url, "the variable NEO_CANCEL_REDIS_URL")
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / ADDRESS_FILE
        if file.is_file() and (folder == here or file.stat().st_uid == os.getuid()):
            return Address(file.read_text(errors="replace").strip(), f"the file {file}")
    source = f"the default: no --redis-url, no NEO_CANCEL_REDIS_URL, no {ADDRESS_FILE} in {here} or above"
    return Address(DEFAULT_REDIS_URL, source)


def named_order(name: str, order_number: str | None) -> tuple[str, str] | None:
    """Read the name of an order, in two arguments or as UCC:ORDER_NUMBER; None for the id of a bulk."""
    ucc, colon, number = name.partition(":")
    if order_number is None:
        return (ucc, number) if colon else None
    return name, order_number


def check_timeout(wait: bool, timeout: float | None) -> None:
    """Refuse a time-out for a command that does not wait."""
    if timeout is not None and not wait:
        raise typer.BadParameter("--timeout needs --wait")
