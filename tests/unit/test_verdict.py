"""The decisions, row by row: what a reply asks for, and what a look at the order book leads to."""

import pytest

from neo_cancel.record import Status
from worker.kotak.codes import Action
from worker.kotak.order_book import OrderState, Row
from worker.kotak.replies import Failure, Reply
from worker.orders.finding import Finding
from worker.orders.settlement import CONTRADICTIONS, GRACE_SECONDS, MISSING_LOOKS, Case, at_deadline, settle
from worker.orders.steps import Finish, Look, Send
from worker.orders.verdict import Verdict, judge

VARIETIES = ["regular", "bracket", "cover"]
EXITS = ["bracket", "cover"]
WINDOW = 10.0
NOW = 1_000.0

ACK, REFUSED, UNCLEAR = Action.ACKNOWLEDGED, Action.REFUSED, Action.UNCLEAR
RETRY, RENEW, BLOCKED, LOOK = Action.RETRY, Action.RENEW, Action.BLOCKED, Action.LOOK

# Code -> what it asks for with a regular order, with an exit, and whether the broker may have acted all the same.
CODES = [
    ("1005", RETRY, LOOK, True),
    ("1006", UNCLEAR, UNCLEAR, False),
    ("1007", REFUSED, REFUSED, False),
    ("1009", REFUSED, REFUSED, False),
    ("5202", REFUSED, REFUSED, False),
    ("5204", REFUSED, REFUSED, False),
    ("1017", REFUSED, REFUSED, False),
    ("1021", UNCLEAR, UNCLEAR, False),
    ("1113", REFUSED, REFUSED, False),
    ("91400", REFUSED, REFUSED, False),
    ("100022", RENEW, RENEW, False),
    ("100021", RENEW, RENEW, False),
    ("1003", RENEW, RENEW, False),
    ("200032", RENEW, RENEW, False),
    ("900901", RENEW, RENEW, False),
    ("1037", RENEW, RENEW, False),
    ("100008", BLOCKED, BLOCKED, False),
    ("429", RETRY, RETRY, False),
    ("900807", RETRY, RETRY, False),
    ("5203", UNCLEAR, UNCLEAR, False),
]
# HTTP status of a reply without a code -> the same.
STATUSES = [
    (400, LOOK, LOOK, True),
    (422, LOOK, LOOK, True),
    (404, LOOK, LOOK, True),
    (200, LOOK, LOOK, True),
    (401, RENEW, RENEW, False),
    (403, RENEW, RENEW, False),
    (408, RETRY, LOOK, True),
    (424, RETRY, LOOK, True),
    (429, RETRY, RETRY, False),
    (503, RETRY, LOOK, True),
    (500, LOOK, LOOK, True),
    (502, LOOK, LOOK, True),
    (504, LOOK, LOOK, True),
    (599, LOOK, LOOK, True),
]


def refusal(status=200, code=None, text=None):
    return Reply(status, ok=False, code=code, text=text)


def unreadable(status):
    return Reply(status, ok=False, readable=False)


def row(state, *, changed_at=None):
    return Row("260722000000001", state, str(state), "regular", False, "TCS-EQ", 0, 10, None, changed_at)


def case(reply_status=None, variety="regular", **known):
    return Case(variety, reply_status=reply_status, replied_at=NOW, first_sent_at=NOW - 1, **known)


def looked_at(known, seen):
    """Show a case a row in this state, or a finding; None is no look at all."""
    if seen is not None:
        settled(known, row(seen) if isinstance(seen, OrderState) else seen)
    return known


def settled(known, finding, now=NOW + 0.5):
    return settle(known, finding, now=now, window_seconds=WINDOW)


# ---------------------------------------------------------------------- judge


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize(("code", "regular", "exit_", "may_have_acted"), CODES)
def test_every_listed_code_has_its_action(code, regular, exit_, may_have_acted, variety):
    """Each row of the table of codes, for each variety."""
    said = judge(refusal(200, code, "text"), variety=variety)
    action = regular if variety == "regular" else exit_
    expected = (action, code, "text", may_have_acted, True)
    assert expected == (said.action, said.code, said.text, said.may_have_acted, said.is_listed)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("http_status", [200, 400, 401, 403, 422, 500])
@pytest.mark.parametrize(("code", "regular", "exit_", "may_have_acted"), CODES)
def test_a_listed_code_goes_before_the_http_status(code, regular, exit_, may_have_acted, http_status, variety):  # noqa: PLR0917
    """100008 may come with HTTP 401, and 1021 with HTTP 400: the body is looked at before the status."""
    said = judge(refusal(http_status, code), variety=variety)
    assert (regular if variety == "regular" else exit_, may_have_acted) == (said.action, said.may_have_acted)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("body", ["unreadable", "empty object"])
