"""Every shape in which the broker has been seen to answer, as one value."""

import orjson
import pytest

from worker.kotak.replies import MAX_RETRY_AFTER_SECONDS, MAX_TEXT, Reply, parse_reply

NOON = 1_784_700_000.0  # 22 Jul 2026 06:00:00 GMT
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
NOISE = b"neo\x00noise;" * 210_000


def parsed(body, status=200, headers=None, now=NOON):
    return parse_reply(status, headers or {}, body if isinstance(body, bytes) else orjson.dumps(body), now=now)


SHAPES = [
    pytest.param(
        200,
        {"stat": "Not_Ok", "emsg": "Order already cancelled or not found.", "stCode": 1006},
        "1006",
        "Order already cancelled or not found.",
        id="specification",
    ),
    pytest.param(
        401,
        {"stCode": 100022, "errMsg": "invalid session token", "stat": "Not_Ok"},
        "100022",
        "invalid session token",
        id="errMsg",
    ),
    pytest.param(
        200,
        {"stat": "Not_Ok", "stCode": 5202, "errMsg": "Error: Invalid Request", "tid": "server4_1258509"},
        "5202",
        "Error: Invalid Request",
        id="with a tid",
    ),
    pytest.param(
        400,
        {"stCode": 1021, "errMsg": "order is completed", "stat": "please provide valid order number"},
        "1021",
        "order is completed",
        id="stat is free text",
    ),
    pytest.param(
        400,
        {"stCode": 1007, "errMsg": "body invalid", "stat": "bad request"},
        "1007",
        "body invalid",
        id="bad request",
    ),
    pytest.param(
        400,
        {"error": [{"code": "91400", "message": "placed elsewhere"}]},
        "91400",
        "placed elsewhere",
        id="error list",
    ),
    pytest.param(
        400,
        {"data": {"error": [{"code": "91400", "message": "placed elsewhere"}]}},
        "91400",
        "placed elsewhere",
        id="error list in data",
    ),
    pytest.param(
        401,
        {"status": "error", "message": "Invalid credentials or TOTP.", "errorCode": "401"},
        "401",
        "Invalid credentials or TOTP.",
        id="login",
    ),
    pytest.param(
        200,
        {"stCode": 429, "errMsg": "Invalid UCC", "status": "failure"},
        "429",
        "Invalid UCC",
        id="login 429",
    ),
    pytest.param(
        429,
        {"code": 429, "error": "Rate limit exceeded", "message": "too many request received"},
        "429",
        "too many request received",
        id="rate limit",
    ),
    pytest.param(
        401,
        {"code": "900901", "message": "Invalid Credentials", "description": "Access failure for API"},
        "900901",
        "Invalid Credentials",
        id="old gateway",
    ),
    pytest.param(
        429,
        {"fault": {"code": 900807, "message": "Request quota reached"}},
        "900807",
        "Request quota reached",
        id="old gateway fault",
    ),
    pytest.param(200, {"stat": "Not_Ok", "errMsg": "No Data", "stCode": 5203}, "5203", "No Data", id="no data"),
    pytest.param(404, {"error": "not found"}, None, "not found", id="error as text"),
    pytest.param(200, {"desc": "nothing here"}, None, "nothing here", id="desc"),
    pytest.param(200, {"stat": "bad request"}, None, "bad request", id="stat alone"),
    pytest.param(200, {"emsg": "", "errMsg": "  ", "message": "said"}, None, "said", id="first that is not empty"),
    pytest.param(200, {"stCode": "", "errorCode": " 1009 "}, "1009", None, id="first code that is not empty"),
    pytest.param(200, {"stCode": True, "code": 1005}, "1005", None, id="a boolean is no code"),
    pytest.param(200, {}, None, None, id="an empty object"),
    pytest.param(200, {"error": [], "data": [1], "fault": "x", "emsg": 7}, None, None, id="wrong types everywhere"),
    pytest.param(200, {"error": ["x"], "data": {"error": [7]}}, None, None, id="lists of other things"),
]


@pytest.mark.parametrize(("status", "body", "code", "text"), SHAPES)
def test_every_error_shape_gives_its_code_and_text(status, body, code, text):
    """Whatever the keys are called, code and text come out, and it is no success."""
    assert Reply(status, ok=False, code=code, text=text) == parsed(body, status)


