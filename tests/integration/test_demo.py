"""`make demo`: from nothing to 300 cancelled orders whose every status is true."""

import json
import os
import signal
import sys

import pytest

from tests.commands import MINUTES, children_of, clean_environment, is_alive, run
from worker.demo.scenario import ACCOUNTS, KINDS, UNKNOWN_PER_ACCOUNT
from worker.ops.process import Child, wait_until

pytestmark = pytest.mark.timeout(600)


def test_every_status_in_the_ledger_is_what_the_sandbox_knows_to_be_true(tmp_path):
    # A server and settings that are meant for something else must not matter.
    env = {"NEO_CANCEL_REDIS_URL": "redis://127.0.0.1:1/0", "DEMO_JSON": str(tmp_path / "demo.json")}
    demo = run("worker.demo", env={**env, "TMPDIR": str(tmp_path)})
    assert (0, "") == (demo.returncode, demo.stderr), demo.stdout
    report = json.loads((tmp_path / "demo.json").read_text())
    orders = len(ACCOUNTS) * (sum(kind.count for kind in KINDS) + UNKNOWN_PER_ACCOUNT)
    assert (True, orders, []) == (report["agrees"], report["orders"], report["disagreements"])
    assert orders == sum(report["statuses"].values()) == sum(report["truth"].values())
    assert {"cancelled", "already_cancelled", "filled", "gone", "not_found", "refused"} == set(report["statuses"])
    assert 0 < report["send_latency"]["p50"] <= report["final_latency"]["p99"]
    # Not a terminal: plain lines, and nothing is left behind.
    assert f"{orders} of {orders} final" in demo.stdout
    assert "\x1b" not in demo.stdout
    assert ["demo.json"] == [path.name for path in tmp_path.iterdir()]


def test_ctrl_c_stops_every_part_and_leaves_nothing_behind(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = clean_environment(TMPDIR=str(temporary))
    demo = Child("demo", [sys.executable, "-m", "worker.demo"], env=env, log_path=tmp_path / "log")
    try:
        demo.wait_until(lambda: len(children_of(demo.popen.pid)) > 3, timeout_seconds=MINUTES)
        children = children_of(demo.popen.pid)
        os.kill(demo.popen.pid, signal.SIGINT)
        assert 130 == demo.popen.wait(MINUTES)
    finally:
        demo.stop(timeout_seconds=MINUTES)
    wait_until(lambda: not any(map(is_alive, children)), "the parts to end", timeout_seconds=MINUTES)
    assert "interrupted; everything is stopped" in demo.log_tail()
    assert [] == list(temporary.iterdir())
