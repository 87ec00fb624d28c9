"""What the scenarios against the sandbox call true, false, and wrong in kind."""

import pytest

from neo_cancel.record import OrderRecord, Status
from tests.chaos.judging import judge


def record(status, **known):
    known = {"final_at": 20.0, "first_sent_at": 10.0} | known
    return OrderRecord(ucc="AB123", order_number="260722000000001", status=Status(status), enqueued_at=5.0, **known)


def truth(standing, cancelled_by=None, changed_at=15.0, filled=0):
    return {
        "standing": standing,
        "cancelled_by": cancelled_by,
        "filled_quantity": filled,
        "changed_at": [1.0, changed_at],
    }


OURS, OTHERS, FILLED, WORKS = truth("cancelled", "api"), truth("cancelled", "other"), truth("filled"), truth("working")


@pytest.mark.parametrize(
    ("known", "real", "expected"),
    [
        (record("cancelled"), OURS, "true"),
        (record("already_cancelled"), OTHERS, "true"),
        (record("filled"), FILLED, "true"),
        (record("not_found"), None, "true"),
        (record("unknown"), WORKS, "unknown"),
        (record("unknown"), OURS, "unknown"),
        (record("cancelled"), WORKS, "false"),
        (record("not_found"), WORKS, "false"),
        (record("cancelled"), truth("cancelling"), "false"),
        (record("cancelled"), truth("cancelled", "api", changed_at=25.0), "false"),
        (record("cancelled"), FILLED, "wrong_kind"),
        (record("already_cancelled"), OURS, "wrong_kind"),
        (record("cancelled"), OTHERS, "wrong_kind"),
        (record("not_found"), OURS, "wrong_kind"),
        (record("gone"), None, "wrong_kind"),
        (record("refused"), OURS, "wrong_kind"),
        (record("expired"), FILLED, "wrong_kind"),
        (record("cancelled", filled_quantity=3), OURS, "wrong_kind"),
        (record("refused"), WORKS, "given_up"),
        (record("expired"), WORKS, "given_up"),
        (record("verifying"), OURS, "lost"),
        (None, OURS, "lost"),
    ],
)
def test_a_record_is_judged_by_the_truth(known, real, expected):
    assert expected == judge(known, real)


def test_an_order_that_the_exchange_refuses_for_ever_must_be_called_refused():
    said = {status: judge(record(status), WORKS, is_refused_ever=True) for status in ("refused", "expired", "filled")}
    assert {"refused": "true", "expired": "given_up", "filled": "false"} == said


@pytest.mark.parametrize(("died_at", "expected"), [(17.0, "true"), (25.0, "true"), (15.0, "wrong_kind")])
def test_a_refused_order_that_dies_in_the_last_moment_may_be_called_refused(died_at, expected):
    assert expected == judge(record("refused"), truth("filled", changed_at=died_at), is_refused_ever=True)


@pytest.mark.parametrize(
    ("fence", "changed_at", "expected"), [(2, 15.0, "true"), (1, 15.0, "wrong_kind"), (2, 5.0, "wrong_kind")]
)
def test_whose_cancel_it_was_cannot_be_told_when_a_reply_died_with_its_worker(fence, changed_at, expected):
    other = truth("cancelled", "other", changed_at=changed_at)
    assert expected == judge(record("cancelled", fence=fence), other)
