"""The chaos driver with one fixed seed: everything at once, for half a minute."""

import json
import subprocess
import sys

import pytest

from worker.ops.process import PROJECT


@pytest.mark.timeout(240)
def test_half_a_minute_of_chaos_loses_nothing_and_says_nothing_false(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.chaos", "--seconds", "30", "--seed", "1", "--json", str(report)]
    driver = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert report.exists(), driver.stderr
    told = json.loads(report.read_text())
    assert ([], []) == (told["lost"], told["false"])
    assert (0, 1800) == (driver.returncode, told["figures"]["of"])
    assert len(told["events"]) >= 20
