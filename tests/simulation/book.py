"""The broker's order book as it is served: late, jumping, with rows missing, doubled or spoiled, or not at all."""

from dataclasses import dataclass, field
from typing import Final

from tests.simulation import wire
from tests.simulation.dice import Dice
from tests.simulation.habits import Habits
from tests.simulation.truth import Order, Version
from tests.simulation.wire import Answer, Meaning

__all__ = ["Page", "serve", "serve_one"]

_JSON: Final = (("content-type", "application/json"),)
_NO_DATA: Final = (b'{"stat":"Not_Ok","errMsg":"No Data","stCode":5203}', b'{"stat":"Ok","data":[]}')
_FAILED: Final = ((502, b"<html>502</html>"), (500, b"{}"), (200, b""), (404, b"<html>no such page</html>"))
_YESTERDAYS: Final = ", yesterday's"
_SPOILED: Final = (b'{"nOrdNo":null,"ordSt":"open"}', b'{"nOrdNo":"1"}', b'"row"')


@dataclass(slots=True)
class Page:
    """An answer to a read. `shown`: the newest version of each order in it, None for a row of yesterday only.

    `is_readable`: it has rows. `is_whole`: the whole book, each row readable, so that an order which is not shown is missing.
    `is_timeless`: its rows do not say when they changed. `beside`: the other row of an order, by its place in `shown`.
    """

    answer: Answer
    shown: list[tuple[Order, Version | None]] = field(default_factory=list)
    is_readable: bool = False
    is_whole: bool = False
    is_timeless: bool = False
    beside: dict[int, str] = field(default_factory=dict)

    def is_ambiguous(self, at: int) -> bool:
        """Tell a row without time beside one of yesterday's order: which of the two is today's cannot be known."""
        return self.is_timeless and _YESTERDAYS in self.beside.get(at, "")

    def text(self, numbers: frozenset[str] | None) -> str:
        """Render the rows of these orders, None for all."""
        if not self.is_readable:
            return str(self.answer)
        rows = [
            f"{order.number[-4:]} {version.said if version else 'no row of today'}{self.beside.get(at, '')}"
            for at, (order, version) in enumerate(self.shown)
            if numbers is None or order.number in numbers
        ]
        return f"{', '.join(rows) or 'no row of it'}{' (a whole book)' if self.is_whole else ''}"


def failed(dice: Dice) -> Page:
    """Answer with a gateway's page, or with nothing at all."""
    if dice.chance(0.3):
        return Page(wire.silence(""))
    status, body = dice.pick(_FAILED)
    return Page(Answer(Meaning.TRANSIENT, "", status, (), body))


def serve(orders: list[Order], others: bytes, habits: Habits, dice: Dice, now: float) -> Page:
    """Read the whole book; `others` are the account's other orders, as rows."""
    if dice.chance(habits.no_data):
        return _page(dice.pick(_NO_DATA))
    at, timeless = _snapshot(habits, dice, now)
    rows: list[bytes] = [others] if others else []
    shown: list[tuple[Order, Version | None]] = []
    beside: dict[int, str] = {}
    for order in orders:
        version = None if order.is_hidden(at) else order.version_at(at)
        if version is None and not order.yesterday:
            continue
        if other := _add_rows(rows, order, version, habits, dice, timeless=timeless):
            beside[len(shown)] = other
        shown.append((order, version))
    is_whole = not dice.chance(habits.garbage)
    if not is_whole:
        rows.insert(dice.whole(0, len(rows)), dice.pick(_SPOILED))
    body = b'{"stat":"Ok","data":[' + b",".join(rows) + b"]}"
    if dice.chance(habits.cut):
        return _page(body[: dice.whole(1, len(body) - 1)])
    return Page(
        Answer(Meaning.OK, "", 200, _JSON, body),
        shown,
        is_readable=True,
        is_whole=is_whole,
        is_timeless=timeless,
        beside=beside,
    )


def serve_one(order: Order, habits: Habits, dice: Dice, now: float) -> Page:
    """Read a single order: a book of one row, or "no data"."""
    at, timeless = _snapshot(habits, dice, now)
    version = None if order.is_hidden(at) else order.version_at(at)
    if dice.chance(habits.no_data) or (version is None and not order.yesterday):
        return _page(dice.pick(_NO_DATA))
    rows: list[bytes] = []
    other = _add_rows(rows, order, version, habits, dice, timeless=timeless)
    body = b'{"stat":"Ok","data":[' + b",".join(rows) + b"]}"
    if dice.chance(habits.cut):
        return _page(body[:-9])
    return Page(
        Answer(Meaning.OK, "", 200, _JSON, body),
        [(order, version)],
        is_readable=True,
        is_timeless=timeless,
        beside={0: other} if other else {},
    )


def _snapshot(habits: Habits, dice: Dice, now: float) -> tuple[float, bool]:
    at = now - dice.between(0.0, habits.jump_most) if dice.chance(habits.jump) else now
    return at, dice.chance(habits.timeless)


def _page(body: bytes) -> Page:
    return Page(Answer(Meaning.TRANSIENT, "", 200, _JSON, body))


def _add_rows(
    rows: list[bytes], order: Order, version: Version | None, habits: Habits, dice: Dice, *, timeless: bool
) -> str:
    """Add an order's row, perhaps with an older one or yesterday's before or behind it; say which stands beside."""
    some = [] if version is None else [version.timeless if timeless else version.row]
    beside = ""
    if order.yesterday and (version is None or dice.chance(0.3)):
        some.insert(dice.whole(0, len(some)), order.yesterday)
        beside = _YESTERDAYS
    if version is not None and dice.chance(habits.doubled) and (at := order.versions.index(version)) > 0:
        older = order.versions[dice.whole(0, at - 1)]
        place = dice.whole(0, len(some))
        some.insert(place, older.timeless if timeless else older.row)
        beside += f", {older.said} {'behind' if place else 'before'} it"
    rows += some
    return beside
