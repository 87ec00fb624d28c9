"""The entry point of the `neo-cancel` command: every failure becomes one line and an exit code."""

import io
import os
import sys

from neo_cancel.cli.exits import ExitCode, complain, exit_code_of
from neo_cancel.cli.notice import shown_notices
from neo_cancel.errors import NeoCancelError

try:
    from neo_cancel.cli.commands import run
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in ("typer", "rich"):
        raise

    def run(*, as_json: bool) -> int:
        """Stand in for the command where the extra is not installed."""
        complain("the command needs: pip install 'neo-cancel[cli]'", kind="MissingExtra", as_json=as_json)
        return ExitCode.USAGE


__all__ = ["main"]


def main() -> None:
    """Run the command with the process's arguments and exit; see ExitCode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows no UTF-8 shows an escape instead of ending the command.
            stream.reconfigure(errors="backslashreplace")
    code = _guarded(as_json="--json" in sys.argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.SOME_MAY_WORK
    sys.exit(code)


def _guarded(*, as_json: bool) -> int:
    try:
        with shown_notices(as_json=as_json):
            code = run(as_json=as_json)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except NeoCancelError as error:
        complain(str(error), kind=type(error).__name__, as_json=as_json, error=error)
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001 - a user never sees a traceback
        complain(f"unexpected {type(error).__name__}: {error}", kind=type(error).__name__, as_json=as_json)
        return exit_code_of(error)
    if code == ExitCode.INTERRUPTED:
        complain("interrupted; what was accepted goes on", kind="Interrupted", as_json=as_json)
    return code
