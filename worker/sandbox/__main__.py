"""`python -m worker.sandbox`: run the stand-in broker until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import signal
import sys

import uvloop
from aiohttp import web

from worker.sandbox.account_form import LoginRules
from worker.sandbox.app import create_app
from worker.sandbox.clock import ClockForm
from worker.sandbox.command_line import parser
from worker.sandbox.habits import Habits

_SHUTDOWN_SECONDS = 0.5


def main() -> int:
    """Serve; returns 0 after a signal, 1 when the address cannot be had."""
    options = parser().parse_args()
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
    app = create_app(
        seed=options.seed,
        orders_per_second=options.orders_per_second,
        habits=Habits(**dict(options.habit)),
        login_rules=LoginRules(**dict(options.login)),
        clock=ClockForm(**dict(options.clock)),
    )
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


if __name__ == "__main__":
    sys.exit(main())
