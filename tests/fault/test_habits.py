"""A broker with all its habits, in a storm, through workers that die: nothing false, and every end of the right kind."""

import json
import subprocess
import sys

import pytest

from worker.ops.process import PROJECT

# A window that the book's habits fit into, and deadlines that a test can wait for.
SMALL = [
    *("--orders", "300", "--accounts", "15", "--workers", "2", "--seed", "1"),
    *("--seconds", "10", "--every", "4", "--deadline", "30", "--env", "NEO_CANCEL_VERIFICATION_WINDOW=5"),
]


@pytest.mark.timeout(300)
def test_against_all_habits_no_status_is_false_or_of_the_wrong_kind(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.chaos", "--scenario", "habits", *SMALL, "--json", str(report)]
    driver = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert report.exists(), driver.stderr
    told = json.loads(report.read_text())
    wrong = [order for order in told["wrong"] if order["judgement"] != "unknown"]
    assert ([], 0, 300) == (wrong, driver.returncode, told["figures"]["of"])
