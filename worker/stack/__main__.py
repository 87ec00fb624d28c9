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
from worker.ops.interruption import InterruptedRunError, Interruption
from worker.ops.ports import FLOWER_PORT, REDIS_PORT, SANDBOX_PORT, Port, PortError
from worker.ops.private import private_files
from worker.ops.process import ChildError
from worker.stack.accounts import open_accounts
from worker.stack.own_accounts import OwnAccounts
from worker.stack.parts import Stack, UnavailableError

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
    UNAVAILABLE = 3
    """The embedded server's data or a port is in use, or the configured server does not answer."""


def main() -> int:
    """Run the stack; see ExitCode."""
    options = _parser().parse_args()
    try:
        settings = load_settings()
        with (
            private_files(),
            Interruption() as interruption,
            Stack(root=options.root, env={}, interruption=interruption) as stack,
        ):
            _run(stack, options, settings, interruption)
    except InterruptedRunError:
        _print("stopped")
        return ExitCode.STOPPED
    except (ConfigurationError, InvalidOrderError) as error:
        return _fail(str(error), ExitCode.USAGE)
    except (UnavailableError, PortError) as error:
        return _fail(str(error), ExitCode.UNAVAILABLE)
    except ChildError as error:
        return _fail(str(error), ExitCode.PART_ENDED)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}", ExitCode.USAGE)
    return ExitCode.STOPPED


def _run(stack: Stack, options: argparse.Namespace, settings: Settings, interruption: Interruption) -> None:
    ports = _ports(options)
    own = OwnAccounts(options.root / "accounts.json")
    accounts_file, has_sandbox = _accounts_file(own, settings)
    _open_redis(stack, settings, port=ports[REDIS_PORT])
    for port in (FLOWER_PORT, SANDBOX_PORT) if has_sandbox else (FLOWER_PORT,):
        port.check(ports[port])
    try:
        stack.launch_nodes(lanes=list(Lane), processes=options.workers, accounts_file=accounts_file)
        stack.launch_flower(port=ports[FLOWER_PORT])
        if has_sandbox:
            _print(_open_sandbox(stack, own, port=ports[SANDBOX_PORT]))
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
        own.remove()


def _ports(options: argparse.Namespace) -> dict[Port, int]:
    given = {REDIS_PORT: options.redis_port, SANDBOX_PORT: options.sandbox_port, FLOWER_PORT: options.flower_port}
    return {port: port.chosen(option) for port, option in given.items()}


def _accounts_file(own: OwnAccounts, settings: Settings) -> tuple[Path, bool]:
    """Find the accounts file, and whether a sandbox is to fill it: yes where none is configured."""
    if "accounts_file" not in settings.model_fields_set and own.may_be_written:
        return own.path, True
    path = settings.accounts_file if "accounts_file" in settings.model_fields_set else own.path
    load_accounts(path, settings.http_hosts)
    return path, False


def _open_redis(stack: Stack, settings: Settings, *, port: int) -> None:
    if settings.redis_url:
        stack.use_redis(settings.redis_url)
    else:
        stack.start_redis(port=port)
    for complaint in redis_complaints(stack.redis_url):
        _print(f"warning: {complaint}")
    _print(f"Redis    {shown_url(stack.redis_url)}")


def _open_sandbox(stack: Stack, own: OwnAccounts, *, port: int) -> str:
    with stack.start_sandbox(port=port) as sandbox:
        sessions, orders = open_accounts(sandbox)
        own.write(sessions)
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
        epilog="Exit codes: 0 stopped, 1 a part ended by itself, 2 wrong setting or option, "
        "3 Redis or a port in use, or Redis away. Under make each but 0 becomes 2, make's own.",
    )
    parser.add_argument(
        "--workers", type=_processes, default=1, metavar="N", help="processes for each lane (default: %(default)s)"
    )
    parser.add_argument("--root", type=Path, default=Path("var"), help="data and logs (default: %(default)s)")
    for option, port in (("redis", REDIS_PORT), ("sandbox", SANDBOX_PORT), ("flower", FLOWER_PORT)):
        known = f"0: any free one (default: {port.setting} in the environment, else {port.default})"
        parser.add_argument(f"--{option}-port", type=_port, metavar="PORT", help=known)
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
