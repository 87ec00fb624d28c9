"""Accounts, sessions and tokens of the sandbox, without a socket."""

import base64

import orjson
import pytest

from worker.sandbox.account_form import AccountForm, LoginRules
from worker.sandbox.book import Book, Rules
from worker.sandbox.faults import Alter
from worker.sandbox.login_record import LoginRecord, UnderWay
from worker.sandbox.reply import Reply, json_reply
from worker.sandbox.token import jwt
from worker.sandbox.totp import totp_codes

UCC = "AB123"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
# 22 July 2026, 12:00 in India, and the midnight after it.
NOON, MIDNIGHT = 1_784_701_800, 1_784_745_000


def opened(book, *addresses):
    return [book.issue(UCC, ip=address) for address in addresses]


def a_book(**rules):
    book = Book(seed=1)
    book.open_account(UCC, Rules(login=LoginRules(**rules)))
    return book


@pytest.mark.parametrize(
    ("limit", "addresses", "alive"),
    [
        (None, "aab", [True, True, True]),
        (1, "ab", [False, True]),
        (2, "abc", [False, True, True]),
        (2, "aba", [False, True, True]),
        (2, "abcd", [False, False, True, True]),
        (3, "abca", [False, True, True, True]),
    ],
)
def test_a_login_leaves_as_many_sessions_as_there_is_room_for(limit, addresses, alive):
    sessions = opened(a_book(session_limit=limit), *addresses)
    assert alive == [session.alive for session in sessions]


def test_a_session_of_no_login_takes_no_room_and_has_no_end():
    book = a_book(session_limit=1, session_seconds=0.000001)
    given = book.accounts[UCC].session
    (session,) = opened(book, "a")
    assert (True, None) == (given.alive, given.ends_at)
    assert not session.alive
    assert book.accounts[UCC].session is given
    assert 0 == book.accounts[UCC].standing()["sessions"]


def test_ended_sessions_are_counted_once():
    book = a_book()
    opened(book, "a", "b")
    assert [3, 0] == [book.expire(UCC), book.expire(UCC)]
    assert None is book.accounts[UCC].session


def test_a_token_runs_out_at_midnight_in_india_or_when_it_is_told():
    def exp(token):
        part = token.split(".")[1]
        return orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["exp"]

    assert [MIDNIGHT, NOON + 60] == [exp(jwt(UCC, NOON)), exp(jwt(UCC, NOON, seconds=60))]
    assert MIDNIGHT + 86_400 == exp(jwt(UCC, MIDNIGHT))


def test_an_account_changes_the_rules_of_all_where_it_names_its_own():
    of_all = LoginRules(session_limit=2, ip_binding="all", mpin_attempts=3)
    form = AccountForm(ucc=UCC, ip_binding="off", mpin_attempts=None, mpin="123456")
    assert LoginRules(session_limit=2) == form.login_rules(of_all)
    assert LoginRules() == AccountForm(ucc=UCC).login_rules(LoginRules())


@pytest.mark.parametrize(("at", "code"), [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")])
def test_codes_are_those_of_rfc_6238(at, code):
    assert {code} == totp_codes(SECRET, at, drift=0)


def test_a_code_is_used_up_by_its_step_and_not_by_its_neighbours():
    record = LoginRecord()
    (here,), (later,) = (totp_codes(SECRET, at, drift=0) for at in (59, 89))
    taken = [record.use_totp(SECRET, code, at, 1) for code, at in [(here, 59), (later, 59), (here, 89), ("000000", 59)]]
    assert [True, True, False, False] == taken
    assert (1, 1) == (record.counts["reused_totp"], record.counts["wrong_totp"])


def test_the_most_calls_at_once_outlast_them():
    calls = UnderWay()
    with calls.one_more(), calls.one_more():
        pass
    with pytest.raises(KeyError), calls.one_more():
        raise KeyError
    assert (0, 2) == (calls.now, calls.most)


@pytest.mark.parametrize(
    ("real", "fields", "expected"),
    [
        ({"data": {"a": 1, "b": 2}}, {"a": 9, "b": None}, {"data": {"a": 9}}),
        ({"data": {}}, {"absent": None}, {"data": {}}),
        ({"data": [1], "a": 1}, {"a": 2}, {"data": [1], "a": 2}),
        ([1], {"a": 2}, [1]),
    ],
)
def test_a_reply_is_altered_where_its_fields_are(real, fields, expected):
    fault = Alter(fault="alter", on="validate", fields=fields)
    altered = fault.altered(json_reply(real, status=201))
    assert (201, expected) == (altered.status, orjson.loads(altered.body))
    assert isinstance(altered, Reply)
