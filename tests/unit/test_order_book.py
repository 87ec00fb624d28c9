"""Rows of the order book as values: every state, every quirk, never an exception."""

import orjson
import pytest

from worker.kotak.book_rows import MOST_BOOK_BYTES
from worker.kotak.order_book import BookPage, OrderState, Row, read_page
from worker.kotak.replies import Reply

NUMBER = "260722000000001"

STATES = [
    ("open", OrderState.WORKING),
    ("trigger pending", OrderState.WORKING),
    ("modified", OrderState.WORKING),
    ("not modified", OrderState.WORKING),
    ("after market order req received", OrderState.WORKING_AMO),
    ("modify after market order req received", OrderState.WORKING_AMO),
    ("put order req received", OrderState.IN_FLIGHT),
    ("validation pending", OrderState.IN_FLIGHT),
    ("open pending", OrderState.IN_FLIGHT),
    ("modify validation pending", OrderState.IN_FLIGHT),
    ("modify pending", OrderState.IN_FLIGHT),
    ("cancel pending", OrderState.CANCEL_PENDING),
    ("not cancelled", OrderState.NOT_CANCELLED),
    ("cancelled", OrderState.CANCELLED),
    ("canceled", OrderState.CANCELLED),
    ("cancelled after market order", OrderState.CANCELLED),
    ("complete", OrderState.FILLED),
    ("completed", OrderState.FILLED),
    ("traded", OrderState.FILLED),
    ("filled", OrderState.FILLED),
    ("rejected", OrderState.GONE),
    ("expired", OrderState.GONE),
    ("something new", OrderState.WORKING),
    ("", OrderState.WORKING),
    ("partially cancelled", OrderState.WORKING),
]


def raw(**fields):
    return {"nOrdNo": NUMBER, "ordSt": "open"} | fields


def page(*rows, **envelope):
    return read_page(200, {}, orjson.dumps({"stat": "Ok", "data": list(rows)} | envelope))


def only(**fields):
    return page(raw(**fields)).rows[NUMBER]


@pytest.mark.parametrize("written", [str, str.upper, str.title, "  {}  ".format])
@pytest.mark.parametrize(("said", "state"), STATES)
def test_every_state_has_its_class(said, state, written):
    """Whatever blanks and capitals: each `ordSt` is known, and an unknown one is working until proven otherwise."""
    assert state is only(ordSt=written(said)).state


def test_a_whole_row():
    """Every field that a cancel needs comes out of a row as the broker writes it."""
    row = only(
        prod="NRML", ordGenTp="--", trdSym="M&MFIN-EQ", qty=10, fldQty="4", unFldSz=6, rejRsn="--",
        updRecvTm="1784700000500000000", stat="complete", GuiOrdId="XTS-1",
    )  # fmt: skip
    expected = Row(NUMBER, OrderState.WORKING, "open", "regular", False, "M&MFIN-EQ", 4, 6, None, 1784700000.5)
    assert expected == row


@pytest.mark.parametrize(
    ("product", "variety"),
    [("BO", "bracket"), ("CO", "cover"), ("bo", "bracket"), ("NRML", "regular"), ("MIS", "regular"), ("CNC", "regular"),
     ("MTF", "regular"), ("??", "regular"), (None, None), ("--", None), (7, None)],
)  # fmt: skip
def test_the_product_names_the_route(product, variety):
    """BO is a bracket, CO a cover, any other product regular; no product says nothing."""
    assert variety == only(prod=product).variety


@pytest.mark.parametrize(
    ("fields", "amo"),
    [
        ({"ordGenTp": "AMO"}, True),
        ({"ordGenTp": "amo"}, True),
        ({"ordGenTp": "--"}, False),
        ({}, False),
        ({"ordSt": "after market order req received"}, True),
        ({"ordSt": "modify after market order req received", "ordGenTp": "--"}, True),
    ],
)
def test_an_after_market_order_shows_by_its_kind_or_its_state(fields, amo):
    """`ordGenTp` or the state: either is enough."""
    assert amo is only(**fields).amo


@pytest.mark.parametrize(
    ("fields", "filled", "unfilled"),
    [
        ({"qty": 10, "fldQty": 4, "unFldSz": 6}, 4, 6),
        ({"qty": "10", "fldQty": "4", "unFldSz": "6"}, 4, 6),
        ({"qty": 10, "fldQty": "4"}, 4, 6),
        ({"qty": 10, "fldQty": "4", "unFldSz": 0, "cnlQty": 6}, 4, 6),
        ({"unFldSz": "6"}, None, 6),
        ({"fldQty": " 4 "}, 4, None),
        ({"qty": 10}, None, None),
        ({"qty": True, "fldQty": 1.5, "unFldSz": ""}, None, None),
        ({"fldQty": "9" * 5000}, None, None),
        ({}, None, None),
    ],
)
def test_quantities_are_numbers_texts_or_not_there(fields, filled, unfilled):
    """Ints and strings are read, the rest is None, and what is missing is worked out from the others."""
    row = only(**fields)
    assert (filled, unfilled) == (row.filled_quantity, row.unfilled_quantity)


@pytest.mark.parametrize(
    ("said", "reason"), [("--", None), ("NA", None), ("", None), (None, None), ("RMS:  no", "RMS: no")]
)
def test_a_reason_that_says_nothing_is_none(said, reason):
    """The broker writes "--" for none."""
    assert reason == only(rejRsn=said).reason


@pytest.mark.parametrize("said", [None, "", "soon", 0, -1, True, 1.5, "9" * 400, 2**63])
def test_a_time_that_cannot_be_one_is_none(said):
    """A field that is no time in nanoseconds says nothing, and raises nothing."""
    assert only(updRecvTm=said).changed_at is None


