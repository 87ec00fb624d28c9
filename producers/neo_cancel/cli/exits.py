"""Exit codes of the command, and its lines on standard error."""

import json
import re
import sys
from enum import IntEnum
from typing import Final

from neo_cancel.errors import (
    InvalidOrderError,
    LedgerError,
    NeoCancelError,
    WaitTimeoutError,
)

__all__ = ["ExitCode", "complain", "exit_code_of"]


# A URL that was typed in the wrong place is shown without its password.
_LOGIN: Final = re.compile(r"://\S*@")


class ExitCode(IntEnum):
    """What the exit code tells a program."""

    NONE_MAY_WORK = 0
    """No order may still work; without --wait: everything was accepted."""
    SOME_MAY_WORK = 1
    """An order may still work: not final yet, time-out, refused, unknown; rows left out; output cut off."""
    USAGE = 2
    """Bad input or usage: nothing was sent."""
    INFRASTRUCTURE = 3
    """Redis cannot be reached or refuses."""
    INTERRUPTED = 130
    """Ctrl-C: what was accepted goes on."""


def exit_code_of(error: Exception) -> ExitCode:
    """Answer the exit code that an error means."""
    if isinstance(error, WaitTimeoutError):
        return ExitCode.SOME_MAY_WORK
    if isinstance(error, LedgerError):
        return ExitCode.INFRASTRUCTURE
    return ExitCode.USAGE if isinstance(error, NeoCancelError) else ExitCode.INFRASTRUCTURE


def complain(
    message: str,
    *,
    kind: str,
    as_json: bool,
    error: Exception | None = None,
    file: str | None = None,
    line: int | None = None,
) -> None:
    """Write one line on standard error: for people, or an object for programs. `file` and `line` are where the error is."""
    message = _LOGIN.sub("://...@", "; ".join([message, *getattr(error, "__notes__", ())]))
    if not as_json:
        where = ", ".join(filter(None, [file, f"line {line}" if line is not None else None]))
        sys.stderr.write(f"neo-cancel: {where}{': ' if where else ''}{' '.join(message.split())}\n")
        return
    places = {"file": file, "line": line}
    fields: dict[str, object] = {"error": kind, "message": message}
    fields |= {name: place for name, place in places.items() if place is not None}
    if isinstance(error, LedgerError) and error.batch is not None:
        fields |= {"batch": error.batch, "accepted": error.accepted}
    if isinstance(error, InvalidOrderError):
        value = _LOGIN.sub("://...@", error.value) if isinstance(error.value, str) else error.value
        fields |= {"field": error.field, "value": value, "rule": error.rule}
    sys.stderr.write(json.dumps(fields, default=repr) + "\n")
