"""`python -m worker.session_key`: make a key for sessions in Redis, on standard output or into a file of its owner alone.

Without an argument the key is printed. With a file, it becomes the first key of that file, and those that were in it stay
behind it: sessions that they sealed can be opened until they end.
Exit codes: 0 done, 1 the file cannot be read or written, 2 wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from worker.ops.private import write_private
from worker.sessions.vault import new_key

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a key; see the module."""
    options = _parser().parse_args(arguments)
    if options.file is None:
        sys.stdout.write(f"{new_key()}\n")
        return 0
    try:
        before = options.file.read_text() if options.file.exists() else ""
        write_private(options.file, f"{new_key()}\n{before}")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"neo-cancel: {options.file}: {getattr(error, 'strerror', None) or type(error).__name__}\n")
        return 1
    sys.stdout.write(f"a new key is the first one in {options.file}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker.session_key",
        description="Make a key for NEO_CANCEL_SESSION_KEYS, or put a new one in front of those in a file "
        "(NEO_CANCEL_SESSION_KEY_FILE).",
    )
    parser.add_argument("file", type=Path, nargs="?", help="a file of keys; made where there is none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