def test_the_rows_are_found_by_their_numbers():
    """One page, many orders."""
    numbers = [f"26072200000000{n}" for n in range(5)]
    assert set(numbers) == set(page(*[raw(nOrdNo=number) for number in numbers]).rows)


def test_data_wrapped_once_more_is_read():
    """Some replies put the envelope into `data`."""
    body = orjson.dumps({"stat": "Ok", "data": {"data": [raw()]}})
    assert {NUMBER} == set(read_page(200, {}, body).rows)


@pytest.mark.parametrize(
    "broken", [7, None, "row", [], {}, {"nOrdNo": NUMBER}, {"ordSt": "open"}, {"nOrdNo": 7, "ordSt": "open"}]
)
def test_a_row_that_cannot_be_read_makes_the_page_partial(broken):
    """The others count; an order that is missing from such a page proves nothing."""
    read = page(broken, raw())
    assert ({NUMBER}, True, False) == (set(read.rows), read.is_partial, read.is_empty)


def test_an_empty_list_is_readable_and_empty():
    """`"data": []` with stat Ok."""
    assert BookPage(Reply(200, ok=True), {}, is_empty=True, dead={}) == page()


def test_no_data_is_no_book():
    """5203 is an answer, but no readable book."""
    read = read_page(200, {}, b'{"stat":"Not_Ok","errMsg":"No Data","stCode":5203}')
    assert (None, True, "5203") == (read.rows, read.is_empty, read.reply.code)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, b"", id="empty"),
        pytest.param(200, b"<html></html>", id="html"),
        pytest.param(200, b'{"stat":"Ok","data":[{"nOrdNo":"260722', id="truncated"),
        pytest.param(200, b'{"stat":"Ok"}', id="no data key"),
        pytest.param(200, b'{"stat":"Ok","data":null}', id="data null"),
        pytest.param(200, b'{"stat":"Ok","data":{"data":7}}', id="data no list"),
        pytest.param(200, b'{"stat":"Not_Ok","data":[]}', id="rows without Ok"),
        pytest.param(200, b'{"data":[]}', id="no stat"),
        pytest.param(200, b"[]", id="a list"),
        pytest.param(200, b"[" * 100_000 + b"]" * 100_000, id="deep"),
        pytest.param(502, orjson.dumps({"stat": "Ok", "data": [raw()]}), id="rows inside an HTTP error"),
        pytest.param(404, b"Not Found", id="no such route"),
    ],
)
def test_what_is_no_book_has_no_rows(status, body):
    """None, not an empty book: nothing may be concluded from it."""
    read = read_page(status, {}, body)
    assert (None, False) == (read.rows, read.is_empty)


def test_a_book_of_twenty_thousand_orders_is_read():
    """The limit on replies to cancels is none on books."""
    numbers = [f"{260722000000000 + n}" for n in range(20_000)]
    assert 20_000 == len(page(*[raw(nOrdNo=number, trdSym="TCS-EQ") for number in numbers]).rows)


# ---------------------------------------------------------------------- books that no broker would send


def book_of(*rows):
    return b'{"stat":"Ok","data":[' + b",".join(rows) + b"]}"


ROW = b'{"nOrdNo":"260722000000001","ordSt":"open","rejRsn":"a},{b \\" },"}'
HOSTILE = {
    "many empty objects": book_of(*[b"{}"] * 5000),
    "many numbers": book_of(*[b"1"] * 2_000_000),
    "deep": b'{"stat":"Ok","data":' + b"[" * 100_000,
    "one long row": book_of(b'{"nOrdNo":"1","ordSt":"' + b"x" * 4_000_000 + b'"}'),
    "too long": book_of(b'{"nOrdNo":"1","ordSt":"open"}') + b" " * MOST_BOOK_BYTES,
    "cut": book_of(*[ROW] * 9000)[:-1],
    "no text": b"\xff" * 100,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_that_is_no_book_shows_no_rows(name):
    assert read_page(200, {}, HOSTILE[name]).rows is None


def test_a_long_book_is_divided_only_between_rows():
    """Also where a text looks like the end of a row."""
    numbers = [str(260722000000000 + number) for number in range(20_000)]
    page = read_page(200, {}, book_of(*[ROW.replace(b"260722000000001", number.encode()) for number in numbers]))
    assert (numbers, False) == (list(page.rows), page.is_partial)
    assert {'a},{b " },'} == {row.reason for row in page.rows.values()}


@pytest.mark.parametrize(
    "field", [b'"qty":[1,2]', b'"fldQty":{"a":1}', b'"updRecvTm":[[]]', b'"rejRsn":{}', b'"qty":1e400']
)
def test_a_field_that_is_no_value_spoils_no_row(field):
    page = read_page(200, {}, book_of(b'{"nOrdNo":"1","ordSt":"cancelled",' + field + b"}"))
    assert (OrderState.CANCELLED, None) == (page.rows["1"].state, page.rows["1"].reason)


def test_a_row_that_is_broken_spoils_no_other():
    page = read_page(
        200, {}, book_of(ROW, b'{"nOrdNo":"2","ordSt":"open","rejRsn":"\xff"}', b'{"nOrdNo":"\xff","ordSt":"open"}')
    )
    assert ({"260722000000001", "2"}, True, None) == (set(page.rows), page.is_partial, page.rows["2"].reason)


def test_a_number_too_long_to_be_one_is_no_number():
    """Neither as an order's nor as a quantity."""
    page = read_page(
        200, {}, book_of(b'{"nOrdNo":"' + b"1" * 65 + b'","ordSt":"open"}', ROW[:-1] + b',"qty":' + b"9" * 40 + b"}")
    )
    assert (True, [None]) == (page.is_partial, [row.unfilled_quantity for row in page.rows.values()])
