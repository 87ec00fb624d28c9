"""What the library's log says during a wait becomes a line on standard error."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from neo_cancel.cli.exits import complain

__all__ = ["shown_notices"]


class _Shown(logging.Handler):
    def __init__(self, *, as_json: bool) -> None:
        super().__init__(logging.WARNING)
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage(), kind="Notice", as_json=self._as_json)


@contextmanager
def shown_notices(*, as_json: bool) -> Generator[None]:
    """Show the library's warnings for as long as the block lasts."""
    handler, logger = _Shown(as_json=as_json), logging.getLogger("neo_cancel")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
