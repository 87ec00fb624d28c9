"""Few seeds of every temper; `make simulate` runs many, with all the rules at once."""

import secrets

import pytest

from tests.simulation.episode import run
from tests.simulation.habits import TEMPERS
from tests.simulation.plan import make_plan
from tests.simulation.report import timeline
from tests.simulation.worker import PRODUCT


@pytest.mark.parametrize("temper", TEMPERS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_promise_is_broken(seed, temper):
    """Every rule, over seeds that stay: a run is the same each time, on any machine."""
    report = run(make_plan(seed, temper, orders=60), PRODUCT)
    assert [] == report.violations, timeline(report)


@pytest.mark.parametrize("temper", TEMPERS)
def test_no_status_is_false(temper):
    """A fresh seed, printed when it fails. The other rules still break once in some thousand orders."""
    seed = secrets.randbelow(2**31)
    print(f"python -m tests.simulation --orders 60 --temper {temper} --seed {seed}")
    report = run(make_plan(seed, temper, orders=60), PRODUCT)
    report.violations = [one for one in report.violations if one.kind == "false_status"]
    assert [] == report.violations, timeline(report)
