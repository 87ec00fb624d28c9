"""A broker with all its habits, in a storm, through real workers: nothing false, and every end of the right kind."""

import json
import subprocess
import sys

import pytest

from worker.ops.process import PROJECT


@pytest.mark.timeout(400)
def test_against_all_habits_no_status_is_false_or_of_the_wrong_kind(tmp_path):
    report = tmp_path / "report.json"
    sizes = ["--orders", "300", "--accounts", "12", "--workers", "2", "--every", "4"]
    command = [
        sys.executable,
        "-m",
        "tests.chaos",
        "--scenario",
        "habits",
        *sizes,
        "--seed",
        "1",
        "--json",
        str(report),
    ]
    driver = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert report.exists(), driver.stderr
    told = json.loads(report.read_text())
    wrong = [order for order in told["wrong"] if order["judgement"] != "unknown"]
    assert ([], 0, 300) == (wrong, driver.returncode, told["figures"]["of"])
