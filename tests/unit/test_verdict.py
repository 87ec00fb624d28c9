"""What a reply asks for: every code and every HTTP status a row."""

import pytest

from worker.kotak.codes import _CODES, KOTAK, Action
from worker.kotak.replies import NoReply, NotSent, Reply
from worker.orders.verdict import Verdict, judge

VARIETIES = ["regular", "bracket", "cover"]
NUMBER = "260722000000001"

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


def test_every_code_of_the_table_has_a_row_here():
    assert set(_CODES) == {code for code, *_ in CODES}


def unreadable(status):
    return Reply(status, ok=False, readable=False)


def judged(answer, *, variety="regular"):
    return judge(answer, codes=KOTAK, variety=variety, order_number=NUMBER)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize(("code", "regular", "exit_", "may_have_acted"), CODES)
def test_every_listed_code_has_its_action(code, regular, exit_, may_have_acted, variety):
    """Each row of the table of codes, for each variety."""
    said = judged(refusal(200, code, "text"), variety=variety)
    action = regular if variety == "regular" else exit_
    expected = (action, code, "text", may_have_acted, True)
    assert expected == (said.action, said.code, said.text, said.may_have_acted, said.is_listed)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("http_status", [200, 400, 401, 403, 422, 500])
@pytest.mark.parametrize(("code", "regular", "exit_", "may_have_acted"), CODES)
def test_a_listed_code_goes_before_the_http_status(code, regular, exit_, may_have_acted, http_status, variety):  # noqa: PLR0917
    """100008 may come with HTTP 401, and 1021 with HTTP 400: the body is looked at before the status."""
    said = judged(refusal(http_status, code), variety=variety)
    assert (regular if variety == "regular" else exit_, may_have_acted) == (said.action, said.may_have_acted)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("body", ["unreadable", "empty object"])
@pytest.mark.parametrize(("http_status", "regular", "exit_", "may_have_acted"), STATUSES)
def test_every_http_status_has_its_action(http_status, regular, exit_, may_have_acted, body, variety):  # noqa: PLR0917
    """Each row of the table of HTTP statuses, for a body that says nothing, for each variety."""
    said = judged(unreadable(http_status) if body == "unreadable" else refusal(http_status), variety=variety)
    expected = (regular if variety == "regular" else exit_, may_have_acted, True)
    assert expected == (said.action, said.may_have_acted, said.is_listed)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("http_status", [200, 201, 299])
def test_ok_is_an_acknowledgement(http_status, variety):
    """Success is `stat` Ok and nothing else, and the order book has the last word on it."""
    assert Verdict(ACK) == judged(Reply(http_status, ok=True), variety=variety)


@pytest.mark.parametrize("http_status", [302, 400, 401, 429, 500, 502, 503])
def test_ok_inside_an_http_error_is_looked_at(http_status):
    """A gateway's error around an Ok is a contradiction: neither done nor certainly not done."""
    said = judged(Reply(http_status, ok=True), variety="regular")
    assert (LOOK, True) == (said.action, said.may_have_acted)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize(
    ("http_status", "action"),
    [(200, UNCLEAR), (400, UNCLEAR), (404, UNCLEAR), (422, UNCLEAR), (500, LOOK), (502, LOOK), (504, LOOK)],
)
def test_an_unlisted_code_is_looked_at(http_status, action, variety):
    """A code nobody listed is never taken for done or for certainly not done, and is told apart for the log."""
    said = judged(refusal(http_status, "7777", "who knows"), variety=variety)
    assert (action, "7777", True, False) == (said.action, said.code, said.may_have_acted, said.is_listed)


@pytest.mark.parametrize(("http_status", "action"), [(401, RENEW), (403, RENEW), (503, RETRY), (429, RETRY)])
def test_an_unlisted_code_with_a_telling_status_is_still_told_apart(http_status, action):
    """The HTTP status decides, and the code shows up as first seen all the same."""
    said = judged(refusal(http_status, "7777"), variety="regular")
    assert (action, False) == (said.action, said.is_listed)


def test_a_code_that_repeats_the_http_status_is_no_news():
    """`"errorCode": "401"` with HTTP 401 says nothing that the status does not."""
    assert judged(refusal(401, "401"), variety="regular").is_listed is True


