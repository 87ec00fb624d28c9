"""One worker node: `python -m worker.node -Q risk`. Celery's worker without Celery's command line.

The same as `python -m celery -A worker.app worker -Q risk -P threads ...`, which works, too, but loads every plug-in that is
installed beside Celery, Flower among them. Those take a third of a node's start, and the orders of a dead node wait for it.
With --respawn the node is two processes: one that works, and its parent, which starts another when the first dies or has
been unhealthy for NEO_CANCEL_UNHEALTHY seconds.
Exit codes: 0 after a shutdown, 1 for a wrong setting, 2 for wrong usage, 128 + signal when a second signal ended it.
"""

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from celery.utils.imports import symbol_by_name
from celery.utils.nodenames import default_nodename, host_format

from config.log import configure_logging
from neo_cancel.keys import queue_key
from neo_cancel.namespace import Namespace
from neo_cancel.order import Lane
from worker.observe.log import Log
from worker.ops.respawn import keep_alive
from worker.ops.watchdog import Watchdog
from worker.ops.wellness import Health, look_at

if TYPE_CHECKING:
    from celery import Celery

    from config.settings import Settings

__all__ = ["main"]


def _load_app() -> "tuple[Celery, Settings]":
    """Import the Celery app, which reads the settings of the environment: `--help` must need none."""
    from worker.app import app, settings  # noqa: PLC0415

    return app, settings


def main(arguments: Sequence[str] | None = None, load_app: "Callable[[], tuple[Celery, Settings]]" = _load_app) -> int:
    """Run the node until a signal ends it; answer its exit code."""
    options = _parser().parse_args(arguments)
    app, settings = load_app()
    if not options.respawn:
        return _work(app, options, settings)
    _preload(app)
    log = configure_logging(settings.log_level)
    watchdog = Watchdog(lambda: _look(options, settings, log), log, unhealthy_seconds=settings.unhealthy)
    return keep_alive(lambda: _work(app, options, settings), log, watchdog)


def _name(options: argparse.Namespace) -> str:
    return host_format(default_nodename(options.name or f"{'-'.join(options.lanes)}@%h"))


def _look(options: argparse.Namespace, settings: "Settings", log: Log) -> Health:
    found = look_at(_name(options), settings)
    if found.health is Health.UNWELL:
        log.info("worker is not well", why=found.line)
    return found.health


def _work(app: "Celery", options: argparse.Namespace, settings: "Settings") -> int:
    worker = app.Worker(
        hostname=_name(options),
        queues=[Namespace(settings.namespace).named(queue_key(lane)) for lane in options.lanes],
        pool="threads",
        concurrency=options.threads,
        without_gossip=True,
        without_mingle=True,
        task_events=True,
        loglevel="WARNING",
        quiet=True,
    )
    worker.start()
    return worker.exitcode or 0


def _preload(app: "Celery") -> None:
    """Import now, once for all children, what Celery imports when a worker starts."""
    from celery.worker.consumer import Consumer  # noqa: PLC0415

    steps = *app.Worker.Blueprint.default_steps, *Consumer.Blueprint.default_steps
    for name in (*steps, "celery.concurrency.thread:TaskPool"):
        symbol_by_name(name)
    app.finalize()
    gc.freeze()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker.node",
        description="Run one worker node until SIGTERM. Settings come from the environment, see README.md.",
    )
    parser.add_argument(
        "-Q", "--lanes", type=_lanes, default=[*map(str, Lane)], help="lanes to serve (default: risk,routine)"
    )
    parser.add_argument("-n", "--name", help="Celery's name of the node; %%h is this host (default: LANES@%%h)")
    parser.add_argument("-c", "--threads", type=_count, help="messages in work at once (default: NEO_CANCEL_THREADS)")
    parser.add_argument(
        "--respawn",
        action="store_true",
        help="start another process when the one that works dies, in a tenth of a second, or is unhealthy for long",
    )
    return parser


def _lanes(text: str) -> list[str]:
    lanes = text.split(",")
    if wrong := [lane for lane in lanes if lane not in list(Lane)]:
        raise argparse.ArgumentTypeError(f"lane {wrong[0]!r}: must be one of {', '.join(Lane)}")
    return lanes


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
