"""Rows of a bulk file: CSV with a header, or JSON lines; the content says which. Read one by one, in bounded memory."""

import codecs
import csv
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, BinaryIO, Final, TextIO

from neo_cancel.errors import InvalidOrderError
from neo_cancel.order import CancelOrder

__all__ = ["BadRow", "read_rows"]

LONGEST_LINE: Final = 1_000_000
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


def read_rows(
    stream: BinaryIO, *, name: str, lane: str | None = None
) -> Iterator[tuple[int, CancelOrder | InvalidOrderError]]:
    """Read the rows of a bulk file from its start, each with its line; `lane` overrides the lanes of the rows.

    Raises InvalidOrderError, which names the file, where the file as a whole cannot be read.
    """
    found = False
    try:
        for line, row in _raw_rows(stream):
            found = True
            yield line, _order_or_error(row, lane)
    except InvalidOrderError as error:
        raise InvalidOrderError("file", name, error.rule if error.field == "file" else str(error)) from None
    if not found:
        raise InvalidOrderError("file", name, "holds a header and no orders")


def _raw_rows(stream: BinaryIO) -> Iterator[_Row]:
    stream.seek(0)
    if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise InvalidOrderError("file", "UTF-16", "must be UTF-8 text: save it as CSV UTF-8")
    with _decoded(stream, newline="") as text:
        start = next((line.lstrip()[0] for line in _lines(text) if line.strip()), "")
    if not start:
        raise InvalidOrderError("file", "", "is empty")
    if start == "[":
        raise InvalidOrderError("file", "[", "holds a JSON array; write one JSON object a line")
    # In JSON a lone carriage return is white space.
    with _decoded(stream, newline="\n" if start == "{" else "") as text:
        yield from _json_rows(_lines(text)) if start == "{" else _csv_rows(_lines(text))


@contextmanager
def _decoded(stream: BinaryIO, *, newline: str) -> Generator[TextIO]:
    """Read a file as text from its start, and leave it open."""
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline=newline)
    try:
        yield text
    except UnicodeDecodeError:
        rule = f"is not UTF-8 in line {_undecodable_line(stream)}"
        raise InvalidOrderError("file", "", rule) from None
    finally:
        text.detach()


def _undecodable_line(stream: BinaryIO) -> int:
    stream.seek(0)
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    try:
        while data := stream.read(1 << 16):
            decoder.decode(data)
            line += data.count(b"\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line += error.object.count(b"\n", 0, error.start)
    return line


def _lines(text: TextIO) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if "\0" in line:
            raise InvalidOrderError("file", line, "is binary, not text")
        if len(line) == LONGEST_LINE and not line.endswith(("\r", "\n")):
            raise InvalidOrderError("file", line, f"has more than {LONGEST_LINE} characters in line {number}")
        yield line


def _json_rows(lines: Iterable[str]) -> Iterator[_Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield number, row if isinstance(row, dict) else InvalidOrderError("line", line.rstrip(), "is not a JSON object")


def _csv_rows(lines: Iterable[str]) -> Iterator[_Row]:
    reader = csv.reader(lines, strict=True)
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
            rule = f"is unknown{_separator_hint(name)}; the header may name {', '.join(COLUMNS)}"
            raise InvalidOrderError("column", name, rule)
        if names.count(name) > 1:
            raise InvalidOrderError("column", name, "stands in the header twice")
    for name in ("ucc", "order_number"):
        if name not in names:
            raise InvalidOrderError("column", name, "is missing in the header")
    return names


def _separator_hint(name: str) -> str:
    for sign, word in ((";", "semicolons"), ("\t", "tabs")):
        if sign in name:
            return f": cells must be separated by commas, not {word}"
    return ""


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


def _order_or_error(row: Mapping[str, Any] | InvalidOrderError, lane: str | None) -> CancelOrder | InvalidOrderError:
    try:
        return _order(row, lane)
    except InvalidOrderError as error:
        return error


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
