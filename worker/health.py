"""Is a worker node well? `python -m worker.health risk@%h` asks it through Redis.

Exit code 0 when it answers and consumes every lane that it was told to, 1 when not, 2 for wrong usage or settings.
"""

import sys
from collections.abc import Callable, Sequence

from config.settings import ConfigurationError, Settings, load_settings
from worker.ops.ping import Pinger
from worker.ops.wellness import Health, look_at

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, connect: Callable[[Settings], Pinger] = Pinger.from_settings) -> int:
    """Ask the node that the command line names, and say in a line what came of it; answer the exit code."""
    names = sys.argv[1:] if arguments is None else arguments
    if len(names) != 1:
        sys.stderr.write("usage: python -m worker.health NODE\n")
        return 2
    try:
        found = look_at(names[0], load_settings(), connect)
    except ConfigurationError as error:
        sys.stderr.write(f"neo-cancel: {error}\n")
        return 2
    if found.health is Health.UNKNOWN:
        sys.stderr.write(f"neo-cancel: {found.line}\n")
        return 1
    sys.stdout.write(f"{found.line}\n")
    return int(found.health)


if __name__ == "__main__":
    sys.exit(main())