def test_a_refusal_without_a_code_is_explained_by_the_book():
    """Not_Ok with a text and no code is a no, but not one that anybody has listed."""
    said = judged(refusal(400, None, "RMS: no"), variety="regular")
    assert (UNCLEAR, "RMS: no", True) == (said.action, said.text, said.may_have_acted)


@pytest.mark.parametrize("variety", VARIETIES)
def test_what_never_left_is_sent_again(variety):
    """No connection, no cancel: sending it again is safe for every variety."""
    said = judged(NotSent("refused"), variety=variety)
    assert (RETRY, False) == (said.action, said.may_have_acted)


@pytest.mark.parametrize("variety", VARIETIES)
def test_what_a_person_must_mend_before_it_can_leave_is_told_apart(variety):
    said = judged(NotSent("no such host", is_for_a_person=True), variety=variety)
    assert (Action.MEND, False, False) == (said.action, said.may_have_acted, said.has_left)


@pytest.mark.parametrize("variety", VARIETIES)
def test_silence_after_sending_is_looked_at(variety):
    """A read time-out or a cut connection says nothing: the order is read."""
    said = judged(NoReply(), variety=variety)
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
    assert slow is judged(reply, variety="regular").slow_down


def test_retry_after_is_passed_on():
    """The broker's wish reaches whoever waits."""
    reply = Reply(429, ok=False, retry_after_seconds=7.0)
    assert 7.0 == judged(reply, variety="regular").retry_after_seconds


def test_the_http_status_is_passed_on_and_makes_no_two_verdicts_differ():
    """A rule for pauses may go by it; there is none without a reply."""
    said = judged(Reply(503, ok=False, code="1005"))
    assert (503, None) == (said.http_status, judged(NoReply()).http_status)
    assert said == judged(Reply(200, ok=False, code="1005"))


def test_an_unreadable_reply_is_named_by_its_status():
    """The record says `HTTP 502` where there is no code."""
    assert "HTTP 502" == judged(unreadable(502), variety="regular").code


# ---------------------------------------------------------------------- the number in the reply


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize(
    ("is_ok", "code"), [(True, None), (True, "200"), (False, "1006"), (False, "1009"), (False, "100008")]
)
def test_a_reply_about_another_order_leads_to_a_look(is_ok, code, variety):
    """A gateway answered twice or too late: the reply says nothing of this order, and its cancel may have acted."""
    verdict = judged(Reply(200, ok=is_ok, code=code, order_number="260722000000099"), variety=variety)
    expected = (LOOK, code, True, "the reply is about order 260722000000099")
    assert expected == (verdict.action, verdict.code, verdict.may_have_acted, verdict.text)


@pytest.mark.parametrize("named", [NUMBER, None, "2607220000000010", "26072200000001"])
def test_a_reply_that_may_be_about_this_order_counts(named):
    """The specification's own sample has an nOrdNo of another length, and a reply may name no order at all."""
    assert Verdict(ACK) == judged(Reply(200, ok=True, order_number=named))


@pytest.mark.parametrize(("code", "expected"), [("429", True), ("100022", True), ("100008", True), ("1009", False)])
def test_what_the_broker_does_not_look_at(code, expected):
    """Too fast, without a session or from the wrong address: nothing can have become of it."""
    verdict = judged(Reply(200, ok=False, code=code))
    assert (expected, True) == (verdict.is_turned_away, verdict.has_left)


@pytest.mark.parametrize(("answer", "expected"), [(NoReply(), True), (NotSent("refused"), False)])
def test_only_what_never_left_has_not_left(answer, expected):
    """An order of which nothing was sent may end as expired."""
    assert expected is judged(answer).has_left


def test_what_was_not_sent_says_why_and_is_tried_again():
    said = judged(NotSent("broker.test refuses connections"))
    assert (Action.RETRY, False, False) == (said.action, said.has_left, said.may_have_acted)
    assert "the broker cannot be reached: broker.test refuses connections" == said.text


@pytest.mark.parametrize("reply", [Reply(403, ok=False), Reply(403, ok=False, readable=False)])
def test_an_error_that_says_nothing_is_known_by_its_http_status(reply):
    assert "HTTP 403" == judged(reply).code
