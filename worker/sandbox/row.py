"""Order rows as the broker writes them: mixed types, misleading fields and all."""

import time
import zlib
from typing import Any

import orjson

from worker.sandbox.order import Change, Order, standing_of

__all__ = ["change_bytes", "row_bytes", "row_of"]


_STALE_REASON = "RMS:Rule: Check circuit limit; Remarks: from an earlier modification"


def row_bytes(order: Order) -> bytes:
    """Return the order's current row as JSON, written once per change."""
    if order.row is None:
        order.row = orjson.dumps(row_of(order, order.latest))
    return order.row


def change_bytes(order: Order, change: Change) -> bytes:
    """Return the order's row from `change` on as JSON."""
    return row_bytes(order) if change is order.latest else orjson.dumps(row_of(order, change))


def row_of(order: Order, change: Change) -> dict[str, Any]:
    """Return the order as the broker would have shown it from `change` on.

    Quantities are ints, strings or both, decided by the order number; `stat` contradicts `ordSt`;
    one working order in five carries a stale `rejRsn`.
    """
    mark = zlib.crc32(order.order_number.encode())
    standing = standing_of(change.state)
    works = standing in {"working", "cancelling"}
    unfilled = order.quantity - change.filled_quantity
    reason = _STALE_REASON if works and change.reason == "--" and mark % 5 == 0 else change.reason
    return {
        "nOrdNo": order.order_number,
        "ordSt": change.state,
        "stat": "complete" if works else "open",
        "actId": order.ucc,
        "tok": _token(order.trading_symbol),
        "prod": order.product,
        "exSeg": order.segment,
        "trdSym": order.trading_symbol,
        "sym": order.trading_symbol.removesuffix("-EQ"),
        "trnsTp": "B" if mark % 2 else "S",
        **_quantities(mark % 3, order.quantity, change.filled_quantity, unfilled if works else 0)
        | _cancelled_quantity(mark % 3, unfilled if standing == "cancelled" else 0),
        **_prices(mark, change),
        "vldt": "DAY",
        "ordGenTp": "AMO" if order.amo else "--",
        "ordSrc": "NEOTRADEAPI",
        "rejRsn": reason,
        "GuiOrdId": change.gui_order_id,
        **_times(order, change),
    }


def _token(trading_symbol: str) -> str:
    """Make the instrument's token: digits in a string, five of them as for most shares."""
    return str(10_000 + zlib.crc32(trading_symbol.encode()) % 90_000)


def _quantities(style: int, quantity: int, filled: int, left: int) -> dict[str, int | str]:
    match style:
        case 0:
            return {"qty": quantity, "fldQty": filled, "unFldSz": left}
        case 1:
            return {"qty": str(quantity), "fldQty": str(filled), "unFldSz": str(left)}
        case _:
            return {"qty": quantity, "fldQty": str(filled), "unFldSz": left}


def _cancelled_quantity(style: int, quantity: int) -> dict[str, int | str]:
    return {"cnlQty": quantity if style == 0 else str(quantity)}


def _prices(mark: int, change: Change) -> dict[str, str]:
    price = f"{100 + mark % 900}.{mark % 20 * 5:02d}"
    waits_for_trigger = change.state.strip().lower() == "trigger pending"
    return {
        "prc": price,
        "avgPrc": price if change.filled_quantity else "0.00",
        "prcTp": "SL" if waits_for_trigger else "L",
        "trgPrc": "99.00" if waits_for_trigger else "0.00",
    }


def _times(order: Order, change: Change) -> dict[str, int | str]:
    placed = _broker_time(order.changes[0].at_ns)
    return {
        "ordDtTm": placed,
        # When the exchange took the order in: a rejected one never got there.
        "ordEntTm": "--" if change.state.strip().lower() == "rejected" else placed,
        "exCfmTm": _broker_time(change.at_ns),
        "updRecvTm": change.at_ns,
    }


def _broker_time(at_ns: int) -> str:
    ist_seconds = at_ns // 1_000_000_000 + 19_800
    return time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(ist_seconds))
