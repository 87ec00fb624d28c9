"""The embedded server: `python -m worker.embedded` runs a real Valkey on loopback with an append-only file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from config.settings import LOCAL_REDIS_URL_FILE, ConfigurationError
from worker.ops.embedded import (
    DEFAULT_DATA_DIR,
    FAILED,
    EmbeddedError,
    LockedServer,
    MakeServer,
    embedded_server,
    url_of,
)
from worker.ops.interruption import Interruption
from worker.ops.ports import REDIS_PORT

__all__ = ["main"]

_LOOK_SECONDS: Final = 0.5
_USAGE: Final = 2


def main(arguments: Sequence[str] | None = None, make: MakeServer = LockedServer) -> int:
    """Run until SIGTERM or SIGINT.

    Returns 0 after one, 3 when directory or port is in use, 2 for a wrong port, 1 when the server fails.
    """
    options = _parser().parse_args(arguments)
    try:
        _run(options, make)
    except ConfigurationError as error:
        sys.stderr.write(f"neo-cancel: {error}\n")
        return _USAGE
    except EmbeddedError as error:
        sys.stderr.write(f"neo-cancel: {error}\n")
        return error.exit_code
    return 0


def _run(options: argparse.Namespace, make: MakeServer) -> None:
    where: Path = options.data_dir
    port = REDIS_PORT.chosen(options.port)
    with (
        Interruption() as interruption,
        embedded_server(data_dir=where, port=port, url_file=options.url_file, make=make) as server,
    ):
        sys.stdout.write(f"embedded server: {url_of(server)}, data in {where}\n")
        sys.stdout.flush()
        while server.is_running() and not interruption.requested:
            interruption.sleep(_LOOK_SECONDS)
        if not interruption.requested:
            raise EmbeddedError(f"the server ended by itself, see {where / 'valkey.log'}", FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker.embedded", description="A real Valkey on loopback with an append-only file."
    )
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR, help="(default: %(default)s)")
    parser.add_argument("--url-file", type=Path, default=LOCAL_REDIS_URL_FILE, help="(default: %(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        help=f"0: any free one (default: {REDIS_PORT.setting} in the environment, else {REDIS_PORT.default})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