@pytest.mark.parametrize("stat", ["Ok", "OK", "ok", " Ok "])
def test_stat_ok_is_success(stat):
    """`stat` is compared without case and without the blanks around it."""
    said = parsed({"nOrdNo": "260722000000001", "stat": stat, "stCode": 200})
    assert (True, "200", "260722000000001") == (said.ok, said.code, said.order_number)


def test_success_may_carry_empty_messages():
    """An Ok with empty emsg and errMsg is an Ok."""
    assert parsed({"stat": "Ok", "stCode": 200, "emsg": "", "errMsg": ""}).ok is True


@pytest.mark.parametrize(
    "body",
    [
        {"stCode": 200},
        {"stat": "Not_Ok", "stCode": 200},
        {"stat": "Okay", "stCode": 200},
        {"stat": ["Ok"]},
        {"stat": True},
        {"data": {"stat": "Ok"}},
        {"status": "Ok"},
        {"STAT": "Ok"},
        [{"stat": "Ok"}],
        b'"Ok"',
    ],
)
def test_nothing_else_is_success(body):
    """Neither HTTP 200 nor stCode 200 nor an Ok somewhere else proves anything."""
    assert parsed(body).ok is False


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(HTML, id="html"),
        pytest.param(b"", id="empty"),
        pytest.param(b'{"nOrdNo":"260722000000001","stat":"Ok"', id="truncated"),
        pytest.param(b'{"stat":"Ok\x00,"nOrdNo":}}\x1b[31m not JSON', id="garbage"),
        pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(NOISE, id="2 MB of noise"),
        pytest.param(b'{"stat":"Ok","x":"' + b"a" * 2_000_000 + b'"}', id="2 MB around an Ok"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep list"),
        pytest.param(b'{"stat":' * 5_000 + b'"Ok"' + b"}" * 5_000, id="deep object"),
    ],
)
def test_what_is_no_object_is_unreadable(body):
    """HTML, nothing, half a reply and noise are no success and no refusal, and reading them raises nothing."""
    assert Reply(502, ok=False, readable=False) == parsed(body, 502)


@pytest.mark.parametrize("content_type", ["text/plain", "text/html; charset=utf-8", "application/octet-stream", ""])
def test_the_content_type_decides_nothing(content_type):
    """JSON served as text is JSON."""
    assert parsed({"stat": "Ok"}, headers={"content-type": content_type}).ok is True


def test_long_texts_are_cut_and_put_on_one_line():
    """A text fit for a log line is kept, whatever the broker wrote."""
    said = parsed({"emsg": "line\n\tone " + "x" * 1000, "stCode": "9" * 100, "nOrdNo": "1" * 100})
    assert ("line one x", MAX_TEXT, 32, 32) == (
        said.text[:10], len(said.text), len(said.code), len(said.order_number),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("2", 2.0, id="seconds"),
        pytest.param("0.5", 0.5, id="a fraction"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param("-3", 0.0, id="negative"),
        pytest.param("999999", MAX_RETRY_AFTER_SECONDS, id="days"),
        pytest.param("inf", MAX_RETRY_AFTER_SECONDS, id="infinite"),
        pytest.param("nan", None, id="no number"),
        pytest.param("Wed, 22 Jul 2026 06:00:07 GMT", 7.0, id="a date"),
        pytest.param("Wed, 22 Jul 2026 05:00:00 GMT", 0.0, id="a date in the past"),
        pytest.param("Wed, 22 Jul 2027 06:00:00 GMT", MAX_RETRY_AFTER_SECONDS, id="a date next year"),
        pytest.param("Wed, 22 Jul 99999 06:00:00 GMT", None, id="a date nobody can count"),
        pytest.param("soon", None, id="words"),
        pytest.param("", None, id="empty"),
    ],
)
def test_retry_after_in_all_its_forms(value, seconds):
    """Retry-After counts seconds or names a date; what cannot be read counts as none."""
    said = parsed({"code": 429}, 429, headers={"retry-after": value}, now=1_784_700_000.0)
    assert seconds == said.retry_after_seconds


def test_without_the_header_no_wait_is_asked_for():
    """None is not 0: nobody asked for anything."""
    assert parsed(b"", 429).retry_after_seconds is None


def test_an_unreadable_reply_keeps_its_retry_after():
    """A gateway's HTML 503 may carry the header, too."""
    assert 3.0 == parsed(HTML, 503, headers={"retry-after": "3"}).retry_after_seconds
