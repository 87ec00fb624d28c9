"""The Celery app: `python -m celery -A worker.app worker -Q risk -P threads`. Nothing is decided here."""

import logging
import os
import signal
import sys
from functools import partial
from typing import Any

from celery import signals

from config.log import configure_logging
from config.settings import ConfigurationError, Settings, load_settings
from neo_cancel.keys import lane_of_queue
from worker.consuming.celery_app import celery_app
from worker.consuming.celery_options import forget_foreign_settings
from worker.consuming.lanes import begin_with
from worker.consuming.tasks import begin, register
from worker.consuming.transport import GatedDelivery, subscribers
from worker.ledger.check import redis_complaints
from worker.observe.events import LedgerUnsafe, publisher
from worker.observe.log import log_subscriber
from worker.runtime import Runtime

__all__ = ["app", "settings"]


def _settings() -> Settings:
    try:
        loaded = load_settings()
        _ = loaded.resolved_redis_url
    except ConfigurationError as error:
        sys.exit(f"neo-cancel: {error}")
    return loaded


forget_foreign_settings(os.environ)
settings = _settings()
_running: list[Runtime] = []

app = celery_app("neo-cancel", settings)
register(app, _running)


@signals.setup_logging.connect(weak=False)
def _log_our_way(**_: Any) -> None:
    configure_logging(settings.log_level)


@signals.worker_init.connect(weak=False)
def _start(**_: Any) -> None:
    forget_foreign_settings(os.environ)
    log = configure_logging(settings.log_level)
    publish = publisher(log_subscriber(log, level=logging.getLevelNamesMapping()[settings.log_level]))
    for complaint in redis_complaints(settings.resolved_redis_url):
        publish(LedgerUnsafe(complaint))
    runtime = Runtime(settings, publish)
    runtime.start()
    _running.append(runtime)
    GatedDelivery.head_start.append(partial(begin, runtime))
    subscribers.append(publish)


@signals.worker_ready.connect(weak=False)
def _serve(sender: Any, **_: Any) -> None:
    begin_with(app.amqp.queues.consume_from)
    for runtime in _running:
        runtime.serve(map(lane_of_queue, app.amqp.queues.consume_from), threads=sender.controller.concurrency)
    _let_every_signal_drain()


def _let_every_signal_drain() -> None:
    # Celery's cold shutdown ends a threads pool with NotImplementedError (celery #10490), and after Ctrl-C it calls a clean
    # end a failure.
    for number in (signal.SIGQUIT, signal.SIGINT):
        signal.signal(number, signal.getsignal(signal.SIGTERM))


@signals.worker_shutting_down.connect(weak=False)
def _drain(**_: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, _end_at_once)
    for runtime in _running:
        runtime.drain()


def _end_at_once(number: int, _: object) -> None:
    """End at a second signal: nothing is given back, and recovery takes over when the lease has run out."""
    os._exit(128 + number)


@signals.worker_shutdown.connect(weak=False)
def _close(**_: Any) -> None:
    while _running:
        _running.pop().close()
