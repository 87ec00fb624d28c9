"""What is remembered of an order's cancel: each reply and each look, with its time."""

import pytest

from neo_cancel.record import Status
from worker.kotak.codes import Action
from worker.kotak.order_book import OrderState, Row
from worker.orders.case import OBJECTIONS, Case
from worker.orders.finding import Finding, LookResult
from worker.orders.verdict import Verdict

NOW, WINDOW = 1_000.0, 10.0
OK, OBJECTION = Verdict(Action.ACKNOWLEDGED), Verdict(Action.UNCLEAR, code="1006")
NO, SHUT_OUT = Verdict(Action.REFUSED, code="1009"), Verdict(Action.BLOCKED, code="100008")
SILENCE = Verdict(Action.LOOK, may_have_acted=True)
TOO_FAST, RENEW = Verdict(Action.RETRY), Verdict(Action.RENEW)


def row(state):
    return Row("260722000000001", state, str(state), "regular", False, "TCS-EQ", 0, 10, None, None)


def heard(*replies, **known):
    """Make a case that heard these replies, a second apart, the first one at NOW."""
    case = Case(**{"variety": "regular"} | known)
    for at, reply in enumerate(replies):
        case.take(reply, NOW + at)
    return case


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (OK, Status.CANCELLED),
        (NO, Status.REFUSED),
        (OBJECTION, Status.REFUSED),
        (SHUT_OUT, Status.BLOCKED),
        (TOO_FAST, None),
        (RENEW, Status.BLOCKED),
        (SILENCE, None),
    ],
)
def test_what_a_reply_amounts_to_while_the_book_is_silent(reply, status):
    """Only a definite reply stands."""
    assert status is heard(reply).reply_status


@pytest.mark.parametrize("earlier", [SILENCE, Verdict(Action.RETRY, may_have_acted=True)])
@pytest.mark.parametrize("later", [OBJECTION, NO, SHUT_OUT])
def test_a_no_after_a_cancel_that_may_have_worked_stands_for_nothing(later, earlier):
    """It is settled by the book, not by its text."""
    case = heard(earlier, later)
    assert (None, True) == (case.reply_status, case.unsure)


@pytest.mark.parametrize("later", [TOO_FAST, RENEW, OBJECTION, NO, SILENCE])
def test_no_later_reply_changes_an_ok(later):
    """Its time stays, too."""
    case = heard(OK, later)
    assert (Status.CANCELLED, NOW, 1) == (case.reply_status, case.ok_at, case.oks)


def test_objections_are_counted_from_the_first_one():
    """How many they are, and since when."""
    case = heard(OBJECTION, SILENCE, OBJECTION)
    assert (2, NOW) == (case.objections, case.objected_at)


@pytest.mark.parametrize(
    ("count", "now", "expected"),
    [(OBJECTIONS, NOW + WINDOW, True), (OBJECTIONS - 1, NOW + WINDOW, False), (OBJECTIONS, NOW + WINDOW - 0.1, False)],
)
def test_an_order_has_been_asked_when_objections_were_enough_and_long_enough(count, now, expected):
    """Both."""
    assert expected is heard(*[OBJECTION] * count).has_been_asked(now, WINDOW)


@pytest.mark.parametrize(
    ("variety", "reply", "expected"),
    [
        ("regular", SILENCE, True),
        ("regular", OK, True),
        ("bracket", SILENCE, False),
        ("bracket", OK, False),
        ("cover", NO, True),
        ("cover", TOO_FAST, True),
    ],
)
def test_an_exit_is_repeated_only_while_no_other_one_may_have_acted(variety, reply, expected):
    """A plain cancel never does harm."""
    assert expected is heard(reply, variety=variety).may_be_repeated


@pytest.mark.parametrize(("began_at", "expected"), [(NOW + WINDOW - 0.1, False), (NOW + WINDOW, True)])
def test_a_row_is_a_proof_when_its_page_cannot_be_of_before_the_reply(began_at, expected):
    """However far a page may be behind."""
    case = heard(OBJECTION)
    case.see(row(OrderState.WORKING), began_at)
    assert expected is case.is_proof(WINDOW)


@pytest.mark.parametrize(
    ("replies", "proof_from"),
    [
        pytest.param([NO, NO, NO], NOW, id="refused again"),
        pytest.param([SHUT_OUT, SHUT_OUT], NOW, id="blocked again"),
        pytest.param([NO, SHUT_OUT], NOW + 1, id="another no"),
        pytest.param([OBJECTION, OBJECTION], NOW + 1, id="1006 again"),
        pytest.param([NO, SILENCE], NOW + 1, id="silence"),
    ],
)
def test_the_same_refusal_again_does_not_make_a_proof_wait_longer(replies, proof_from):
    """It certainly did nothing, so a page of after the first one proves as much; anything else begins anew."""
    assert proof_from == heard(*replies).proof_from


def test_a_new_send_starts_a_new_count_of_looks():
    """Looks count since the last send."""
    case = heard(OK)
    case.note(LookResult(Finding.UNREADABLE, "book", NOW + 0.5))
    assert 1 == case.looks
    case.take(SILENCE, NOW + 1)
    assert 0 == case.looks


def test_a_row_takes_back_what_misses_said():
    """Misses and blind looks count in a row only, and a row that was seen is not unseen."""
    case = heard(NO)
    for finding in (Finding.MISSING, Finding.UNREADABLE, row(OrderState.WORKING)):
        case.note(LookResult(finding, "book", NOW + 1))
    assert (0, 0, 3, True) == (case.misses, case.blind_looks, case.looks, case.was_seen)


def test_misses_remember_when_the_first_and_the_last_were():
    """Looks that show nothing at all are none of them."""
    case = heard(NO)
    for at, finding in enumerate([Finding.MISSING, Finding.NO_DATA, Finding.UNREADABLE, Finding.MISSING]):
        case.note(LookResult(finding, "book", NOW + at))
    assert (2, NOW, NOW + 3) == (case.misses, case.first_miss_at, case.last_miss_at)


@pytest.mark.parametrize("state", [OrderState.FILLED, OrderState.GONE, OrderState.CANCELLED])
def test_a_dead_row_is_not_replaced(state):
    """No order comes back to life, and the first proof is as good as any."""
    case = heard(OK)
    case.see(row(state), NOW + 1)
    case.see(row(OrderState.WORKING), NOW + 2)
    assert (state, NOW + 1, False) == (case.row.state, case.row_began_at, case.is_contradicted)


@pytest.mark.parametrize(("began_at", "expected"), [(NOW - 0.1, False), (NOW, False), (NOW + 0.1, True)])
def test_only_a_page_of_after_the_ok_contradicts_it(began_at, expected):
    """One whose read began before it shows what was before it."""
    case = heard(OK)
    case.see(row(OrderState.WORKING), began_at)
    assert (expected, None if expected else Status.CANCELLED) == (case.is_contradicted, case.reply_status)


def test_what_was_sent_the_wrong_way_is_forgotten():
    """Replies to another variety's cancel say nothing; that something was sent, and what was seen, stays."""
    case = heard(OK, OBJECTION)
    case.see(row(OrderState.WORKING), NOW + 2)
    case.forget_replies("bracket")
    assert ("bracket", None, None, 0, 0) == (case.variety, case.last, case.ok_at, case.oks, case.objections)
    assert (True, True, True) == (case.has_left, case.unsure, case.was_seen)
