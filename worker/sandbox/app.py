"""The sandbox as one aiohttp application."""

from aiohttp import web

from worker.sandbox.book import Book
from worker.sandbox.broker import Broker
from worker.sandbox.control_api import ControlApi
from worker.sandbox.delivery import Delivery
from worker.sandbox.faults import FaultBook
from worker.sandbox.habits import HabitBook, Habits
from worker.sandbox.journal import Journal
from worker.sandbox.login import BASE_PATH, Login
from worker.sandbox.unknown import answer_in_json

__all__ = ["create_app"]


_MAX_BODY_BYTES = 256 * 1024 * 1024


def create_app(
    *, seed: int | None = None, orders_per_second: float | None = None, habits: Habits | None = None
) -> web.Application:
    """Build an empty sandbox.

    `seed` fixes order numbers and the dice of faults and habits, with None no run repeats a number of another one;
    `orders_per_second` limits accounts that name no limit of their own, None means no limit; `habits` are those of all
    accounts from the start, None means none.
    """
    book = Book(seed=seed, orders_per_second=orders_per_second)
    journal = Journal()
    faults = FaultBook(seed=seed or 0)
    delivery = Delivery(book, faults)
    habit_book = HabitBook(seed=seed or 0, of_all=habits)
    broker = Broker(book, journal, delivery, habit_book)
    login = Login(book, journal, delivery)
    app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[answer_in_json])
    app.add_routes(broker.routes("") + broker.routes(BASE_PATH))
    app.add_routes(login.routes())
    app.add_routes(ControlApi(book, journal, faults, habit_book, login).routes())
    return app
