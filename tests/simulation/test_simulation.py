"""A run is the same each time: its seed is all that it takes to see it again. `make test` runs many seeds beside this."""

from tests.simulation.episode import run
from tests.simulation.plan import make_plan
from tests.simulation.report import Summary, timeline
from tests.simulation.worker import PRODUCT


def test_a_run_is_the_same_to_the_byte_each_time():
    """Whatever ran before it in this process."""
    first, other, again = (run(make_plan(seed, "storm", orders=60), PRODUCT) for seed in (1, 2, 1))
    assert first.history.digest() == again.history.digest() != other.history.digest()
    assert [] == first.violations, timeline(first)


def test_the_brief_report_names_the_run_that_broke_a_promise():
    """So that it can be replayed."""
    summary = Summary()
    summary.add(run(make_plan(1, "storm", orders=30), PRODUCT))
    fine = "simulation from seed 1 on: 30 orders in 1 runs, 2 s: "
    assert f"{fine}no promise broken" == summary.brief(1, 2.0)
    summary.violations["late"], summary.first["late (storm)"] = 1, "--seed 1 --temper storm: 4711 too late"
    assert f"{fine}1 late\n  late (storm): --seed 1 --temper storm: 4711 too late" == summary.brief(1, 2.0)
