"""The rows of the broker's order book as it writes them: found, divided and bounded. Pure: bytes in, never an exception."""

from typing import Any, Final

import msgspec

__all__ = ["MOST_BOOK_BYTES", "RawRow", "array_of", "rows_of", "value_of"]

MOST_BOOK_BYTES: Final = 24 * 1024 * 1024
"""Some 20,000 rows as the broker's fit. The orders of a longer book are read one by one."""
_MOST_ROWS: Final = 250_000
_MOST_UNREADABLE: Final = 1000
_PIECE_BYTES: Final = 512 * 1024
_TRIES: Final = 4
_MAX_NUMBER: Final = 64
_NULL: Final = msgspec.Raw(b"null")


class RawRow(msgspec.Struct, gc=False):
    """The fields of a row that count, in the broker's bytes until they are asked for; the others are skipped."""

    nOrdNo: str  # noqa: N815
    ordSt: str  # noqa: N815
    prod: msgspec.Raw = _NULL
    trdSym: msgspec.Raw = _NULL  # noqa: N815
    ordGenTp: msgspec.Raw = _NULL  # noqa: N815
    qty: msgspec.Raw = _NULL
    fldQty: msgspec.Raw = _NULL  # noqa: N815
    unFldSz: msgspec.Raw = _NULL  # noqa: N815
    rejRsn: msgspec.Raw = _NULL  # noqa: N815
    updRecvTm: msgspec.Raw = _NULL  # noqa: N815


class _Envelope(msgspec.Struct):
    stat: str | None = None
    data: msgspec.Raw = _NULL


class _Wrapping(msgspec.Struct):
    data: msgspec.Raw = _NULL


_read_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_unwrap: Final = msgspec.json.Decoder(_Wrapping).decode
_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_value: Final = msgspec.json.Decoder(str | int | float | bool | None).decode
_decode_row: Final = msgspec.json.Decoder(RawRow).decode


def array_of(body: bytes) -> bytes | None:
    """Find the rows of a page that says Ok; None where there are none."""
    try:
        envelope = _read_envelope(body)
        data = _unwrap(envelope.data).data if _begins(envelope.data, b"{") else envelope.data
    except (ValueError, RecursionError):
        return None
    is_ok = (envelope.stat or "").strip().lower() == "ok"
    return bytes(data) if is_ok and _begins(data, b"[") else None


def _begins(value: msgspec.Raw, letter: bytes) -> bool:
    return bytes(memoryview(value)[:1]) == letter


def rows_of(array: bytes) -> tuple[list[RawRow], int] | None:
    """Read the rows that can be read, and count all; None where so many cannot, or so many can, that this is no book.

    Each is read by itself, so that one which cannot be read spoils no other.
    """
    rows: list[RawRow] = []
    count, at = 0, 1
    while at < len(array) - 1:
        try:
            piece, at = _piece(array, at)
        except (ValueError, RecursionError):
            return None
        rows += [row for raw in piece if (row := _read_row(raw)) is not None]
        count += len(piece)
        if len(rows) > _MOST_ROWS or count - len(rows) > _MOST_UNREADABLE:
            return None
    return rows, count


def _piece(array: bytes, begin: int) -> tuple[list[msgspec.Raw], int]:
    """Divide a part of the array, up to an end of a row; answer where the next part begins. Raises ValueError.

    In one piece, a book that is made to be many small values would take memory and hold up the other threads.
    """
    end = begin + _PIECE_BYTES
    for _ in range(_TRIES):
        end = array.find(b"},", end) + 1
        is_last = end == 0
        end = len(array) - 1 if is_last else end
        if end - begin > _TRIES * _PIECE_BYTES:
            break
        try:
            return _split(b"[%b]" % array[begin:end]), end + 1
        except ValueError:
            if is_last:  # else it is no end of a row, but within a text or a part of one
                raise
    raise ValueError("rows are too long")


def _read_row(raw: msgspec.Raw) -> RawRow | None:
    try:
        row = _decode_row(raw)
    except (ValueError, RecursionError):
        return None
    return row if len(row.nOrdNo) <= _MAX_NUMBER else None


def value_of(raw: msgspec.Raw) -> Any:
    """Read a single value; None for what is none, a list for one."""
    try:
        return _decode_value(raw)
    except (ValueError, RecursionError):
        return None
