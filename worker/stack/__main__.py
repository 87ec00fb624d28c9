"""`python -m worker.stack`: run everything on this machine until Ctrl-C or SIGTERM."""

import argparse
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Final

from config.settings import ConfigurationError, Settings, load_accounts, load_settings
from neo_cancel.connection import shown_url
from neo_cancel.errors import InvalidOrderError
from neo_cancel.order import Lane
from worker.ledger.check import redis_complaints
from worker.ops.embedded import DEFAULT_PORT
from worker.ops.interruption import InterruptedRunError, Interruption
from worker.ops.process import ChildError
from worker.stack.accounts import is_of_sandbox, open_accounts, write_accounts
from worker.stack.parts import Stack, StackRedisError

__all__ = ["ExitCode", "main"]

_LOOK_SECONDS: Final = 0.5
_MOST_PROCESSES: Final = 64


class ExitCode(IntEnum):
    """How the stack ended."""

    STOPPED = 0
    """A signal asked it to."""
    PART_ENDED = 1
    """A part ended by itself or did not start; the others were stopped."""
    USAGE = 2
    """A setting or an option is wrong; nothing was started."""
    REDIS = 3
    """The embedded server's data or port is in use, or the configured server does not answer."""


def main() -> int:
    """Run the stack; see ExitCode."""
    options = _parser().parse_args()
    try:
        settings = load_settings()
        with Interruption() as interruption, Stack(root=options.root, env={}, interruption=interruption) as stack:
            _run(stack, options, settings, interruption)
    except InterruptedRunError:
        _print("stopped")
        return ExitCode.STOPPED
    except (ConfigurationError, InvalidOrderError) as error:
        return _fail(str(error), ExitCode.USAGE)
    except StackRedisError as error:
        return _fail(str(error), ExitCode.REDIS)
    except ChildError as error:
        return _fail(str(error), ExitCode.PART_ENDED)
    return ExitCode.STOPPED


def _run(stack: Stack, options: argparse.Namespace, settings: Settings, interruption: Interruption) -> None:
    accounts_file, has_sandbox = _accounts_file(options, settings)
    if settings.redis_url:
        stack.use_redis(settings.redis_url)
    else:
        stack.start_redis(port=options.redis_port)
    for complaint in redis_complaints(stack.redis_url):
        _print(f"warning: {complaint}")
    _print(f"Redis    {shown_url(stack.redis_url)}")
    is_written = False
    try:
        stack.launch_nodes(lanes=list(Lane), processes=options.workers, accounts_file=accounts_file)
        stack.launch_flower(port=options.flower_port)
        if has_sandbox:
            is_written = True
            _print(_open_sandbox(stack, accounts_file, port=options.sandbox_port))
        else:
            _print(f"Broker   the accounts of {accounts_file}")
        stack.wait()
        _print(f"Workers  {', '.join(stack.nodes)}")
        login = f"user neo-cancel, password {stack.flower_password}" if stack.flower_password else "login as configured"
        _print(f"Flower   {stack.flower_url}   {login}")
        _print(f"Logs     {options.root / 'log'}\nCtrl-C stops everything.")
        while True:
            stack.check()
            interruption.sleep(_LOOK_SECONDS)
    finally:
        stack.close()
        if is_written:
            accounts_file.unlink(missing_ok=True)


def _accounts_file(options: argparse.Namespace, settings: Settings) -> tuple[Path, bool]:
    """Find the accounts file, and whether a sandbox is to fill it: yes where none is configured."""
    path: Path = options.root / "accounts.json"
    if "accounts_file" in settings.model_fields_set:
        path = settings.accounts_file
    elif not path.exists() or is_of_sandbox(path):
        return path, True
    load_accounts(path, settings.http_hosts)
    return path, False


def _open_sandbox(stack: Stack, accounts_file: Path, *, port: int) -> str:
    with stack.start_sandbox(port=port) as sandbox:
        sessions, orders = open_accounts(sandbox)
        write_accounts(accounts_file, sessions)
        return (
            f"Broker   sandbox at {sandbox.base_url}, {len(sessions)} accounts with {len(orders)} open orders\n"
            f"         try: .venv/bin/neo-cancel order {orders[0].replace(':', ' ')} --wait"
        )


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(text: str, code: ExitCode) -> ExitCode:
    sys.stderr.write(f"neo-cancel: {text}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker.stack",
        description="Run Redis (unless NEO_CANCEL_REDIS_URL is set), a sandbox broker (unless accounts are set up), "
        "worker nodes and Flower until Ctrl-C.",
        epilog="Exit codes: 0 stopped, 1 a part ended by itself, 2 wrong setting or option, 3 Redis in use or away.",
    )
    parser.add_argument(
        "--workers", type=_processes, default=1, metavar="N", help="processes for each lane (default: %(default)s)"
    )
    parser.add_argument("--root", type=Path, default=Path("var"), help="data and logs (default: %(default)s)")
    parser.add_argument("--redis-port", type=_port, default=DEFAULT_PORT, help="0: any free one (default: %(default)s)")
    parser.add_argument("--sandbox-port", type=_port, default=8765, help="0: any free one (default: %(default)s)")
    parser.add_argument("--flower-port", type=_port, default=5555, help="0: any free one (default: %(default)s)")
    return parser


def _between(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, got {text!r}")
        return int(text)

    return number


_port = _between(0, 65_535)
_processes = _between(1, _MOST_PROCESSES)

if __name__ == "__main__":
    sys.exit(main())
