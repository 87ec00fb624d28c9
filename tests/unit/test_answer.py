"""What the task of a message answers: every order of the message is counted, and the worst end comes first."""

import pytest

from neo_cancel.record import HARMLESS, WORKING, Status
from tests.unit.dispatching import chunk, job
from worker.dispatch.answer import MAY_WORK, answer
from worker.dispatch.intake import Chunk, Refusal
from worker.ledger.claims import Claimed


def claimed(*statuses, left=0, **ended):
    jobs = [job(number) for number, _ in enumerate(statuses)]
    for one, status in zip(jobs, statuses, strict=True):
        one.status = Status(status)
    return Claimed(jobs, left, {Status(status): count for status, count in ended.items()})


def test_every_order_of_the_message_is_counted_once():
    """Fifty orders, in two steps of the ledger: what this message claimed is twelve of them."""
    first = claimed("cancelled", *["sending"] * 4, left=20, filled=3)
    second = claimed(*["cancelled"] * 6, "waiting", left=9, filled=1)
    expected = {
        "outcome": "unfinished",
        "ended": {"cancelled": 7, "filled": 4},
        "under_way": 5,
        "in_backlog": 29,
        "elsewhere": 5,
        "lane": "risk",
        "accounts": 1,
        "orders": 50,
        "claimed": 12,
    }
    said = answer(chunk(50, lane="risk"), [first, second])
    assert list(expected.items()) == list(said.items())
    assert 50 == sum(said["ended"].values()) + said["under_way"] + said["in_backlog"] + said["elsewhere"]


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        (["cancelled", "filled"], "done"),
        (["cancelled", "sending"], "unfinished"),
        (["sending", "expired"], "expired"),
        (["expired", "refused"], "refused"),
        (["refused", "unknown"], "unknown"),
        (["unknown", "cancelled", "blocked"], "blocked"),
    ],
)
def test_the_outcome_is_the_worst_end_of_an_order_that_may_still_work(statuses, outcome):
    """Before that what is unfinished, and done only where nothing is left to do."""
    assert outcome == answer(chunk(len(statuses)), [claimed(*statuses)])["outcome"]


def test_an_order_that_ended_before_the_message_came_counts():
    """A message that is delivered twice says the same again."""
    said = answer(chunk(2), [claimed(blocked=1, cancelled=1)])
    assert ("blocked", {"blocked": 1, "cancelled": 1}, 0) == (said["outcome"], said["ended"], said["claimed"])


def test_nothing_is_said_of_what_is_none():
    """The text is short where all is well."""
    expected = {"outcome": "done", "ended": {"filled": 1}, "lane": "routine", "accounts": 1, "orders": 1, "claimed": 1}
    assert expected == answer(chunk(1), [claimed("filled")])


def test_a_part_that_cannot_be_used_is_refused():
    """It is counted apart, since it is no order."""
    said = answer(chunk(1, refusals=[Refusal("no order", None)]), [claimed("cancelled")])
    assert ("refused", 1, 1) == (said["outcome"], said["refused_parts"], said["orders"])


def test_a_message_that_asks_for_a_look_into_a_backlog_is_never_done():
    """Its answer knows nothing of the orders there."""
    assert "unfinished" == answer(Chunk("risk", {}, ("AB123",)), [])["outcome"]


def test_every_final_status_after_which_an_order_may_work_has_its_place():
    assert frozenset(Status) - WORKING - HARMLESS == frozenset(MAY_WORK)