@pytest.mark.parametrize(("http_status", "regular", "exit_", "may_have_acted"), STATUSES)
def test_every_http_status_has_its_action(http_status, regular, exit_, may_have_acted, body, variety):  # noqa: PLR0917
    """Each row of the table of HTTP statuses, for a body that says nothing, for each variety."""
    said = judge(unreadable(http_status) if body == "unreadable" else refusal(http_status), variety=variety)
    expected = (regular if variety == "regular" else exit_, may_have_acted, True)
    assert expected == (said.action, said.may_have_acted, said.is_listed)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("http_status", [200, 201, 299])
def test_ok_is_an_acknowledgement(http_status, variety):
    """Success is `stat` Ok and nothing else, and the order book has the last word on it."""
    assert Verdict(ACK) == judge(Reply(http_status, ok=True), variety=variety)


@pytest.mark.parametrize("http_status", [302, 400, 401, 429, 500, 502, 503])
def test_ok_inside_an_http_error_is_looked_at(http_status):
    """A gateway's error around an Ok is a contradiction: neither done nor certainly not done."""
    said = judge(Reply(http_status, ok=True), variety="regular")
    assert (LOOK, True) == (said.action, said.may_have_acted)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize(
    ("http_status", "action"),
    [(200, UNCLEAR), (400, UNCLEAR), (404, UNCLEAR), (422, UNCLEAR), (500, LOOK), (502, LOOK), (504, LOOK)],
)
def test_an_unlisted_code_is_looked_at(http_status, action, variety):
    """A code nobody listed is never taken for done or for certainly not done, and is told apart for the log."""
    said = judge(refusal(http_status, "7777", "who knows"), variety=variety)
    assert (action, "7777", True, False) == (said.action, said.code, said.may_have_acted, said.is_listed)


@pytest.mark.parametrize(("http_status", "action"), [(401, RENEW), (403, RENEW), (503, RETRY), (429, RETRY)])
def test_an_unlisted_code_with_a_telling_status_is_still_told_apart(http_status, action):
    """The HTTP status decides, and the code shows up as first seen all the same."""
    said = judge(refusal(http_status, "7777"), variety="regular")
    assert (action, False) == (said.action, said.is_listed)


def test_a_code_that_repeats_the_http_status_is_no_news():
    """`"errorCode": "401"` with HTTP 401 says nothing that the status does not."""
    assert judge(refusal(401, "401"), variety="regular").is_listed is True


def test_a_refusal_without_a_code_is_explained_by_the_book():
    """Not_Ok with a text and no code is a no, but not one that anybody has listed."""
    said = judge(refusal(400, None, "RMS: no"), variety="regular")
    assert (UNCLEAR, "RMS: no", True) == (said.action, said.text, said.may_have_acted)


@pytest.mark.parametrize("variety", VARIETIES)
def test_what_never_left_is_sent_again(variety):
    """No connection, no cancel: sending it again is safe for every variety."""
    said = judge(Failure.NOT_SENT, variety=variety)
    assert (RETRY, False) == (said.action, said.may_have_acted)


@pytest.mark.parametrize("variety", VARIETIES)
def test_silence_after_sending_is_looked_at(variety):
    """A read time-out or a cut connection says nothing: the order is read."""
    said = judge(Failure.MAYBE_SENT, variety=variety)
    assert (LOOK, True) == (said.action, said.may_have_acted)


@pytest.mark.parametrize(
    ("reply", "slow"),
    [
        (refusal(429), True),
        (refusal(200, "429", "Rate limit exceeded"), True),
        (refusal(429, "900807"), True),
        (refusal(200, "1005"), False),
        (refusal(503), False),
    ],
)
def test_only_too_fast_slows_the_account(reply, slow):
    """429 and the old gateway's quota slow the whole account; other trouble does not."""
    assert slow is judge(reply, variety="regular").slow_down


def test_retry_after_is_passed_on():
    """The broker's wish reaches whoever waits."""
    reply = Reply(429, ok=False, retry_after_seconds=7.0)
    assert 7.0 == judge(reply, variety="regular").retry_after_seconds


def test_an_unreadable_reply_is_named_by_its_status():
    """The record says `HTTP 502` where there is no code."""
    assert "HTTP 502" == judge(unreadable(502), variety="regular").code


