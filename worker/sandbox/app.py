"""The sandbox as one aiohttp application."""

from aiohttp import web

from worker.sandbox.account_form import LoginRules
from worker.sandbox.book import Book
from worker.sandbox.broker import Broker
from worker.sandbox.clock import Clock, ClockForm
from worker.sandbox.control_api import ControlApi
from worker.sandbox.delivery import Delivery
from worker.sandbox.faults import FaultBook
from worker.sandbox.habits import HabitBook, Habits
from worker.sandbox.journal import Journal
from worker.sandbox.login import BASE_PATH, Login
from worker.sandbox.session_api import SessionApi
from worker.sandbox.unknown import answer_in_json

__all__ = ["create_app"]


_MAX_BODY_BYTES = 256 * 1024 * 1024


def create_app(
    *,
    seed: int | None = None,
    orders_per_second: float | None = None,
    habits: Habits | None = None,
    login_rules: LoginRules | None = None,
    clock: ClockForm | None = None,
) -> web.Application:
    """Build an empty sandbox.

    `seed` fixes order numbers and the dice of faults and habits, with None no run repeats a number of another one;
    `orders_per_second` limits accounts that name no limit of their own, None means no limit; `habits` are those of all
    accounts from the start, None means none; `login_rules` hold for accounts that name none of their own; `clock` is how
    wrong the broker's clock is, None means that it is right.
    """
    book = Book(seed=seed, orders_per_second=orders_per_second, login_rules=login_rules, clock=Clock(clock))
    journal = Journal()
    faults = FaultBook(seed=seed or 0)
    delivery = Delivery(book, faults)
    habit_book = HabitBook(seed=seed or 0, of_all=habits)
    broker = Broker(book, journal, delivery, habit_book)
    login = Login(book, journal, delivery)
    app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[answer_in_json])
    app.on_response_prepare.append(book.clock.stamp)
    app.add_routes(broker.routes("") + broker.routes(BASE_PATH))
    app.add_routes(login.routes())
    app.add_routes(SessionApi(book, login, book.clock).routes())
    app.add_routes(ControlApi(book, journal, faults, habit_book, login).routes())
    return app
