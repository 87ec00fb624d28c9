"""A new connection is asked where it leads: the server that began last is the one to reckon with."""

import pytest

from worker.ledger.server import Server


class Connection:
    """In place of a connection of redis-py's."""

    def __init__(self, run_id, *, now_ms, uptime):
        self.facts = f"# Server\r\nrun_id:{run_id}\r\nserver_time_usec:{now_ms}000\r\nuptime_in_seconds:{uptime}\r\n"
        self.sent = []

    async def send_command(self, *command):
        self.sent.append(command)

    async def read_response(self, *, disable_decoding):
        assert disable_decoding
        return self.facts.encode()


@pytest.fixture
def server():
    return Server()


async def test_before_the_first_connection_nothing_is_known(server):
    assert 0 == server.started_ms


async def test_a_connection_tells_when_the_server_began(server):
    connection = Connection("a", now_ms=100_000, uptime=40)
    await server.greet(connection)
    assert ([("INFO", "server")], 60_000) == (connection.sent, server.started_ms)


async def test_another_connection_to_the_same_process_changes_nothing(server):
    """Its uptime counts whole seconds: the beginning would move with each connection."""
    await server.greet(Connection("a", now_ms=100_000, uptime=40))
    await server.greet(Connection("a", now_ms=100_900, uptime=40))
    assert 60_000 == server.started_ms


async def test_after_a_restart_the_new_beginning_counts(server):
    await server.greet(Connection("a", now_ms=100_000, uptime=40))
    await server.greet(Connection("b", now_ms=110_000, uptime=1))
    assert 109_000 == server.started_ms


async def test_a_replica_that_has_run_for_longer_does_not_move_it_back(server):
    await server.greet(Connection("a", now_ms=100_000, uptime=40))
    await server.greet(Connection("b", now_ms=110_000, uptime=100))
    assert 60_000 == server.started_ms
