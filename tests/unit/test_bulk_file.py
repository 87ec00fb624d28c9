"""Bulk files from spreadsheets and programs: good rows are read, bad rows named, bad files refused."""

import io
import os
import stat
import threading
from collections.abc import Iterator

import pytest

from neo_cancel import CancelOrder, InvalidOrderError
from neo_cancel.cli.bulk_file import PIECE_SIZE, BulkFile, opened
from tests.bulk_files import read_orders

HEADER = "ucc,order_number"
ALL = "ucc,order_number,variety,amo,trading_symbol,lane,strategy,reason,deadline_seconds"
ROW = "AB123,251015000123456"
ORDER = CancelOrder(ucc="AB123", order_number="251015000123456")


@pytest.mark.parametrize(
    "data",
    [
        f"{HEADER}\n{ROW}\n",
        f"{HEADER}\r\n{ROW}\r\n",
        f"\ufeff{HEADER}\r\n{ROW}",
        f"\n{HEADER}\n\n{ROW}\n ,\n\n",
        "UCC , Order_Number\n AB123 , 251015000123456 \n",
        '"ucc","order_number"\n"AB123","251015000123456"\n',
        f"{HEADER},amo,trading_symbol,lane,variety,strategy,reason,deadline_seconds\n{ROW},,,,,,,\n",
        f"{HEADER},amo\n{ROW},No\n",
        '{"ucc": "AB123", "order_number": "251015000123456"}',
        '\ufeff\n  {"ucc": "AB123", "order_number": "251015000123456"}\r\n\n',
    ],
)
def test_the_same_order_in_every_form(data):
    found = read_orders(data.encode())
    assert [ORDER] == found.orders
    assert [] == found.bad


def test_every_column_of_a_row_arrives():
    data = f'{ALL}\n{ROW},cover,YES,TCS-EQ,risk,s1,"a, b",2.5\n'
    wanted = CancelOrder(
        ucc="AB123",
        order_number="251015000123456",
        variety="cover",
        amo=True,
        trading_symbol="TCS-EQ",
        lane="risk",
        strategy="s1",
        reason="a, b",
        deadline_seconds=2.5,
    )
    assert [wanted] == read_orders(data.encode()).orders


def test_the_lane_given_overrides_what_the_rows_say():
    data = f"{HEADER},lane\n{ROW},routine\n".encode()
    assert ["risk"] == [str(order.lane) for order in read_orders(data, lane="risk").orders]


@pytest.mark.parametrize(
    ("row", "field", "rule"),
    [
        ("AB123,2.51015E+14,", "order_number", "spreadsheet"),
        ('AB123,"2,51015E+14",', "order_number", "spreadsheet"),
        ("AB123,12,", "order_number", "10 to 20 digits"),
        ("ab,251015000123456,", "ucc", "A-Z or 0-9"),
        (",251015000123456,", "ucc", "is required"),
        ("AB123,251015000123456,maybe", "amo", "one of true"),
        ("AB123,251015000123456,yes", "trading_symbol", "mandatory"),
        ("AB123,251015000123456", "row", "2 cells where the header has 3"),
        ("AB123,251015000123456,,", "row", "4 cells where the header has 3"),
    ],
)
def test_a_bad_csv_row_is_put_aside_with_its_line(row, field, rule):
    found = read_orders(f"{HEADER},amo\n{ROW},\n{row}\n".encode())
    assert [ORDER] == found.orders
    assert [(3, field)] == [(bad.line, bad.error.field) for bad in found.bad]
    assert rule in str(found.bad[0])


@pytest.mark.parametrize(
    ("line", "field", "rule"),
    [
        ("{", "line", "not a JSON object"),
        ("[1]", "line", "not a JSON object"),
        ("[" * 100_000, "line", "not a JSON object"),
        ('{"ucc": "AB123"}', "order_number", "is required"),
        ('{"ucc": "AB123", "order_number": 251015000123456}', "order_number", "must be a string"),
        ('{"ucc": "AB123", "order_number": 2.51015e14}', "order_number", "spreadsheet"),
        ('{"ucc": "AB123", "order_number": "251015000123456", "amoo": true}', "amoo", "is unknown"),
        ('{"ucc": "AB123", "order_number": "251015000123456", "deadline_seconds": NaN}', "deadline_seconds", "between"),
        ('{"ucc": "AB123", "order_number": "251015000123456", "reason": "\\ud800"}', "reason", "Unicode"),
    ],
)
def test_a_bad_json_line_is_put_aside_with_its_line(line, field, rule):
    data = f'{{"ucc": "AB123", "order_number": "251015000123456"}}\n\n{line}\n'
    found = read_orders(data.encode())
    assert [ORDER] == found.orders
    assert [(3, field)] == [(bad.line, bad.error.field) for bad in found.bad]
    assert rule in str(found.bad[0])


@pytest.mark.parametrize("deadline", ["abc", "nan", "inf", "1_0", "0", "99999999"])
def test_a_deadline_that_is_no_sensible_number_is_bad(deadline):
    found = read_orders(f"{HEADER},deadline_seconds\n{ROW},{deadline}\n".encode())
    assert ["deadline_seconds"] == [bad.error.field for bad in found.bad]


