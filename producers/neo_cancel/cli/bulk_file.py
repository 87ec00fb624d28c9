"""Bulk files: CSV with a header, or JSON lines; the content says which. No I/O in here."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from neo_cancel.duplicates import contradiction
from neo_cancel.errors import InvalidOrderError
from neo_cancel.order import CancelOrder

__all__ = ["BadRow", "BulkFile", "read_orders"]

COLUMNS: Final = tuple(field.name for field in fields(CancelOrder))
_AMO: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ROUNDED: Final = re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?[0-9]*\.?[0-9]+", re.ASCII)
_Row = tuple[int, Mapping[str, Any] | InvalidOrderError]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that holds no good order: its line, and its error."""

    line: int
    error: InvalidOrderError

    def __str__(self) -> str:
        return f"line {self.line}: {self.error}"


@dataclass(frozen=True, slots=True)
class BulkFile:
    """What a file holds: good orders, and bad rows."""

    orders: Sequence[CancelOrder]
    bad: Sequence[BadRow]


def read_orders(data: bytes, *, lane: str | None = None) -> BulkFile:
    """Read a bulk file; `lane` overrides the lanes of the rows.

    Raises InvalidOrderError where the file as a whole cannot be read; a bad row is kept apart, with its line number.
    """
    text = _text(data)
    start = text.lstrip()[:1]
    if not start:
        raise InvalidOrderError("file", "", "is empty")
    if start == "[":
        raise InvalidOrderError("file", "[", "holds a JSON array; write one JSON object a line")
    orders: list[CancelOrder] = []
    bad: list[BadRow] = []
    first: dict[tuple[str, str], CancelOrder] = {}
    for line, row in _json_rows(text) if start == "{" else _csv_rows(text):
        try:
            order = _order(row, lane)
            if error := contradiction(first.setdefault(order.key, order), order):
                raise error
            orders.append(order)
        except InvalidOrderError as error:
            bad.append(BadRow(line, error))
    if not orders and not bad:
        raise InvalidOrderError("file", text.strip()[:80], "holds a header and no orders")
    return BulkFile(orders, bad)


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidOrderError("file", "UTF-16", "must be UTF-8 text: save it as CSV UTF-8")
    if b"\0" in data:
        raise InvalidOrderError("file", data[:16], "is binary, not text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidOrderError("file", data[error.start : error.start + 8], f"is not UTF-8 in line {line}") from None


def _json_rows(text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, InvalidOrderError("line", line, "is not a JSON object")
            continue
        if not isinstance(row, dict):
            yield number, InvalidOrderError("line", line, "is not a JSON object")
            continue
        yield number, row


def _csv_rows(text: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    ended = 0
    try:
        for cells in reader:
            # A quoted cell may span lines; the row is named by its first.
            line, ended = ended + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if header:
                yield line, _csv_row(header, cells)
            else:
                header = _checked_header(cells)
    except csv.Error as error:
        raise InvalidOrderError("file", "CSV", f"cannot be read after line {ended}: {error}") from None


def _checked_header(cells: Sequence[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    for name in names:
        if name not in COLUMNS:
            raise InvalidOrderError("column", name, f"is unknown; the header may name {', '.join(COLUMNS)}")
        if names.count(name) > 1:
            raise InvalidOrderError("column", name, "stands in the header twice")
    for name in ("ucc", "order_number"):
        if name not in names:
            raise InvalidOrderError("column", name, "is missing in the header")
    return names


def _csv_row(header: Sequence[str], cells: Sequence[str]) -> Mapping[str, Any] | InvalidOrderError:
    if len(cells) != len(header):
        return InvalidOrderError("row", ",".join(cells), f"has {len(cells)} cells where the header has {len(header)}")
    given: dict[str, Any] = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
    if (amo := given.get("amo")) is not None:
        if amo.lower() not in _AMO:
            return InvalidOrderError("amo", amo, f"must be one of {', '.join(_AMO)}")
        given["amo"] = _AMO[amo.lower()]
    deadline = given.get("deadline_seconds", "")
    if _NUMBER.fullmatch(deadline):
        given["deadline_seconds"] = float(deadline)
    return given


def _order(row: Mapping[str, Any] | InvalidOrderError, lane: str | None) -> CancelOrder:
    if isinstance(row, InvalidOrderError):
        raise row
    for name in row:
        if name not in COLUMNS:
            raise InvalidOrderError(name, row[name], f"is unknown; known are {', '.join(COLUMNS)}")
    number = row.get("order_number")
    if isinstance(number, float) or (isinstance(number, str) and _ROUNDED.fullmatch(number)):
        rule = "was rounded by a spreadsheet and cannot be recovered: format the column as text and export again"
        raise InvalidOrderError("order_number", number, rule)
    return CancelOrder.from_wire(row if lane is None else {**row, "lane": lane})
