"""The broker's model: accounts, their orders, and what a cancel does and is answered. It shares nothing with the worker."""

from typing import Final

from tests.simulation import book, wire
from tests.simulation.accounts import PATHS, Account, Request, other_row
from tests.simulation.book import Page
from tests.simulation.dice import Dice
from tests.simulation.habits import Habits
from tests.simulation.history import History
from tests.simulation.loop import World
from tests.simulation.plan import Fate, Plan, Trouble
from tests.simulation.truth import Life, Order
from tests.simulation.wire import Answer

__all__ = ["Broker"]

_PUNCTUAL: Final = Habits()


class Broker:
    """All accounts. `start` is when the plan's time begins; see Plan for when the broker becomes punctual."""

    def __init__(self, world: World, plan: Plan, history: History) -> None:
        self._world, self._plan, self._history, self._start = world, plan, history, world.now
        self.calm_at = self._start + plan.calm_at
        self.accounts = {account.ucc: account for account in (self._account(at) for at in range(plan.accounts))}
        self.orders = [self._order(at) for at in range(len(plan.orders))]

    @property
    def habits(self) -> Habits:
        """The habits of this moment."""
        return self._plan.habits if self._world.now < self.calm_at else _PUNCTUAL

    def _account(self, at: int) -> Account:
        habits, dice = self._plan.habits, Dice(self._plan.seed, 2, at)
        others = ",".join(other_row(at, number) for number in range(dice.whole(1, 25)))
        troubles = [
            Trouble(at, trouble.kind, self._start + trouble.at, trouble.seconds)
            for trouble in self._plan.troubles
            if trouble.account == at
        ]
        off = dice.between(-habits.clock_off_most, habits.clock_off_most)
        blind, half = dice.chance(habits.no_book), dice.chance(habits.half_book)
        without = dice.pick(("whole", "single")) if half else ""
        return Account(f"AC{at:03d}", troubles, others.encode(), blind, without, off)

    def _order(self, at: int) -> Order:
        plan, world = self._plan.orders[at], self._world
        account = self.accounts[f"AC{plan.account:03d}"]
        accepted_at = self._start + plan.enqueued
        order = Order(plan, account.ucc, Dice(self._plan.seed, 6, at), accepted_at, account.clock_off)
        order.hidden = tuple((accepted_at + start, accepted_at + end) for start, end in plan.hidden)
        account.by_number[order.number] = order
        if not plan.exists:
            return order
        account.orders.append(order)
        placed = accepted_at - plan.placed
        if plan.is_reused:
            order.yesterday = order.was(placed)
        pending = plan.state.endswith(("pending", "put order req received")) and plan.state != "trigger pending"
        order.become(
            plan.state,
            Life.IN_FLIGHT if pending else Life.WORKING,
            placed,
            lag=0.0 if order.hidden else self._lag(order.dice),
        )
        for fate in plan.fates:
            when = max(accepted_at + fate.at, placed + 0.01)
            if when <= world.now:
                self._befall(order, fate, when)
            else:
                world.call_at(when, self._befall, order, fate, when)
        return order

    # ------------------------------------------------------------------ what happens to orders

    def _lag(self, dice: Dice) -> float:
        habits = self.habits
        return dice.between(0.3, habits.lag_most) if dice.chance(habits.lag) else dice.between(0.0, 0.05)

    def _befall(self, order: Order, fate: Fate, at: float) -> None:
        if not order.works:
            return
        life, lag = order.now.life, self._lag(order.dice)
        match fate.kind:
            case "open" if life is Life.IN_FLIGHT:
                order.become("open", Life.WORKING, at, lag=lag)
            case "modify" if life is Life.WORKING:
                order.become("modify pending", Life.IN_FLIGHT, at, lag=lag)
            case "modified" if order.now.said == "modify pending":
                order.become("modified", Life.WORKING, at, lag=lag)
            case "partly" if life is Life.WORKING:
                order.become("open", Life.WORKING, at, lag=lag, filled=4)
            case "filled" if life is not Life.IN_FLIGHT:
                self._end(order, "complete", Life.FILLED, "exchange", at, filled=order.quantity)
            case "other_cancel" if life is not Life.IN_FLIGHT:
                self._end(order, "cancelled", Life.CANCELLED, "other", at)
            case "gone":
                self._end(order, "rejected" if life is Life.IN_FLIGHT else "expired", Life.GONE, "exchange", at)
            case _:
                return
        self._history.truth(at, order)

    def _end(self, order: Order, said: str, life: Life, by: str, at: float, *, filled: int | None = None) -> None:
        version = order.become(said, life, at, lag=self._lag(order.dice), filled=filled)
        order.ended_by, order.ended_at = by, at
        habits = self._plan.habits
        settled = version.visible_at + (habits.jump_most if habits.jump else 0.0)
        for start, end in order.hidden:
            settled = end if start <= settled < end else settled
        order.settled_at = settled

    def act(self, order: Order, call: int) -> None:
        """Carry a cancel of ours out, if there is still something to cancel."""
        order.cancels_due = 0
        if order.works:
            self._end(order, "cancelled", Life.CANCELLED, "us", self._world.now)
            order.acted_by = call
            self._history.truth(self._world.now, order)

    def refuse(self, order: Order) -> None:
        """Have the exchange refuse a cancel that was acknowledged."""
        order.cancels_due = 0
        if order.works:
            lag = self._lag(order.dice)
            order.become("not cancelled", Life.REFUSED, self._world.now, lag=lag, reason="RMS: circuit limit")
            self._history.truth(self._world.now, order)

    # ------------------------------------------------------------------ cancels

    def cancel(self, ucc: str, request: Request, call: int) -> Answer:
        """Take a cancel that arrives now, and say what is answered."""
        account, now, habits = self.accounts[ucc], self._world.now, self.habits
        number, order = request.number, account.by_number[request.number]
        dice = order.dice
        if account.trouble("cancel", now):
            return wire.transient(number, dice)
        if not account.accepts(request.token, now):
            return wire.session_gone(number, dice)
        for kind in ("mismatch", "whitelist"):
            if account.trouble(kind, now):
                return wire.blocked(number, dice, kind)
        is_too_fast = account.is_too_fast(now) or account.trouble("throttle", now)
        if is_too_fast or dice.chance(habits.too_fast):
            return wire.too_fast(number, dice)
        if dice.chance(habits.http_401):
            return wire.http_401(number)
        if dice.chance(habits.snatched):
            self._befall(order, Fate(0.0, dice.pick(("filled", "other_cancel"))), now)
        return self._judge(order, request, call, habits, dice)

    def _judge(self, order: Order, request: Request, call: int, habits: Habits, dice: Dice) -> Answer:
        number = request.number
        if not order.works:
            if dice.chance(habits.lie_ok):
                return wire.ok(number, dice, other_length=False)
            return wire.unlisted(number, dice) if dice.chance(habits.unlisted) else wire.too_late(number, dice)
        if request.path != PATHS[order.plan.variety] or (order.plan.amo and not (request.amo and request.symbol)):
            return wire.definite(number, dice)
        if order.now.life in (Life.IN_FLIGHT, Life.LEAVING):
            return wire.unlisted(number, dice) if dice.chance(0.1) else wire.too_late(number, dice)
        for often, answer, may_act in (
            (habits.definite, wire.definite, False),
            (habits.refuse_early, wire.too_late, False),
            (habits.unlisted, wire.unlisted, True),
            (habits.transient, wire.transient, True),
        ):
            if dice.chance(often):
                if may_act and dice.chance(0.5):
                    self.act(order, call)
                return answer(number, dice)
        return self._carry_out(order, request, call, habits, dice)

    def _carry_out(self, order: Order, request: Request, call: int, habits: Habits, dice: Dice) -> Answer:
        world, number = self._world, request.number
        is_late, is_refused = dice.chance(habits.late_effect), dice.chance(habits.refuse_later)
        delay = dice.between(0.1, habits.late_most)
        if order.plan.is_refused_ever or is_refused:
            self._leave(order)
            world.call_later(delay, self.refuse, order)
        elif is_late:
            self._leave(order)
            world.call_later(delay, self.act, order, call)
        else:
            self.act(order, call)
            if dice.chance(habits.lie_no):
                return wire.too_late(number, dice)
        return wire.ok(number, dice, other_length=dice.chance(habits.other_length))

    def _leave(self, order: Order) -> None:
        order.cancels_due += 1
        dice = order.dice
        if dice.chance(0.5):  # else the book goes on saying what it said
            order.become("cancel pending", Life.LEAVING, self._world.now, lag=self._lag(dice))
            self._history.truth(self._world.now, order)

    # ------------------------------------------------------------------ reads

    def read(self, ucc: str, token: str, number: str | None, dice: Dice) -> Page:
        """Answer a read that arrives now: of the whole book, or of one order."""
        account, now, habits = self.accounts[ucc], self._world.now, self.habits
        lacks = account.blind or account.without == ("whole" if number is None else "single")
        if lacks or account.trouble("book", now) or dice.chance(habits.read_lost):
            return book.failed(dice)
        if not account.accepts(token, now):
            return Page(wire.session_gone("", dice))
        if number is None:
            return book.serve(account.orders, account.others, habits, dice, now)
        return book.serve_one(account.by_number[number], habits, dice, now)

    def dice_for_read(self, ucc: str, number: str | None) -> Dice:
        """Hand out the dice of a read: an order's own, or new ones for a whole book."""
        account = self.accounts[ucc]
        if number is not None:
            return account.by_number[number].dice
        account.reads += 1
        return Dice(self._plan.seed, 7, int(ucc[2:]), account.reads)
