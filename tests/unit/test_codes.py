"""The broker's codes where no order is in question: a session, a refusal, a code that is new."""

import pytest

from worker.kotak.codes import IP_MISMATCH, KOTAK, Action
from worker.kotak.replies import Reply


def reply(code=None, status=200, *, ok=False, text=None):
    return Reply(status, ok=ok, code=code, text=text)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (reply("100022"), True),
        (reply(IP_MISMATCH), True),
        (reply(status=401), True),
        (reply(status=403), True),
        (reply("1007", 401), False),
        (reply(ok=True), False),
        (reply(status=500), False),
    ],
)
def test_a_session_is_gone_by_its_code_or_else_by_the_http_status(said, expected):
    """A listed code goes before the HTTP status."""
    assert expected is KOTAK.is_session_gone(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (reply(ok=True), True),
        (reply("4711", ok=True), True),
        (reply(), True),
        (reply("1005"), True),
        (reply("503", 503), True),
        (reply("4711"), False),
        (reply("503", 200), False),
    ],
)
def test_a_code_is_new_unless_a_table_has_it_or_it_repeats_the_http_status(said, expected):
    """A new one is logged, because its meaning must be found out."""
    assert expected is KOTAK.is_listed(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [(reply("429"), True), (reply("900807"), True), (reply(status=429), True), (reply("1005", 503), False)],
)
def test_too_fast_is_said_by_two_codes_and_one_status(said, expected):
    """The broker then did nothing at all."""
    assert expected is KOTAK.is_too_fast(said)


@pytest.mark.parametrize(
    ("code", "expected"), [("1007", True), ("1006", False), ("100008", False), ("4711", False), (None, False)]
)
def test_a_refusal_for_good_is_one_that_the_table_lists(code, expected):
    """Neither a block nor an unclear no is one."""
    assert expected is KOTAK.is_refusal(code)


def test_no_code_is_not_a_known_one():
    """Nor is one of the HTTP statuses."""
    assert [True, False, False] == [KOTAK.is_known(code) for code in ("1006", None, "503")]


def test_an_ok_within_an_error_of_the_gateway_is_looked_up():
    """A contradiction proves nothing."""
    said = [KOTAK.action_of(reply(status=status, ok=True)) for status in (200, 299, 300, 502)]
    assert [Action.ACKNOWLEDGED, Action.ACKNOWLEDGED, Action.LOOK, Action.LOOK] == said
