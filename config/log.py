"""Structured logs: one JSON object a line on standard error, no secrets in it."""

import logging
import sys
from typing import Any, Final, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

__all__ = ["configure_logging"]

_SECRET_WORDS: Final = ("token", "auth", "sid", "mpin", "totp", "password", "mobile", "secret")


def configure_logging(level: str) -> FilteringBoundLogger:
    """Set up this process's logs and hand out the logger. Called twice it sets the same up again.

    Celery's and other libraries' records come out in the same form. `level` is DEBUG, INFO, WARNING or ERROR.
    """
    number = logging.getLevelNamesMapping()[level]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LibraryFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger("celery").setLevel(max(number, logging.INFO))
    # A line for each message received and done would repeat what the orders' own lines hold.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_secrets,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    return cast("FilteringBoundLogger", structlog.get_logger())


def _without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Cover the values of fields with the name of a secret, should one be logged by mistake."""
    for name in event:
        if any(word in name for word in _SECRET_WORDS):
            event[name] = "***"
    return event


def _json(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=repr)


class _LibraryFormatter(logging.Formatter):
    """A record of the standard library as the same JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": self.formatTime(record),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return _json(event).decode()
