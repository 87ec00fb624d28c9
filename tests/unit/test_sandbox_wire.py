"""What the sandbox takes as a well-formed call."""

from urllib.parse import urlencode

import orjson
import pytest

from worker.sandbox.reply import Reply, code_in
from worker.sandbox.wire import CancelCall, header_problem, query_problem, read_cancel, read_form, read_history

HEADERS = {
    "accept": "application/json",
    "neo-fin-key": "neotradeapi",
    "Content-Type": "application/x-www-form-urlencoded",
}


def test_the_documented_headers_are_accepted():
    assert None is header_problem(HEADERS, form=True)


@pytest.mark.parametrize("name", sorted(HEADERS))
@pytest.mark.parametrize("value", [None, "", "other"])
def test_a_missing_or_wrong_header_is_a_definite_error(name, value):
    headers = {key: given for key, given in HEADERS.items() if key != name}
    if value is not None:
        headers[name] = value
    problem = header_problem(headers, form=True)
    assert problem is not None
    assert 1009 == problem.code
    assert name.encode() in problem.body


def test_the_sdk_alone_may_leave_the_fin_key_out():
    headers = HEADERS | {"User-Agent": "NeoSDK-Python/3.0.9"}
    assert header_problem(headers | {"neo-fin-key": "other"}, form=True) is not None
    del headers["neo-fin-key"]
    assert None is header_problem(headers, form=True)


@pytest.mark.parametrize(("query", "code"), [({}, None), ({"sId": "x"}, None), ({"a": "1"}, 5202)])
def test_a_query_string_is_refused_but_for_sid(query, code):
    problem = query_problem(query)
    assert code == (problem and problem.code)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"jData=", b"jData={", b"jData=[]", b"jData=1", b"jData=%ff", b"jData=\xff", b"jData={}&x=1", b"x={}"],
)
def test_a_body_that_is_no_form_with_an_object_is_1007(body):
    problem = read_form(body)
    assert isinstance(problem, Reply)
    assert 1007 == problem.code


def test_an_ampersand_in_a_symbol_survives():
    fields = {"on": "260722000000001", "am": "YES", "ts": "M&MFIN-EQ"}
    read = read_form(urlencode({"jData": orjson.dumps(fields).decode()}).encode())
    assert fields == read
    assert CancelCall("260722000000001", amo=True, trading_symbol="M&MFIN-EQ") == read_cancel(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"on": 260722000000001},
        {"on": ""},
        {"on": None},
        {"on": "1", "am": "yes"},
        {"on": "1", "am": True},
        {"on": "1", "am": []},
        {"on": "1", "am": "YES"},
        {"on": "1", "am": "YES", "ts": ""},
        {"on": "1", "ts": 5},
        {"on": "1", "order": "1"},
    ],
)
def test_a_cancel_with_wrong_fields_is_1009(fields):
    problem = read_cancel(fields)
    assert isinstance(problem, Reply)
    assert 1009 == problem.code


@pytest.mark.parametrize("fields", [{}, {"nOrdNo": 1}, {"on": "1"}, {"nOrdNo": "1", "x": 1}])
def test_a_history_request_with_wrong_fields_is_1009(fields):
    problem = read_history(fields)
    assert isinstance(problem, Reply)
    assert 1009 == problem.code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"stCode": 1006}, 1006),
        ({"errorCode": "401"}, "401"),
        ({"code": 429}, 429),
        ({"stCode": []}, None),
        ("x", None),
    ],
)
def test_the_journal_finds_the_code_of_a_reply(payload, code):
    assert code == code_in(payload)
