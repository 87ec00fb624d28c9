"""Whatever a file holds, it is read or refused in words."""

from hypothesis import given
from hypothesis import strategies as st

from neo_cancel import InvalidOrderError
from tests.bulk_files import read_orders

words = [b"ucc", b"order_number", b"amo", b"AB123", b"251015000123456", b"true", b"null", b"1e999", b"NaN", b"\\ud800"]
signs = [
    b",",
    b"\n",
    b"\r",
    b'"',
    b"{",
    b"}",
    b":",
    b"[",
    b" ",
    b"\x1b",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
]
pieces = st.sampled_from(words + signs)
starts = st.sampled_from(
    [b"", b"ucc,order_number\n", b"ucc,order_number,amo\r\n", b'{"ucc": "AB123", "order_number": ']
)
rows = st.lists(pieces, max_size=30).map(b"".join)


@given(starts, rows | st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(start, rest):
    try:
        found = read_orders(start + rest)
    except InvalidOrderError as error:
        assert error.rule in str(error)  # noqa: PT017 (either way is right)
    else:
        assert found.orders or found.bad
        assert all(str(row).startswith(f"line {row.line}: ") for row in found.bad)