# ---------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    ("action", "reply_status"),
    [
        (ACK, Status.CANCELLED),
        (REFUSED, Status.REFUSED),
        (UNCLEAR, Status.REFUSED),
        (BLOCKED, Status.BLOCKED),
        (RETRY, None),
        (RENEW, None),
        (LOOK, None),
    ],
)
def test_what_a_reply_amounts_to_while_the_book_is_silent(action, reply_status):
    """Only a definite reply stands."""
    known = Case("regular")
    known.take(Verdict(action, may_have_acted=action is LOOK), NOW)
    assert reply_status is known.reply_status


@pytest.mark.parametrize(
    "earlier", [Verdict(LOOK, may_have_acted=True), Verdict(RETRY, may_have_acted=True), Verdict(ACK)]
)
def test_already_cancelled_after_an_attempt_of_ours_stands_for_nothing(earlier):
    """A 1006 after a cancel that may have worked is settled by the book, not by its text."""
    known = Case("regular")
    known.take(earlier, NOW)
    known.take(Verdict(UNCLEAR, code="1006"), NOW + 1)
    assert (None, 1, True) == (known.reply_status, known.objections, known.unsure)


@pytest.mark.parametrize("action", [RETRY, RENEW])
def test_a_refusal_to_listen_changes_nothing(action):
    """What certainly did nothing leaves the earlier reply standing."""
    known = Case("regular")
    known.take(Verdict(ACK), NOW)
    known.take(Verdict(action), NOW + 1)
    assert (Status.CANCELLED, NOW) == (known.reply_status, known.replied_at)


def test_a_new_attempt_starts_a_new_count_of_looks():
    """Looks count since the last send: the row seen before it proves nothing about it."""
    known = case(looks=3, confirmed_working=2)
    known.take(Verdict(LOOK, may_have_acted=True), NOW)
    assert (0, 0) == (known.looks, known.confirmed_working)


# ---------------------------------------------------------------------- settle: a row

REPLY_STATUSES = [None, Status.CANCELLED, Status.REFUSED, Status.BLOCKED]


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("reply_status", REPLY_STATUSES)
@pytest.mark.parametrize(("state", "status"), [(OrderState.FILLED, Status.FILLED), (OrderState.GONE, Status.GONE)])
def test_a_dead_row_ends_it_whatever_was_said(state, status, reply_status, variety):
    """Filled is filled and gone is gone, also after an Ok."""
    assert Finish(status, verified=True) == settled(case(reply_status, variety), row(state))


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize(
    ("known", "changed_at", "status"),
    [
        pytest.param({"reply_status": Status.CANCELLED}, None, Status.CANCELLED, id="acknowledged"),
        pytest.param(
            {"reply_status": Status.CANCELLED, "unsure": True}, NOW - 9, Status.CANCELLED, id="acknowledged early"
        ),
        pytest.param({}, None, Status.ALREADY_CANCELLED, id="nothing of ours"),
        pytest.param(
            {"reply_status": Status.REFUSED, "objections": 1}, None, Status.ALREADY_CANCELLED, id="1006 at once"
        ),
        pytest.param({"reply_status": Status.BLOCKED}, None, Status.ALREADY_CANCELLED, id="blocked"),
        pytest.param({"unsure": True}, NOW, Status.CANCELLED, id="silence, changed after it"),
        pytest.param({"unsure": True}, NOW - 2, Status.ALREADY_CANCELLED, id="silence, changed before it"),
        pytest.param({"unsure": True}, None, Status.CANCELLED, id="silence, time unknown"),
        pytest.param({"unsure": True, "objections": 1}, NOW, Status.CANCELLED, id="1006 after silence"),
    ],
)
def test_a_cancelled_row_tells_whose_cancel_it_was(known, changed_at, status, variety):
    """Ours by the broker's Ok or by when the order changed; else it was cancelled before."""
    decision = settled(case(variety=variety, **known), row(OrderState.CANCELLED, changed_at=changed_at))
    assert Finish(status, verified=True) == decision


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("reply_status", REPLY_STATUSES)
@pytest.mark.parametrize("now", [NOW + 0.5, NOW + WINDOW + 1])
def test_cancel_pending_is_read_again(now, reply_status, variety):
    """A cancel is under way: neither sent again nor called done, however long it takes."""
    assert Look() == settled(case(reply_status, variety), row(OrderState.CANCEL_PENDING), now)


