"""What `python -m worker.sandbox` may be told."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from worker.sandbox.account_form import LoginRules
from worker.sandbox.clock import ClockForm
from worker.sandbox.habits import Habits

__all__ = ["parser"]


_HIGHEST_PORT = 65_535


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    found = argparse.ArgumentParser(
        prog="python -m worker.sandbox",
        description="A stand-in for the Kotak Neo broker: login, cancels and order reads on a real socket, "
        "and a control API under /_sandbox/ to create orders, order faults and read the truth.",
    )
    found.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    found.add_argument("--port", type=_port, default=8765, help="port, 0 for any free one (default: %(default)s)")
    found.add_argument(
        "--seed",
        type=int,
        help="fixes order numbers and dice: a run with the same seed repeats the numbers, one without repeats none",
    )
    found.add_argument(
        "--orders-per-second",
        type=_rate,
        metavar="X",
        help="answer 429 above X cancels in any rolling second, for accounts without a limit of their own",
    )
    _add_repeatable(found, "--habit", Habits, "a habit of all accounts from the start, a share from 0 to 1 or seconds")
    _add_repeatable(found, "--login", LoginRules, "how logins and sessions of accounts behave that do not say so")
    _add_repeatable(found, "--clock", ClockForm, "how many seconds the broker's clock or its Date header is ahead")
    levels = ["debug", "info", "warning", "error"]
    found.add_argument("--log-level", choices=levels, default="warning", help="(default: %(default)s)")
    return found


def _add_repeatable(found: argparse.ArgumentParser, option: str, model: type[BaseModel], text: str) -> None:
    found.add_argument(
        option,
        type=_field_of(model),
        action="append",
        default=[],
        metavar="NAME=X",
        help=f"{text}; may be repeated; NAME is one of {', '.join(model.model_fields)}",
    )


def _field_of(model: type[BaseModel]) -> Callable[[str], tuple[str, Any]]:
    """Read NAME=X for a model; X is JSON, a number as Python writes it, or else the text itself."""

    def read(text: str) -> tuple[str, Any]:
        name, _, value = text.partition("=")
        try:
            return name, getattr(model.model_validate({name: _value(value)}), name)
        except ValidationError as error:
            raise argparse.ArgumentTypeError(f"{name}: {error.errors()[0]['msg']}, got {value}") from error

    return read


def _value(text: str) -> Any:
    for read in (json.loads, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be 0 to {_HIGHEST_PORT}, got {text}")
    return port


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return rate
