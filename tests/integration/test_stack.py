"""`make up`: everything on this machine, watched, and stopped without leaving a process behind."""

import json
import os
import signal
import stat
import subprocess

import pytest

from config.settings import load_accounts
from neo_cancel import CancelOrder, CancelProducer, Status
from tests.commands import MINUTES, children_of, is_alive, run, running
from worker.ops.process import PROJECT, Child, ChildError
from worker.sandbox.process import running_sandbox
from worker.stack.accounts import is_of_sandbox, write_accounts

pytestmark = pytest.mark.timeout(600)

ANY_PORTS = ["--redis-port", "0", "--sandbox-port", "0", "--flower-port", "0"]
LANES = ("risk", "routine")
UP = "Ctrl-C stops everything."


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
        assert is_of_sandbox(accounts_file)
        # The processes that work, not their nodes: each is followed by another.
        nodes = [pid_of(f"{lane}-{number}", children_of(stack.popen.pid)) for lane in LANES for number in (1, 2)]
        killed = [worker for node in nodes for worker in children_of(node)]
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        with CancelProducer((root / "redis-url").read_text()) as producer:
            record = producer.enqueue(an_open_order(told)).wait(timeout_seconds=MINUTES)
        assert (Status.CANCELLED, 4) == (record.status, len(killed))

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
    assert not is_of_sandbox(path)
    path.write_text(json.dumps({"AB123": {"base_url": "https://gw.example/r1", "sid": "s", "auth": "a"}}))
    assert not is_of_sandbox(path)


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
