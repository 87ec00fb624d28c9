"""A bulk file on its way: checked to its last row, then read again to be sent. A row is held while it is read, no longer."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from neo_cancel.cli.rows import BadRow, read_rows
from neo_cancel.duplicates import contradiction
from neo_cancel.errors import InvalidOrderError
from neo_cancel.order import CancelOrder, Lane

__all__ = ["PIECE_SIZE", "BulkFile", "opened"]

PIECE_SIZE: Final = 20_000
"""Orders that are held and sent at a time. Larger pieces fill the messages of many accounts better and need more memory."""


def opened(name: str) -> BinaryIO:
    """Open a file that can be read twice; `-` is standard input.

    Standard input and pipes are copied first, into a file without a name that the process's user alone can read. Raises
    InvalidOrderError, which names the file.
    """
    try:
        if name != "-":
            stream = Path(name).open("rb")  # noqa: SIM115 - the caller closes it
            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return stream
            with stream:
                return _copied(stream)
        if sys.stdin is None:
            raise InvalidOrderError("file", name, "cannot be read: standard input is closed")
        return _copied(sys.stdin.buffer)
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidOrderError):
            raise
        rule = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise InvalidOrderError("file", name, rule) from None


def _copied(stream: BinaryIO) -> BinaryIO:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(stream, copy, 1 << 20)
    return copy


class BulkFile:
    """The orders of a file. `check` reads it first, then `pieces` once more; between them it holds the orders' names only.

    `rows` and `bad` count the rows that are good and not. `lane` overrides the lanes of the rows.
    """

    def __init__(self, name: str, stream: BinaryIO, *, lane: str | None = None) -> None:
        self.name = name
        self.rows = self.bad = 0
        self._stream, self._lane = stream, lane
        # Of each order, one that is like it stands for it: its variety, symbol and lane without its texts. None: it is sent.
        self._wanted: dict[str, CancelOrder | None] = {}
        self._alike: dict[tuple[object, ...], CancelOrder] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def names(self) -> list[str]:
        """The orders that were sent, each once, as UCC:ORDER_NUMBER in the order of the file."""
        return [name for name, wanted in self._wanted.items() if wanted is None]

    @property
    def megabytes(self) -> tuple[int, int]:
        """How much of the file is read, and its size."""
        return self._stream.tell() // 10**6, os.fstat(self._stream.fileno()).st_size // 10**6

    def close(self) -> None:
        """Close the file; a temporary copy is gone then."""
        self._stream.close()

    def check(self) -> Iterator[BadRow | None]:
        """Read every row; None stands for a good one.

        Raises InvalidOrderError where the file as a whole cannot be read.
        """
        for line, row in self._read():
            error = row if isinstance(row, InvalidOrderError) else self._contradicted(row)
            self.rows += error is None
            self.bad += error is not None
            yield None if error is None else BadRow(line, error)

    def pieces(self) -> Iterator[list[CancelOrder]]:
        """Read the good rows once more, each order once, urgent ones first, in pieces that memory can hold."""
        for lane in (Lane.RISK, Lane.ROUTINE):
            if any(wanted.lane == lane for wanted in self._alike.values()):
                yield from self._pieces_of(lane)

    def _pieces_of(self, lane: Lane) -> Iterator[list[CancelOrder]]:
        piece: list[CancelOrder] = []
        for _, row in self._read():
            if isinstance(row, InvalidOrderError) or not self._is_due(row, lane):
                continue
            self._wanted[_name(row)] = None
            piece.append(row)
            if len(piece) == PIECE_SIZE:
                yield piece
                piece = []
        if piece:
            yield piece

    def _read(self) -> Iterator[tuple[int, CancelOrder | InvalidOrderError]]:
        return read_rows(self._stream, name=self.name, lane=self._lane)

    def _contradicted(self, order: CancelOrder) -> InvalidOrderError | None:
        """Take in a good row, or answer how it contradicts an earlier one. The most urgent lane wins."""
        alike = self._alike.setdefault((order.variety, order.amo, order.trading_symbol, order.lane), order)
        first = self._wanted.setdefault(_name(order), alike)
        error = None if first is None else contradiction(first, order)
        if error:
            return error
        if order.lane == Lane.RISK:
            self._wanted[_name(order)] = alike
        return None

    def _is_due(self, order: CancelOrder, lane: Lane) -> bool:
        """Tell whether a row is the one by which its order is sent in this lane: the first that agrees with the check."""
        wanted = self._wanted.get(_name(order))
        return wanted is not None and lane == order.lane == wanted.lane and contradiction(wanted, order) is None


def _name(order: CancelOrder) -> str:
    return f"{order.ucc}:{order.order_number}"