def test_a_row_is_named_by_its_first_line_when_a_cell_spans_several():
    found = read_orders(f'{HEADER},reason\n{ROW},"two\nlines"\nAB123,1,\n'.encode())
    assert [2, 4] == [bad.line for bad in found.bad]


def test_rows_that_contradict_each_other_are_named():
    found = read_orders(f"{HEADER},variety\n{ROW},regular\n{ROW},cover\n".encode())
    assert [(3, "variety")] == [(bad.line, bad.error.field) for bad in found.bad]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (b"ucc,order_number\n", "no orders"),
        (b"order_number\n251015000123456\n", "is missing in the header"),
        (b"ucc,order_number,colour\n", "column='colour': is unknown"),
        (b"ucc;order_number\n", "is unknown"),
        (b"ucc;order_number\n", "must be separated by commas, not semicolons"),
        (b"ucc\torder_number\n", "must be separated by commas, not tabs"),
        (b"ucc,order_number\n" + b"\xc3", "is not UTF-8 in line 2"),
        (b'{"a": "' + b"x" * 1_000_000, "more than 1000000 characters in line 1"),
        (b"ucc,ucc,order_number\n", "twice"),
        (b'ucc,order_number\n"AB123,251015000123456\n', "cannot be read after line"),
        (b'ucc,order_number\nAB123,"251015000123456"x\n', "cannot be read after line"),
        (b'[{"ucc": "AB123"}]', "JSON array"),
        (b"\x7fELF\0\0", "binary"),
        (b"ucc,order_number\nAB123,\xff\xfe\n", "is not UTF-8 in line 2"),
        ("ucc,order_number\n".encode("utf-16"), "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(data, rule):
    with pytest.raises(InvalidOrderError) as caught:
        read_orders(data)
    assert rule in str(caught.value)
    assert ("file", "orders.csv") == (caught.value.field, caught.value.value)


def test_a_hundred_thousand_rows():
    rows = "\n".join(f"AB123,2510150{number:08}" for number in range(100_000))
    found = read_orders(f"{HEADER}\n{rows}\n".encode())
    assert (100_000, 0) == (len(found.orders), len(found.bad))


def test_a_file_with_old_line_ends_is_read_and_its_lines_are_counted():
    found = read_orders(f"{HEADER}\r{ROW}\rAB123,1\r".encode())
    assert ([ORDER], [3]) == (found.orders, [bad.line for bad in found.bad])


@pytest.fixture
def file(tmp_path) -> Iterator[BulkFile]:
    """Open a file of two good rows, one order in each."""
    (tmp_path / "orders.csv").write_text(f"{HEADER}\n{ROW}\nAB123,251015000123457\n")
    with opened(str(tmp_path / "orders.csv")) as stream:
        yield BulkFile("orders.csv", stream)


def test_what_was_written_into_a_file_after_its_check_is_not_sent(file, tmp_path):
    assert [None, None] == list(file.check())
    (tmp_path / "orders.csv").write_text(f"{HEADER}\n{ROW}\nAB123,999999999999999\n")
    assert [[ORDER]] == list(file.pieces())
    assert (2, ["AB123:251015000123456"]) == (len(file), file.names)


def test_a_row_that_contradicts_an_earlier_one_is_not_sent():
    found = read_orders(f"{HEADER},variety,lane\n{ROW},regular,\n{ROW},cover,risk\n".encode())
    assert ([ORDER], [3]) == (found.orders, [bad.line for bad in found.bad])


def test_an_urgent_row_that_contradicts_is_not_sent_for_the_urgent_one_that_agrees():
    rows = f"{ROW},regular,routine\n{ROW},cover,risk\n{ROW},regular,risk\n"
    found = read_orders(f"{HEADER},variety,lane\n{rows}".encode())
    assert [("regular", "risk")] == [(str(order.variety), str(order.lane)) for order in found.orders]


def test_a_pipe_is_copied_into_a_file_that_its_owner_alone_can_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(f"{HEADER}\n{ROW}\n",))
    writer.start()
    with opened(str(tmp_path / "pipe")) as stream:
        writer.join()
        file = BulkFile("pipe", stream)
        assert ([None], [[ORDER]]) == (list(file.check()), list(file.pieces()))
        state = os.fstat(stream.fileno())
    assert (0o600, 0) == (stat.S_IMODE(state.st_mode), state.st_nlink)


def test_large_files_come_in_pieces_of_which_each_order_is_in_one():
    rows = "".join(f"AB123,2510150{number:08}\n" for number in range(2 * PIECE_SIZE + 1))
    file = BulkFile("orders.csv", io.BytesIO(f"{HEADER}\n{rows}".encode()))
    assert {None} == set(file.check())
    assert [PIECE_SIZE, PIECE_SIZE, 1] == [len(piece) for piece in file.pieces()]
    assert 2 * PIECE_SIZE + 1 == len(set(file.names))
