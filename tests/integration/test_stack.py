"""`make up`: everything on this machine, watched, and stopped without leaving a process behind."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from config.settings import load_accounts
from neo_cancel import CancelOrder, CancelProducer, Status
from tests.commands import MINUTES, children_of, clean_environment, is_alive, run, running
from worker.ops.interruption import Interruption
from worker.ops.process import PROJECT, Child, ChildError
from worker.sandbox.process import running_sandbox
from worker.stack.accounts import write_accounts
from worker.stack.own_accounts import OwnAccounts
from worker.stack.parts import Stack

pytestmark = pytest.mark.timeout(600)

ANY_PORTS = ["--redis-port", "0", "--sandbox-port", "0", "--flower-port", "0"]
LANES = ("risk", "routine")
UP = "Ctrl-C stops everything."
TUNNEL = {"AB123": {"base_url": "http://127.0.0.1:1/r1", "sid": "real", "auth": "real"}}


@pytest.fixture
def no_accounts(tmp_path):
    path = tmp_path / "configured.json"
    path.write_text("{}")
    return str(path)


def an_open_order(log):
    """Take the order that the stack proposes to try out."""
    (line,) = [line for line in log.splitlines() if "try:" in line]
    _, _, ucc, number, _ = line.partition("try: ")[2].split()
    return CancelOrder(ucc=ucc, order_number=number)


def test_one_command_runs_everything_with_as_many_workers_as_asked_for_and_stops_all_of_it(tmp_path):
    root, log_path = tmp_path / "var", tmp_path / "up.log"
    with running(
        "worker.stack", "--root", str(root), *ANY_PORTS, "--workers", "2", log_path=log_path, ready=UP
    ) as stack:
        told = log_path.read_text()
        assert all(f"{lane}-{number}@" in told for lane in LANES for number in (1, 2))
        accounts_file = root / "accounts.json"
        assert 0o600 == stat.S_IMODE(accounts_file.stat().st_mode)
        assert OwnAccounts(accounts_file).are_there
        # The processes that work, not their nodes: each is followed by another.
        nodes = [pid_of(f"{lane}-{number}", children_of(stack.popen.pid)) for lane in LANES for number in (1, 2)]
        killed = [worker for node in nodes for worker in children_of(node)]
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        with CancelProducer((root / "redis-url").read_text()) as producer:
            record = producer.enqueue(an_open_order(told)).wait(timeout_seconds=MINUTES)
        assert (Status.CANCELLED, 4) == (record.status, len(killed))

        assert [] == open_to_others(root)
        second = run("worker.stack", "--root", str(root), *ANY_PORTS)
        assert 3 == second.returncode
        assert ["neo-cancel: ", "is in use"] == [
            part for part in ("neo-cancel: ", "is in use") if part in second.stderr
        ]
        assert 1 == len(second.stderr.splitlines())
        assert accounts_file.exists()

        children = children_of(stack.popen.pid)
        assert 7 == len(children)
        os.kill(stack.popen.pid, signal.SIGINT)
        assert 0 == stack.popen.wait(2 * MINUTES)
    assert not any(map(is_alive, children))
    assert not accounts_file.exists()
    assert not (root / "redis-url").exists()
    assert "Traceback" not in "".join(path.read_text() for path in (root / "log").glob("*.log"))
    assert [] == telling_the_password(root, log_path)


def telling_the_password(root, log_path):
    """Name the logs that show the password of Redis."""
    password = (root / "redis" / "password").read_text()
    return [log.name for log in (log_path, *root.rglob("*.log")) if password in log.read_text()]


def open_to_others(root):
    """Name the files that somebody else may read."""
    made = {path: path.stat().st_mode for path in (root, *root.rglob("*"))}
    assert {"accounts.json", "redis-url", "redis.log", "risk-1.log", "valkey.log"} < {path.name for path in made}
    return [path.name for path, mode in made.items() if mode & 0o077]


def test_a_real_accounts_file_that_comes_up_while_the_sandbox_runs_is_kept(tmp_path, redis_url):
    root, log_path, env = tmp_path / "var", tmp_path / "up.log", {"NEO_CANCEL_REDIS_URL": redis_url}
    with running("worker.stack", "--root", str(root), *ANY_PORTS, log_path=log_path, ready=UP, env=env) as stack:
        (root / "draft").write_text(json.dumps(TUNNEL))
        (root / "draft").replace(root / "accounts.json")
        os.kill(stack.popen.pid, signal.SIGINT)
        assert 0 == stack.popen.wait(2 * MINUTES)
    assert TUNNEL == json.loads((root / "accounts.json").read_text())


def test_sessions_behind_a_tunnel_on_loopback_are_used_and_kept(tmp_path, redis_url):
    root, log_path, env = tmp_path / "var", tmp_path / "up.log", {"NEO_CANCEL_REDIS_URL": redis_url}
    root.mkdir()
    (root / "accounts.json").write_text(json.dumps(TUNNEL))
    with running("worker.stack", "--root", str(root), *ANY_PORTS, log_path=log_path, ready=UP, env=env) as stack:
        assert f"Broker   the accounts of {root / 'accounts.json'}" in log_path.read_text()
        os.kill(stack.popen.pid, signal.SIGINT)
        assert 0 == stack.popen.wait(2 * MINUTES)
    assert TUNNEL == json.loads((root / "accounts.json").read_text())


@pytest.mark.parametrize(
    ("what", "setting"), [("Flower", "NEO_CANCEL_FLOWER_PORT"), ("the sandbox", "NEO_CANCEL_SANDBOX_PORT")]
)
def test_a_port_in_use_is_said_in_one_line_with_its_setting(tmp_path, redis_url, what, setting):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = str(listener.getsockname()[1])
        free = dict.fromkeys(("NEO_CANCEL_FLOWER_PORT", "NEO_CANCEL_SANDBOX_PORT"), "0")
        env = {**free, "NEO_CANCEL_REDIS_URL": redis_url, setting: taken}
        ended = run("worker.stack", "--root", str(tmp_path / "var"), env=env)
    said = f"neo-cancel: port {taken} for {what} is in use: set {setting} to another one (0: any free one)\n"
    assert (3, said) == (ended.returncode, ended.stderr)


def test_a_folder_that_cannot_be_written_is_said_in_a_line(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "log").write_text("")
    ended = run("worker.stack", "--root", str(tmp_path / "var"), *ANY_PORTS)
    assert (2, f"neo-cancel: {tmp_path / 'var' / 'log'}: File exists\n") == (ended.returncode, ended.stderr)


def test_a_port_of_redis_in_use_is_said_in_one_line_with_its_setting(tmp_path, valkey_server):
    env = {"NEO_CANCEL_REDIS_PORT": str(valkey_server.port)}
    ended = run("worker.stack", "--root", str(tmp_path / "var"), env=env)
    where = f"port {valkey_server.port} for Redis"
    said = f"neo-cancel: {where} is in use: set NEO_CANCEL_REDIS_PORT to another one (0: any free one)\n"
    assert (3, said) == (ended.returncode, ended.stderr)


def test_a_part_that_dies_is_reported_with_its_last_words_and_ends_the_stack(tmp_path, redis_url, no_accounts):
    root, log_path = tmp_path / "var", tmp_path / "up.log"
    env = {"NEO_CANCEL_REDIS_URL": redis_url, "NEO_CANCEL_ACCOUNTS_FILE": no_accounts}
    with running("worker.stack", "--root", str(root), *ANY_PORTS, log_path=log_path, ready=UP, env=env) as stack:
        children = children_of(stack.popen.pid)
        # With Redis and accounts configured, only the two nodes and Flower are ours.
        assert 3 == len(children)
        os.kill(pid_of("routine", children), signal.SIGKILL)
        assert 1 == stack.popen.wait(2 * MINUTES)
    assert f"neo-cancel: routine ended by itself, exit code -9; its last words in {root / 'log' / 'routine.log'}" in (
        log_path.read_text()
    )
    assert not any(map(is_alive, children))


def pid_of(lane, children):
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "-p", ",".join(map(str, children))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (line,) = [line for line in listed.splitlines() if f"-n {lane}@" in line]
    return int(line.split()[0])


@pytest.mark.parametrize(
    ("arguments", "env", "code", "told"),
    [
        ([], {"NEO_CANCEL_LEASE": "soon"}, 2, "neo-cancel: NEO_CANCEL_LEASE: "),
        ([], {"NEO_CANCEL_ACCOUNTS_FILE": "/nowhere.json"}, 2, "neo-cancel: accounts file /nowhere.json: "),
        (["--workers", "none"], {}, 2, "must be a whole number from 1 to 64, got 'none'"),
        (["--workers", "0"], {}, 2, "must be a whole number from 1 to 64, got '0'"),
        (
            [],
            {"NEO_CANCEL_REDIS_URL": "redis://:geheim@127.0.0.1:1/0"},
            3,
            "neo-cancel: Redis at redis://127.0.0.1:1/0",
        ),
        ([], {"NEO_CANCEL_REDIS_URL": "http://127.0.0.1/"}, 2, "neo-cancel: redis_url="),
    ],
)
def test_what_is_wrong_is_said_in_a_line_before_anything_starts(tmp_path, arguments, env, code, told):
    ended = run("worker.stack", "--root", str(tmp_path / "var"), *ANY_PORTS, *arguments, env=env)
    assert code == ended.returncode
    assert told in ended.stderr.splitlines()[-1]
    assert "geheim" not in ended.stderr
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(
    ("env", "code"), [({"NEO_CANCEL_LEASE": "soon"}, 2), ({"NEO_CANCEL_REDIS_URL": "redis://127.0.0.1:1/0"}, 3)]
)
def test_make_ends_with_its_own_code_and_names_that_of_the_stack(tmp_path, env, code):
    # What would set up the environment has nothing to do.
    given = [f"PY={sys.executable}", "PYTHON=true", "UV=true", f"STAMP={tmp_path / 'stamp'}"]
    made = subprocess.run(
        ["make", "up", *given], cwd=PROJECT, env=clean_environment(**env), capture_output=True, text=True, check=False
    )
    assert (2, True) == (made.returncode, f" Error {code}\n" in made.stderr)


def test_a_log_that_an_earlier_run_left_open_is_closed_to_other_users(tmp_path):
    (tmp_path / "log").mkdir(mode=0o755)
    log = tmp_path / "log" / "sandbox.log"
    log.touch(0o644)
    with Stack(root=tmp_path, env={}, interruption=Interruption()) as stack:
        stack.start_sandbox().close()
    assert [0o700, 0o600] == [stat.S_IMODE(path.stat().st_mode) for path in (log.parent, log)]


def test_a_command_that_ends_before_it_is_ready_is_reported_with_its_last_words(tmp_path):
    child = Child("loser", ["sh", "-c", "echo last words; exit 7"], env={}, log_path=tmp_path / "log")
    with pytest.raises(ChildError, match=r"(?s)loser ended by itself, exit code 7; .*last words"):
        child.wait_until(lambda: False, timeout_seconds=MINUTES)
    assert 7 == child.stop()


def test_a_child_that_does_not_stop_when_asked_is_killed(tmp_path):
    command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"]
    child = Child("deaf", command, env={"PATH": os.environ["PATH"]}, log_path=tmp_path / "log")
    child.wait_until(lambda: "deaf" in child.log_tail(), timeout_seconds=MINUTES)
    assert -signal.SIGKILL == child.stop(timeout_seconds=0.3)


def test_a_child_is_asked_to_stop_only_once(tmp_path):
    count = "n=0; trap 'n=$((n+1))' TERM; echo counting; while [ $n = 0 ]; do sleep 0.1; done; sleep 1; exit $n"
    child = Child("counter", ["sh", "-c", count], env={"PATH": os.environ["PATH"]}, log_path=tmp_path / "log")
    child.wait_until(lambda: "counting" in child.log_tail(), timeout_seconds=MINUTES)
    child.ask_to_stop()
    assert 1 == child.stop(timeout_seconds=MINUTES)


def test_a_child_that_is_never_ready_is_reported_and_can_be_stopped(tmp_path):
    child = Child("slow", ["sleep", "600"], env={"PATH": os.environ["PATH"]}, log_path=tmp_path / "log")
    with pytest.raises(ChildError, match=r"(?s)slow was not ready within 0\.2 s; .*\(nothing\)"):
        child.wait_until(lambda: False, timeout_seconds=0.2)
    assert -signal.SIGTERM == child.stop(timeout_seconds=MINUTES)


def test_accounts_with_real_sessions_are_never_taken_for_a_sandbox(tmp_path):
    path = tmp_path / "accounts.json"
    assert not OwnAccounts(path).are_there
    path.write_text(json.dumps({"AB123": {"base_url": "https://gw.example/r1", "sid": "s", "auth": "a"}}))
    assert not OwnAccounts(path).are_there


def test_accounts_of_a_sandbox_elsewhere_come_from_a_command(tmp_path):
    with running_sandbox() as sandbox:
        written = run("worker.stack.accounts", sandbox.base_url)
        path = tmp_path / "accounts.json"
        path.write_text(written.stdout)
        assert 3 == len(load_accounts(path))
        assert 60 == len(sandbox.truth())
    away = run("worker.stack.accounts", sandbox.base_url)
    assert (1, 1) == (away.returncode, len(away.stderr.splitlines()))


def test_an_accounts_file_is_private_from_its_first_byte(tmp_path):
    path = tmp_path / "deep" / "accounts.json"
    with running_sandbox() as sandbox:
        sessions = [sandbox.create_account("AB123")]
        write_accounts(path, sessions)
        write_accounts(path, sessions)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(path.parent.iterdir())


def test_the_makefile_runs_these_very_modules():
    text = (PROJECT / "Makefile").read_text()
    assert "-m worker.stack --workers $(WORKERS)" in text
    assert "-m worker.demo" in text
    assert (PROJECT / ".ci" / "run").stat().st_mode & stat.S_IXUSR
