"""What happens in one run, decided by its seed before it begins, so that a smaller plan can be tried as well."""

from dataclasses import dataclass, replace
from typing import Final

from tests.simulation.dice import Dice
from tests.simulation.habits import MOST_HIDDEN, TEMPERS, Habits

__all__ = ["Fate", "Mishap", "OrderPlan", "Plan", "Trouble", "make_plan"]

_ORDERS_AN_ACCOUNT: Final = 36
_BURST_SECONDS: Final = 20.0
_CALM_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Fate:
    """Something that happens to an order without us, `at` seconds after its cancel was accepted (before it: negative)."""

    at: float
    kind: str  # open, partly, filled, other_cancel, gone, modify, modified


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """One order and the request to cancel it. Times in seconds; `enqueued` after the start, `placed` before that.

    `asked`: the variety that the request names. `urged`: when it is asked for again as a risk
    order, None for never. `hidden`: when the book leaves the order out. Both seconds after the request.
    """

    index: int
    account: int
    number: str
    variety: str
    asked: str
    amo: bool
    asked_amo: bool
    is_risk: bool
    urged: float | None
    deadline: float
    enqueued: float
    placed: float
    exists: bool
    is_refused_ever: bool
    is_reused: bool
    state: str
    fates: tuple[Fate, ...]
    hidden: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with an account from `at` on for so many seconds after the start."""

    account: int
    kind: str  # session, no_session, mismatch, whitelist, book, cancel, throttle
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that happens to a process: death, pause or stop; or to the ledger, which is away for so many seconds."""

    process: int
    kind: str
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. From `calm_at` on (seconds after the start) the broker's habits are those of a punctual one; `ends_at` ends
    it. From `day_ends_at` on no order is watched.
    """

    seed: int
    temper: str
    habits: Habits
    accounts: int
    processes: int
    orders: tuple[OrderPlan, ...]
    troubles: tuple[Trouble, ...]
    mishaps: tuple[Mishap, ...]
    calm_at: float
    day_ends_at: float
    ends_at: float

    def without_habit(self, name: str) -> "Plan":
        return replace(self, habits=self.habits.without(name))


def make_plan(seed: int, temper: str, *, orders: int) -> Plan:
    """Throw the dice of one run."""
    habits, dice = TEMPERS[temper], Dice(seed, sum(temper.encode()))
    accounts = max(1, round(orders / _ORDERS_AN_ACCOUNT))
    processes = dice.whole(1, 3)
    planned = tuple(_order(seed, index, index % accounts, habits) for index in range(orders))
    calm_at = _BURST_SECONDS + _CALM_SECONDS
    last = max(order.enqueued + order.deadline for order in planned)
    return Plan(
        seed=seed,
        temper=temper,
        habits=habits,
        accounts=accounts,
        processes=processes,
        orders=planned,
        troubles=tuple(_troubles(dice, habits, accounts)),
        mishaps=tuple(_mishaps(dice, habits, processes)),
        calm_at=calm_at,
        day_ends_at=dice.between(10.0, calm_at)
        if dice.chance(habits.early_night)
        else max(calm_at, last) + _CALM_SECONDS,
        ends_at=max(calm_at, last) + _CALM_SECONDS,
    )


def _order(seed: int, index: int, account: int, habits: Habits) -> OrderPlan:
    dice = Dice(seed, 1, index)
    variety = dice.pick(("bracket", "cover")) if dice.chance(habits.exits) else "regular"
    asked = dice.pick(("regular", "bracket", "cover")) if dice.chance(habits.misnamed) else variety
    amo = dice.chance(habits.amo) and variety == asked == "regular"
    is_risk, is_urged = dice.chance(0.25), dice.chance(0.05)
    exists = not dice.chance(habits.never)
    deadline = dice.weighted(((dice.between(0.3, 3.0), 0.15), (dice.between(8.0, 20.0), 0.35), (90.0, 0.5)))
    fates, state = _fates(dice, habits)
    placed = round(dice.weighted(((dice.between(0.02, 0.5), 0.2), (dice.between(1.0, 600.0), 0.8))), 3)
    return OrderPlan(
        index=index,
        account=account,
        number=f"2607221{index:08d}",
        variety=variety,
        asked=asked,
        amo=amo,
        asked_amo=amo and not dice.chance(habits.misnamed),
        is_risk=is_risk,
        urged=round(dice.between(0.0, 5.0), 3) if is_urged and not is_risk else None,
        deadline=round(deadline, 3),
        enqueued=round(
            dice.pick((0.0, 0.5, 3.0, 10.0)) + dice.weighted(((0.0, 0.5), (dice.between(0.0, 8.0), 0.5))), 3
        ),
        placed=placed,
        exists=exists,
        is_refused_ever=dice.chance(habits.refuse_ever),
        is_reused=dice.chance(habits.reused) and exists,
        state="after market order req received" if amo else state,
        fates=fates,
        hidden=_hidden(dice, habits, placed),
    )


def _fates(dice: Dice, habits: Habits) -> tuple[tuple[Fate, ...], str]:
    fates: list[Fate] = []
    state = dice.pick(("open", "open", "open", "trigger pending", "modified", "resting (a state that no list has)"))
    if dice.chance(habits.in_flight):
        state = dice.pick(("open pending", "validation pending", "put order req received"))
        at = dice.weighted(((dice.between(0.2, 6.0), 0.85), (dice.between(6.0, 30.0), 0.15)))
        fates.append(Fate(round(at, 3), "open"))
    if dice.chance(habits.modified):
        at = dice.between(-1.0, 2.0)
        fates += [Fate(round(at, 3), "modify"), Fate(round(at + dice.between(0.5, 5.0), 3), "modified")]
    if dice.chance(habits.partly):
        fates.append(Fate(round(dice.between(-5.0, 3.0), 3), "partly"))
    for kind, often in (("filled", habits.filled), ("other_cancel", habits.other_cancel), ("gone", habits.gone)):
        if dice.chance(often):
            at = dice.weighted(
                ((dice.between(-30.0, 0.0), 0.4), (dice.between(0.0, 1.0), 0.4), (dice.between(0.0, 20.0), 0.2))
            )
            fates.append(Fate(round(at, 3), kind))
    return tuple(sorted(fates, key=lambda fate: fate.at)), state


def _hidden(dice: Dice, habits: Habits, placed: float) -> tuple[tuple[float, float], ...]:
    """Say when the book leaves an order out: never longer than MOST_HIDDEN, and it is there for as long between two gaps."""
    if not dice.chance(habits.hidden):
        return ()
    spans: list[tuple[float, float]] = []
    at = max(dice.between(-2.0, 3.0), MOST_HIDDEN - placed)
    for _ in range(dice.whole(1, 3)):
        seconds = dice.between(0.2, MOST_HIDDEN - habits.jump_most)
        spans.append((round(at, 3), round(at + seconds, 3)))
        at += seconds + dice.between(2 * MOST_HIDDEN, 4 * MOST_HIDDEN)
    return tuple(spans)


def _troubles(dice: Dice, habits: Habits, accounts: int) -> list[Trouble]:
    troubles: list[Trouble] = []
    kinds = (
        (("session", "no_session"), habits.session_trouble),
        (("mismatch", "whitelist"), habits.address_trouble),
        (("book",), habits.book_trouble),
        (("cancel",), habits.cancel_trouble),
        (("throttle",), habits.throttle),
    )
    for account in range(accounts):
        for names, often in kinds:
            if dice.chance(often):
                kind, seconds = dice.pick(names), dice.pick((0.5, 3.0, 15.0)) * dice.between(0.5, 1.5)
                at = 0.0 if kind == "no_session" else dice.between(0.0, 20.0)
                troubles.append(Trouble(account, kind, round(at, 3), round(seconds, 3)))
    return troubles


def _mishaps(dice: Dice, habits: Habits, processes: int) -> list[Mishap]:
    mishaps: list[Mishap] = []
    kinds = (("death", habits.deaths, 3.0), ("pause", habits.pauses, 6.0), ("stop", habits.stops, 3.0))
    for process in range(processes):
        for kind, often, most in kinds:
            if dice.chance(often):
                mishaps.append(
                    Mishap(process, kind, round(dice.between(0.0, 25.0), 3), round(dice.between(0.1, most), 3))
                )
    if dice.chance(habits.ledger_trouble):
        mishaps.append(Mishap(0, "ledger", round(dice.between(0.0, 20.0), 3), round(dice.between(0.3, 5.0), 3)))
    return mishaps
