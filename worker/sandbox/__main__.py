"""`python -m worker.sandbox`: run the stand-in broker until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import signal
import sys

import uvloop
from aiohttp import web
from pydantic import ValidationError

from worker.sandbox.app import create_app
from worker.sandbox.habits import Habits

_HIGHEST_PORT = 65_535
_SHUTDOWN_SECONDS = 0.5


def main() -> int:
    """Serve; returns 0 after a signal, 1 when the address cannot be had."""
    options = _parser().parse_args()
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        uvloop.run(_serve(options))
    except OSError as error:
        sys.stderr.write(
            f"sandbox: cannot listen on {options.host}:{options.port}: {error.strerror or error}; --port chooses another\n"
        )
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    habits = Habits(**dict(options.habit))
    app = create_app(seed=options.seed, orders_per_second=options.orders_per_second, habits=habits)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, options.host, options.port, backlog=2048).start()
        port = runner.addresses[0][1]
        sys.stdout.write(f"sandbox listening on http://{options.host}:{port}\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker.sandbox",
        description="A stand-in for the Kotak Neo broker: login, cancels and order reads on a real socket, "
        "and a control API under /_sandbox/ to create orders, order faults and read the truth.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8765, help="port, 0 for any free one (default: %(default)s)")
    parser.add_argument(
        "--seed",
        type=int,
        help="fixes order numbers and dice: a run with the same seed repeats the numbers, one without repeats none",
    )
    parser.add_argument(
        "--orders-per-second",
        type=_rate,
        metavar="X",
        help="answer 429 above X cancels in any rolling second, for accounts without a limit of their own",
    )
    parser.add_argument(
        "--habit",
        type=_habit,
        action="append",
        default=[],
        metavar="NAME=X",
        help="a habit of all accounts from the start, a share from 0 to 1 or seconds; "
        f"may be repeated; NAME is one of {', '.join(Habits.model_fields)}",
    )
    levels = ["debug", "info", "warning", "error"]
    parser.add_argument("--log-level", choices=levels, default="warning", help="(default: %(default)s)")
    return parser


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


def _habit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        habits = Habits.model_validate({name: float(value)})
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.errors()[0]['msg']}, got {value}") from error
    return name, getattr(habits, name)


if __name__ == "__main__":
    sys.exit(main())