WORKING = [OrderState.WORKING, OrderState.WORKING_AMO, OrderState.IN_FLIGHT, OrderState.NOT_CANCELLED]
SOON, LATER = NOW + GRACE_SECONDS / 2, NOW + GRACE_SECONDS


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("state", WORKING)
@pytest.mark.parametrize(
    ("known", "now", "expected"),
    [
        pytest.param({"reply_status": Status.CANCELLED}, SOON, Look(), id="acknowledged just now"),
        pytest.param({"reply_status": Status.CANCELLED}, LATER, Send(), id="acknowledged a while ago"),
        pytest.param(
            {"reply_status": Status.REFUSED, "last": REFUSED}, SOON,
            Finish(Status.REFUSED, verified=True), id="refused for good",
        ),
        pytest.param(
            {"reply_status": Status.REFUSED, "last": REFUSED, "objections": 1}, SOON,
            Finish(Status.REFUSED, verified=True), id="refused for good after a 1006",
        ),
        pytest.param({"reply_status": Status.REFUSED, "objections": 1, "last": UNCLEAR}, SOON, Send(), id="1006"),
        pytest.param(
            {"reply_status": Status.REFUSED, "objections": CONTRADICTIONS, "last": UNCLEAR}, SOON,
            Finish(Status.REFUSED, verified=True), id="1006 again and again",
        ),
        pytest.param(
            {"objections": CONTRADICTIONS, "unsure": True, "last": UNCLEAR}, SOON,
            Finish(Status.REFUSED, verified=True), id="1006 again and again after silence",
        ),
        pytest.param(
            {"reply_status": Status.BLOCKED, "last": BLOCKED}, SOON,
            Finish(Status.BLOCKED, verified=True), id="blocked",
        ),
    ],
)  # fmt: skip
def test_a_working_row_after_a_definite_reply(known, now, expected, state, variety):
    """A refusal of an order that works is final, a contradiction is tried again a few times, an Ok gets a moment."""
    assert expected == settled(case(variety=variety, **known), row(state), now)


@pytest.mark.parametrize("state", WORKING)
def test_a_regular_order_that_works_after_silence_is_sent_again(state):
    """The same cancel once more: a second one does no harm."""
    assert Send() == settled(case(unsure=True), row(state))


@pytest.mark.parametrize("variety", EXITS)
@pytest.mark.parametrize("state", WORKING)
def test_an_exit_is_sent_again_after_two_looks_that_show_it_working(state, variety):
    """An exit is not a plain cancel: one look may have come before its effect."""
    known = case(variety=variety, unsure=True)
    assert [Look(), Send()] == [settled(known, row(state)) for _ in range(2)]


# ---------------------------------------------------------------------- settle: no row


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("finding", [Finding.UNREADABLE, Finding.NO_DATA])
@pytest.mark.parametrize("reply_status", [Status.CANCELLED, Status.REFUSED, Status.BLOCKED])
def test_a_definite_reply_stands_after_the_window(reply_status, finding, variety):
    """A book that cannot be read is waited for, then the broker's reply counts, unverified."""
    known = case(reply_status, variety)
    inside, outside = settled(known, finding, NOW + WINDOW - 0.1), settled(known, finding, NOW + WINDOW)
    assert (Look(), Finish(reply_status)) == (inside, outside)


@pytest.mark.parametrize("finding", list(Finding))
def test_a_regular_order_nobody_can_see_is_sent_again_after_silence(finding):
    """Its reply is evidence, too."""
    assert Send() == settled(case(unsure=True), finding, NOW + 60)


@pytest.mark.parametrize("variety", EXITS)
@pytest.mark.parametrize("finding", [Finding.UNREADABLE, Finding.NO_DATA])
def test_an_exit_nobody_can_see_is_not_sent_again(finding, variety):
    """It might close a position; it is read to the deadline instead."""
    known = case(variety=variety, unsure=True)
    assert {Look()} == {settled(known, finding, NOW + seconds) for seconds in range(60)}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({"reply_status": Status.REFUSED, "objections": 1}, Status.NOT_FOUND, id="1006"),
        pytest.param({"objections": 1, "unsure": True}, Status.NOT_FOUND, id="1006 after silence"),
        pytest.param({"reply_status": Status.REFUSED, "last": REFUSED}, Status.NOT_FOUND, id="refused"),
        pytest.param({"reply_status": Status.CANCELLED}, None, id="acknowledged"),
        pytest.param({"reply_status": Status.BLOCKED}, None, id="blocked"),
        pytest.param({"unsure": True}, None, id="silence"),
        pytest.param({"variety": "bracket", "unsure": True}, Status.NOT_FOUND, id="an exit, silence"),
    ],
)
def test_not_found_needs_a_readable_book_twice_and_other_evidence(known, expected):
    """One book without the order proves nothing; two and the broker's no do."""
    known = case(**known)
    first, second = (settled(known, Finding.MISSING) for _ in range(MISSING_LOOKS))
    assert not isinstance(first, Finish)
    assert expected == (second.status if isinstance(second, Finish) else None)


