"""The broker's order book: rows as values. Pure: bytes in, BookPage out, never an exception."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from worker.kotak.book_rows import MOST_BOOK_BYTES, RawRow, array_of, rows_of, value_of
from worker.kotak.replies import MAX_TEXT, READ_TEXT, Reply, parse_reply
from worker.kotak.secrets import NO_SECRETS, Secrets

__all__ = ["BookPage", "OrderState", "Row", "read_page"]


class OrderState(StrEnum):
    """What an `ordSt` means for a cancel. An unlisted state is working until proven otherwise."""

    WORKING = "working"
    WORKING_AMO = "working_amo"
    IN_FLIGHT = "in_flight"
    CANCEL_PENDING = "cancel_pending"
    NOT_CANCELLED = "not_cancelled"
    CANCELLED = "cancelled"
    FILLED = "filled"
    GONE = "gone"

    @property
    def is_alive(self) -> bool:
        """The order may still trade. The other states are for ever: no order comes back to life."""
        return self not in (OrderState.CANCELLED, OrderState.FILLED, OrderState.GONE)


# kotak-neo: the states its documentation, SDK and users report; the list is open.
_STATES: Final = {
    "open": OrderState.WORKING,
    "trigger pending": OrderState.WORKING,
    "modified": OrderState.WORKING,
    "not modified": OrderState.WORKING,
    "after market order req received": OrderState.WORKING_AMO,
    "modify after market order req received": OrderState.WORKING_AMO,
    "put order req received": OrderState.IN_FLIGHT,
    "validation pending": OrderState.IN_FLIGHT,
    "open pending": OrderState.IN_FLIGHT,
    "modify validation pending": OrderState.IN_FLIGHT,
    "modify pending": OrderState.IN_FLIGHT,
    "cancel pending": OrderState.CANCEL_PENDING,
    "not cancelled": OrderState.NOT_CANCELLED,
    "cancelled": OrderState.CANCELLED,
    "canceled": OrderState.CANCELLED,
    "cancelled after market order": OrderState.CANCELLED,
    "complete": OrderState.FILLED,
    "completed": OrderState.FILLED,
    "traded": OrderState.FILLED,
    "filled": OrderState.FILLED,
    "rejected": OrderState.GONE,
    "expired": OrderState.GONE,
}
_VARIETIES: Final = {"BO": "bracket", "CO": "cover"}
_LATEST_NS: Final = 2**63  # a longer number is no time, and would not fit a float


@dataclass(frozen=True, slots=True)
class Row:
    """One order as the book shows it.

    Quantities are None where the row has none that can be read; unfilled is what was never executed.
    `reason` is the broker's rejRsn, which can be stale on a working order. `changed_at` is the last change in seconds
    since the epoch, None where the row lacks it. `variety` is None where the row names no product.
    """

    order_number: str
    state: OrderState
    said: str
    variety: str | None
    amo: bool
    trading_symbol: str | None
    filled_quantity: int | None
    unfilled_quantity: int | None
    reason: str | None
    changed_at: float | None


@dataclass(frozen=True, slots=True)
class BookPage:
    """One answer of the order book.

    `rows` is None where the book could not be read. `is_empty`: the broker answered that it has no data (5203), which proves
    nothing about an order. `is_partial`: some row could not be read, so a missing order proves nothing either. `dead` names the
    orders whose row says that they are dead.
    """

    reply: Reply
    rows: Mapping[str, Row] | None
    is_empty: bool = False
    is_partial: bool = False
    dead: Collection[str] = ()


def read_page(http_status: int, headers: Mapping[str, str], body: bytes, *, secrets: Secrets = NO_SECRETS) -> BookPage:
    """Read a book or a single order: `{"stat": "Ok", "data": [row, ...]}`, sometimes wrapped in `data` once more.

    No text of it shows one of the `secrets`.
    """
    array = array_of(body) if http_status == 200 and len(body) <= MOST_BOOK_BYTES else None  # noqa: PLR2004
    found = None if array is None else rows_of(array)
    if found is None:
        reply = parse_reply(http_status, headers, body, secrets=secrets)
        return BookPage(reply, None, is_empty=reply.code == "5203" and not reply.ok)
    rows, count = found
    newest = _newest(rows)
    dead = dict.fromkeys(number for number, row in newest.items() if not _state_of(row.ordSt).is_alive)
    return BookPage(
        Reply(http_status, ok=True),
        _Rows(newest, secrets),
        is_empty=count == 0,
        is_partial=len(rows) < count,
        dead=dead,
    )


def _newest(rows: Iterable[RawRow]) -> dict[str, RawRow]:
    """Take the newest of the rows that name the same order; where their times do not tell, a dead one, then the last one."""
    newest: dict[str, RawRow] = {}
    for row in rows:
        number = row.nOrdNo.strip()
        if number not in newest or _age_of(row) >= _age_of(newest[number]):
            newest[number] = row
    return newest


def _age_of(row: RawRow) -> tuple[float, bool]:
    return _changed_at(value_of(row.updRecvTm)) or 0.0, not _state_of(row.ordSt).is_alive


def _state_of(said: str) -> OrderState:
    return _state(said[:MAX_TEXT])


@lru_cache(maxsize=1024)
def _state(said: str) -> OrderState:
    return _STATES.get(" ".join(said.lower().split()), OrderState.WORKING)


class _Rows(Mapping[str, Row]):
    """The rows of a book, each read when it is asked for: a day's book is long, and few of its orders are waited for."""

    def __init__(self, raw: Mapping[str, RawRow], secrets: Secrets) -> None:
        self._raw, self._secrets = raw, secrets
        self._read: dict[str, Row] = {}

    def __getitem__(self, order_number: str) -> Row:
        row = self._read.get(order_number)
        if row is None:
            row = self._read[order_number] = _row(self._raw[order_number], self._secrets)
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _row(row: RawRow, secrets: Secrets) -> Row:
    state = _state_of(row.ordSt)
    product = _text(value_of(row.prod), secrets)
    filled, unfilled, total = (
        _quantity(value_of(row.fldQty)),
        _quantity(value_of(row.unFldSz)),
        _quantity(value_of(row.qty)),
    )
    if total is not None and filled is not None:
        # kotak-neo: unFldSz is what still waits in the market, 0 once the order is cancelled.
        unfilled = total - filled
    return Row(
        order_number=row.nOrdNo.strip(),
        state=state,
        said=secrets.covered(row.ordSt[:READ_TEXT])[:MAX_TEXT],
        variety=None if product is None else _VARIETIES.get(product.upper(), "regular"),
        amo=state is OrderState.WORKING_AMO or (_text(value_of(row.ordGenTp), secrets) or "").upper() == "AMO",
        trading_symbol=_text(value_of(row.trdSym), secrets),
        filled_quantity=filled,
        unfilled_quantity=unfilled,
        reason=_text(value_of(row.rejRsn), secrets),
        changed_at=_changed_at(value_of(row.updRecvTm)),
    )


def _text(value: Any, secrets: Secrets) -> str | None:
    """Read a text; the broker writes "--" and "NA" for none."""
    text = " ".join(value[:READ_TEXT].split()) if isinstance(value, str) else ""
    return None if text in ("", "--", "NA") else secrets.covered(text)[:MAX_TEXT]


def _quantity(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if abs(number) < _LATEST_NS else None


def _changed_at(value: Any) -> float | None:
    nanoseconds = _quantity(value)
    return None if nanoseconds is None or not 0 < nanoseconds < _LATEST_NS else nanoseconds / 1e9
