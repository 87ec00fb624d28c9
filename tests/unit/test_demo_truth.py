"""What the demo and the fault tests call agreement between ledger and sandbox."""

import pytest

from neo_cancel.record import OrderRecord, Status
from worker.demo.agreement import agrees, expected_statuses, truth_label
from worker.demo.report import percentile
from worker.demo.scenario import KINDS

NUMBER = "260722000000001"


def truth(standing, cancelled_by=None, filled=0):
    return {"standing": standing, "cancelled_by": cancelled_by, "filled_quantity": filled}


def record(status, **known):
    return OrderRecord(ucc="AB123", order_number=NUMBER, status=Status(status), enqueued_at=0.0, **known)


RIGHT = [
    (None, "not_found", "never existed"),
    (truth("cancelled", "api"), "cancelled", "cancelled by us"),
    (truth("cancelled", "before"), "already_cancelled", "cancelled before"),
    (truth("cancelled", "other"), "already_cancelled", "cancelled before"),
    (truth("filled"), "filled", "filled"),
    (truth("gone"), "gone", "gone"),
]


@pytest.mark.parametrize(("row", "status", "label"), RIGHT)
def test_each_truth_has_exactly_one_right_status(row, status, label):
    assert {Status(status)} == expected_statuses(row)
    assert label == truth_label(row)


@pytest.mark.parametrize(("row", "status", "label"), RIGHT)
@pytest.mark.parametrize("said", list(Status))
def test_any_other_status_disagrees(row, status, label, said):
    assert (said == status) == agrees(record(said), row), label


@pytest.mark.parametrize("standing", ["working", "cancelling"])
def test_an_order_that_still_works_agrees_with_no_status(standing):
    assert not any(agrees(record(status), truth(standing)) for status in Status)
    assert "still works" == truth_label(truth(standing))


def test_an_order_that_was_meant_to_be_refused_must_be_refused():
    right = [status for status in Status if agrees(record(status), truth("working"), is_meant_refused=True)]
    assert [Status.REFUSED] == right


def test_an_order_that_the_ledger_lost_disagrees():
    assert not agrees(None, truth("gone"))
    assert not agrees(None, None)


@pytest.mark.parametrize(("claimed", "right"), [(None, True), (4, True), (3, False)])
def test_a_filled_quantity_that_the_ledger_claims_must_be_true(claimed, right):
    row = truth("cancelled", "api", filled=4)
    assert right == agrees(record("cancelled", filled_quantity=claimed), row)


def test_the_demo_has_a_hundred_orders_for_each_account_and_every_variety():
    assert 100 == sum(kind.count for kind in KINDS)
    assert {"bracket", "cover"} <= {kind.form.get("variety") for kind in KINDS}
    segments = {kind.form.get("segment", "nse_cm") for kind in KINDS}
    assert {"nse_cm", "bse_cm", "nse_fo", "bse_fo", "cde_fo", "mcx_fo"} == segments
    assert len(KINDS) == len({kind.name for kind in KINDS})


@pytest.mark.parametrize(("values", "part", "expected"), [([], 0.5, None), ([1.0], 0.99, 1.0), ([1, 2, 3, 4], 0.5, 2)])
def test_percentiles_are_by_nearest_rank(values, part, expected):
    assert expected == percentile(values, part)
