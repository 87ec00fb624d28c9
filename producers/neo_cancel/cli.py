"""The `neo-cancel` command's entry point: whatever goes wrong is one line and an exit code."""

import os
import sys

from neo_cancel.errors import NeoCancelError
from neo_cancel.exits import ExitCode, complain, exit_code_of

try:
    from typer.exceptions import TyperException

    from neo_cancel.commands import app
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in ("typer", "rich"):
        raise
    app = None

__all__ = ["ExitCode", "main"]


def main() -> None:
    """Run the command with the process's arguments and exit; see ExitCode."""
    as_json = "--json" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no UTF-8 shows an escape instead of ending the command.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    code = _run(as_json=as_json)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.SOME_MAY_WORK
    sys.exit(code)


def _run(*, as_json: bool) -> int:
    if app is None:
        complain("the command needs: pip install 'neo-cancel[cli]'", kind="MissingExtra", as_json=as_json)
        return ExitCode.USAGE
    try:
        code = int(app(prog_name="neo-cancel", standalone_mode=False) or 0)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except TyperException as error:
        complain(f"{error.format_message()} (see --help)", kind="UsageError", as_json=as_json)
        return ExitCode.USAGE
    except NeoCancelError as error:
        complain(str(error), kind=type(error).__name__, as_json=as_json, error=error)
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001 - a user never sees a traceback
        complain(f"unexpected {type(error).__name__}: {error}", kind=type(error).__name__, as_json=as_json)
        return exit_code_of(error)
    if code == ExitCode.INTERRUPTED:
        complain("interrupted; what was accepted goes on", kind="Interrupted", as_json=as_json)
    return code


if __name__ == "__main__":
    main()
