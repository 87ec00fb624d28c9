"""No text of the broker shows what is secret in the session that it was asked with."""

import httpx
import pytest

from worker.kotak.client import KotakClient, Timeouts
from worker.kotak.order_book import read_page
from worker.kotak.replies import parse_reply
from worker.kotak.secrets import Secrets
from worker.kotak.session import Session

SID = "a1b2c3d4-5e6f-7081-92a3-b4c5d6e7f809"
AUTH = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJBQjEyMyJ9.s/ecret+signature=="
SESSION = Session("https://broker.test", SID, AUTH)
NUMBER = "260722000000001"


def quotes(value):
    """Write a value as gateways write it into their texts."""
    yield value
    yield value.upper()
    yield value.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")
    yield value.replace("/", "%2f").replace("+", "%2b").replace("=", "%3d")
    yield value[:20]
    yield f"{value}{value}"


@pytest.mark.parametrize("value", [SID, AUTH])
def test_a_value_is_covered_however_it_is_written(value):
    """Also one that was cut off; the words around it stay."""
    covered = [SESSION.secrets.covered(f"token {quoted} is invalid") for quoted in quotes(value)]
    assert {"token *** is invalid", "token ****** is invalid"} == set(covered)


@pytest.mark.parametrize("text", ["order is completed", "", NUMBER, "eyJhbGciOiJ", "İ" * 20, "\ud800" * 20])
def test_words_that_are_no_secret_stay_as_they_are(text):
    assert text == SESSION.secrets.covered(text)


def test_a_letter_that_grows_in_lower_case_hides_nothing():
    """Its positions in the text and in lower case differ."""
    assert SID not in SESSION.secrets.covered("İ" * 5 + SID)


def test_a_value_too_short_to_be_a_secret_spoils_no_word():
    assert "is closed" == Secrets(["s", ""]).covered("is closed")


PLACES = [
    {"stat": "Not_Ok", "stCode": 100022, "emsg": f"invalid token {AUTH}"},
    {"stat": "Not_Ok", "errMsg": "x" * 290 + AUTH},
    {"stat": AUTH},
    {"stCode": AUTH, "emsg": "x"},
    {"error": [{"code": SID, "message": SID}]},
    {"stat": "Ok", "nOrdNo": SID},
    {"fault": {"message": f"{AUTH} {SID}"}},
    {"emsg": AUTH.replace("", "  ")[2:-2] + AUTH.replace(".", "\t.\n")},
]


@pytest.mark.parametrize("answer", PLACES)
def test_no_part_of_a_reply_shows_one(answer):
    """Text, code and order number."""
    reply = parse_reply(200, {}, httpx.Response(200, json=answer).content, secrets=SESSION.secrets)
    assert [] == [part for part in (AUTH, SID, AUTH[:14], SID[:14]) if part in repr(reply)]


@pytest.mark.parametrize("field", ["ordSt", "rejRsn", "trdSym"])
def test_no_part_of_a_row_shows_one(field):
    row = {"nOrdNo": NUMBER, "ordSt": "open", field: f"{AUTH} {SID}"}
    body = httpx.Response(200, json={"stat": "Ok", "data": [row]}).content
    assert "***" in repr(page := read_page(200, {}, body, secrets=SESSION.secrets).rows[NUMBER])
    assert [] == [part for part in (AUTH[:14], SID[:14]) if part in repr(page)]


async def test_a_call_covers_the_values_of_its_own_session():
    async def answers(request):
        return httpx.Response(400, json={"stCode": 1009, "emsg": f"bad {request.headers['Auth']}"})

    client = KotakClient(httpx.MockTransport(answers), Timeouts())
    about = {"order_number": NUMBER, "variety": "regular", "amo": False, "trading_symbol": None}
    assert "bad ***" == (await client.cancel(SESSION, **about)).text
    page = await client.read_order(SESSION, NUMBER)
    assert ("bad ***", None) == (page.reply.text, page.rows)
