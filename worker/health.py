"""Is a worker node alive? `python -m worker.health risk@%h` asks it through Redis: exit code 0 when it answers."""

import sys
from collections.abc import Callable, Sequence
from typing import Final

from config.settings import ConfigurationError, Settings, load_settings
from worker.ops.ping import Pinger

__all__ = ["main"]

_TRIES: Final = 3


def main(arguments: Sequence[str] | None = None, connect: Callable[[Settings], Pinger] = Pinger.from_settings) -> int:
    """Ask the node that the command line names; returns 0 when it answers, 1 when not, 2 for wrong usage or settings."""
    names = sys.argv[1:] if arguments is None else arguments
    if len(names) != 1:
        sys.stderr.write("usage: python -m worker.health NODE\n")
        return 2
    (node,) = names
    try:
        with connect(load_settings()) as pinger:
            alive = any(pinger.answers(node) for _ in range(_TRIES))
    except ConfigurationError as error:
        sys.stderr.write(f"neo-cancel: {error}\n")
        return 2
    except Exception as error:  # noqa: BLE001 - each reason why the question fails ends in the same line
        sys.stderr.write(f"neo-cancel: {node} cannot be asked: {type(error).__name__}\n")
        return 1
    sys.stdout.write(f"{node} {'answers' if alive else 'does not answer'}\n")
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