def test_a_row_takes_back_what_a_missing_row_said():
    """Looks that lack the order count in a row only."""
    known = case(Status.REFUSED, objections=1)
    for finding in (Finding.MISSING, row(OrderState.WORKING), Finding.MISSING):
        decision = settled(known, finding)
    assert not isinstance(decision, Finish)


@pytest.mark.parametrize("looks", [1, 5, 50])
def test_no_data_never_means_not_found(looks):
    """5203 is no proof of anything, however often it comes."""
    known = case(Status.REFUSED, objections=1)
    assert not [step for _ in range(looks) if isinstance(step := settled(known, Finding.NO_DATA), Finish)]


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("finding", list(Finding))
@pytest.mark.parametrize("state", [*WORKING, OrderState.CANCEL_PENDING])
def test_an_ok_does_not_stand_against_a_row(state, finding, variety):
    """Seen alive after the Ok: when the book goes dark then, the Ok alone is worth nothing any more."""
    known = case(Status.CANCELLED, variety)
    settled(known, row(state))
    decision = settled(known, finding, NOW + WINDOW + 1)
    may_repeat = variety == "regular" and state is not OrderState.CANCEL_PENDING
    assert (Send() if may_repeat else Look()) == decision
    assert Status.UNKNOWN is at_deadline(known).status


# ---------------------------------------------------------------------- time is up


@pytest.mark.parametrize(
    ("known", "seen", "status", "verified"),
    [
        pytest.param({}, None, Status.EXPIRED, False, id="nothing was sent"),
        pytest.param({}, Finding.UNREADABLE, Status.EXPIRED, False, id="nothing was sent, nothing seen"),
        pytest.param({"unsure": True}, None, Status.UNKNOWN, False, id="silence"),
        pytest.param({"unsure": True}, Finding.MISSING, Status.UNKNOWN, False, id="silence, missing"),
        pytest.param({"unsure": True}, OrderState.WORKING, Status.UNKNOWN, False, id="silence, working"),
        pytest.param({"unsure": True, "objections": 1}, None, Status.UNKNOWN, False, id="1006 after silence"),
        pytest.param({"objections": 1}, None, Status.UNKNOWN, False, id="a no without weight"),
        pytest.param({"reply_status": Status.CANCELLED}, None, Status.CANCELLED, False, id="acknowledged"),
        pytest.param(
            {"reply_status": Status.CANCELLED}, Finding.NO_DATA, Status.CANCELLED, False, id="acknowledged, 5203"
        ),
        pytest.param(
            {"reply_status": Status.CANCELLED}, OrderState.WORKING, Status.UNKNOWN, False, id="Ok but working"
        ),
        pytest.param(
            {"reply_status": Status.CANCELLED}, OrderState.CANCEL_PENDING, Status.UNKNOWN, False, id="Ok, pending"
        ),
        pytest.param(
            {"reply_status": Status.CANCELLED}, OrderState.NOT_CANCELLED, Status.REFUSED, True, id="not cancelled"
        ),
        pytest.param({"unsure": True}, OrderState.NOT_CANCELLED, Status.REFUSED, True, id="silence, not cancelled"),
        pytest.param({"reply_status": Status.REFUSED}, None, Status.REFUSED, False, id="refused"),
        pytest.param(
            {"reply_status": Status.REFUSED}, OrderState.WORKING, Status.REFUSED, False, id="refused, working"
        ),
        pytest.param({"reply_status": Status.BLOCKED}, Finding.UNREADABLE, Status.BLOCKED, False, id="blocked"),
    ],
)
def test_when_time_is_up(known, seen, status, verified):
    """Evidence, else the broker's word, else nothing is claimed."""
    assert Finish(status, verified) == at_deadline(looked_at(case(**known), seen))


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("reply_status", REPLY_STATUSES)
@pytest.mark.parametrize("unsure", [False, True])
@pytest.mark.parametrize("seen", [None, *Finding, *WORKING, OrderState.CANCEL_PENDING])
def test_time_alone_never_makes_an_order_dead(seen, unsure, reply_status, variety):
    """Without a dead row only the broker's own Ok may end as cancelled, and never against a row that works."""
    status = at_deadline(looked_at(case(reply_status, variety, unsure=unsure), seen)).status
    may_be = {Status.CANCELLED} if reply_status is Status.CANCELLED and not isinstance(seen, OrderState) else set()
    assert status in may_be | {Status.REFUSED, Status.BLOCKED, Status.UNKNOWN, Status.EXPIRED}
