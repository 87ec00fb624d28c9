"""When a session ends, by how much a clock differs, and which address a broker sees: odd answers give no odd values."""

import base64
import json

import pytest

from worker.kotak.login_replies import clock_skew, expiry_of, read_ip

NOON = 1_795_000_000.0
"""11:06:40 UTC on 18 November 2026."""
MIDNIGHT = 1_795_026_600.0
DATE = "Wed, 18 Nov 2026 11:33:20 GMT"


def jwt(payload, head="eyJhbGciOiJSUzI1NiJ9"):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return f"{head}.{base64.urlsafe_b64encode(text.encode()).rstrip(b'=').decode()}.c2ln"


def test_the_next_midnight_in_india_is_one():
    assert 0 == (MIDNIGHT + 19_800) % 86_400
    assert 0 < MIDNIGHT - NOON < 86_400


@pytest.mark.parametrize("end", [NOON + 1, NOON + 0.5, MIDNIGHT, NOON + 2 * 86_400])
def test_a_token_says_when_it_ends(end):
    assert end == expiry_of(jwt({"exp": end}), NOON)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "no-jwt",
        "a.b.c",
        "..",
        "a.b.c.d",
        "a.\N{EURO SIGN}.c",
        jwt({}),
        jwt([]),
        jwt("{"),
        *(jwt({"exp": end}) for end in (None, True, "1795000001", 0, -1, NOON, NOON + 2 * 86_400 + 1, 10**30, [1])),
        jwt('{"exp": 1e999}'),
        jwt('{"exp": NaN}'),
    ],
)
def test_else_it_ends_at_the_next_midnight_in_india(token):
    assert MIDNIGHT == expiry_of(token, NOON)


def test_at_midnight_the_next_one_is_a_day_off():
    assert [MIDNIGHT, MIDNIGHT + 86_400] == [expiry_of("", MIDNIGHT - 1), expiry_of("", MIDNIGHT)]


@pytest.mark.parametrize(
    ("sent", "answered", "skew"),
    [
        (0.0, 0.0, 0.0),
        (0.9, 0.95, 0.0),
        (-5.0, 5.0, 0.0),
        (95.0, 95.1, 94.0),
        (-95.1, -95.0, -95.0),
        (1.0, 1.1, 0.0),
        (3600.0, 3610.0, 3599.0),
    ],
)
def test_the_skew_is_the_least_that_explains_the_date(sent, answered, skew):
    """A reply that takes long, or the cut to the second, is no wrong clock."""
    assert skew == pytest.approx(clock_skew(DATE, NOON + 1600 + sent, NOON + 1600 + answered))


@pytest.mark.parametrize("date", [None, "", "soon", "Wed, 99 Nov 2026 99:99:99 GMT", "Mon, 01 Jan 99999 00:00:00 GMT"])
def test_without_a_date_no_skew_is_known(date):
    assert clock_skew(date, NOON, NOON) is None


def test_a_date_without_a_zone_is_in_utc():
    assert 0.0 == clock_skew(DATE.replace("GMT", "-0000"), NOON + 1600, NOON + 1600)


@pytest.mark.parametrize(
    ("status", "body", "address"),
    [
        (200, b'{"data":[{"ip":"203.0.113.7"}],"stCode":1000}', "203.0.113.7"),
        (200, b'{"data":[{"ip":"2001:DB8::1"}]}', "2001:db8::1"),
        (401, b'{"data":[{"ip":"203.0.113.7"}]}', None),
        (302, b'{"data":[{"ip":"203.0.113.7"}]}', None),
        (200, b'{"data":[{"ip":"not yours"}]}', None),
        (200, b'{"data":[{"ip":3405803783}]}', None),
        (200, b'{"data":[]}', None),
        (200, b'{"data":"203.0.113.7"}', None),
        (200, b"<html>", None),
        (200, b"", None),
    ],
)
def test_an_address_is_one_or_none(status, body, address):
    assert address == read_ip(status, body)
