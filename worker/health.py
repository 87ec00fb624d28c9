"""Is a worker node alive? `python -m worker.health risk@%h` asks it through Redis: exit code 0 when it answers."""

import socket
import sys
from types import TracebackType
from typing import Any, Final, Self

from celery import Celery

from config.settings import ConfigurationError, Settings, load_settings
from worker.consuming.celery_options import celery_options

__all__ = ["Pinger"]

_ANSWER_SECONDS: Final = 2.0
_TRIES: Final = 3


class Pinger:
    """Asks nodes over Celery's remote control, which answers from the very loop that consumes."""

    def __init__(self, settings: Settings) -> None:
        self._app = Celery("neo-cancel-health", set_as_current=False)
        self._app.config_from_object(celery_options(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._app.close()

    def answers(self, node: str, *, timeout_seconds: float = _ANSWER_SECONDS) -> bool:
        """Ask one node; False when it does not answer in time. `%h` in its name is this host."""
        name = node.replace("%h", socket.gethostname())
        replies: Any = self._app.control.inspect(destination=[name], timeout=timeout_seconds, limit=1).ping()
        return bool(replies) and name in replies


def main() -> int:
    """Ask the node named on the command line; returns 0 when it answers, 1 when not, 2 for wrong usage or settings."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.stderr.write("usage: python -m worker.health NODE\n")
        return 2
    try:
        settings = load_settings()
        with Pinger(settings) as pinger:
            alive = any(pinger.answers(sys.argv[1]) for _ in range(_TRIES))
    except ConfigurationError as error:
        sys.stderr.write(f"neo-cancel: {error}\n")
        return 2
    except Exception as error:  # noqa: BLE001 - whatever keeps us from asking, the answer is the same line
        sys.stderr.write(f"neo-cancel: {sys.argv[1]} cannot be asked: {type(error).__name__}\n")
        return 1
    sys.stdout.write(f"{sys.argv[1]} {'answers' if alive else 'does not answer'}\n")
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
