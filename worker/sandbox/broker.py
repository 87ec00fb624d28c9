"""The broker's trading routes: cancels and reads of orders."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from worker.sandbox.book import Account, Book, Session
from worker.sandbox.cancelling import cancel
from worker.sandbox.delivery import Delivery, answer
from worker.sandbox.exchange import Effect, Exchange
from worker.sandbox.habits import HabitBook
from worker.sandbox.journal import CANCELS, Call, Journal
from worker.sandbox.order import Order, Variety
from worker.sandbox.origin import ip_of
from worker.sandbox.page import book_page, history_page, order_page
from worker.sandbox.reply import Reply, foreign_session, no_session, not_whitelisted, too_many
from worker.sandbox.wire import CancelCall, header_problem, query_problem, read_cancel, read_form, read_history

__all__ = ["Broker"]


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Broker:
    """Answers the trading calls. Every check stands before the first fault: faults hit well-formed calls only."""

    def __init__(self, book: Book, journal: Journal, delivery: Delivery, habits: HabitBook) -> None:
        self._book = book
        self._journal = journal
        self._delivery = delivery
        self._habits = habits
        self._exchange = Exchange(habits)

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Return the trading routes under a path."""
        return [
            web.post(f"{prefix}/quick/order/cancel", self._canceller("regular")),
            web.post(f"{prefix}/quick/order/bo/exit", self._canceller("bracket")),
            web.post(f"{prefix}/quick/order/co/exit", self._canceller("cover")),
            web.post(f"{prefix}/quick/order/history", self._history),
            web.get(f"{prefix}/quick/user/orders", self._orders),
            web.get(f"{prefix}/quick/user/orders/{{order_number}}", self._order),
        ]

    def _canceller(self, variety: Variety) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            call = self._journal.arrive(variety)
            admitted = self._admit(request, call)
            fields = read_form(await request.read())
            wanted = fields if isinstance(fields, Reply) else read_cancel(fields)
            if isinstance(wanted, CancelCall):
                call.order_number = wanted.order_number
            order = self._named(call)
            if isinstance(admitted, Reply):
                return answer(call, admitted)
            if isinstance(wanted, Reply):
                return answer(call, wanted)

            def act(effect: Effect) -> Reply:
                own_delay = admitted.rules.cancel_pending_seconds
                seconds = own_delay if effect.seconds is None else effect.seconds
                return cancel(order, wanted, variety, Effect(effect.kind, seconds, effect.reason), self._exchange)

            return await self._delivery.perform(request, call, act)

        return handle

    async def _orders(self, request: web.Request) -> web.StreamResponse:
        call = self._journal.arrive("orders")
        admitted = self._admit(request, call)
        if isinstance(admitted, Reply):
            return answer(call, admitted)
        orders = admitted.orders
        return await self._delivery.perform(request, call, lambda _: book_page(orders.values(), self._habits))

    async def _order(self, request: web.Request) -> web.StreamResponse:
        call = self._journal.arrive("order")
        call.order_number = number = request.match_info["order_number"]
        admitted = self._admit(request, call)
        if isinstance(admitted, Reply):
            return answer(call, admitted)

        def act(_: Effect) -> Reply:
            return order_page(admitted.orders.get(number), self._habits)

        return await self._delivery.perform(request, call, act)

    async def _history(self, request: web.Request) -> web.StreamResponse:
        call = self._journal.arrive("history")
        admitted = self._admit(request, call)
        fields = read_form(await request.read())
        number = fields if isinstance(fields, Reply) else read_history(fields)
        if isinstance(number, str):
            call.order_number = number
        if isinstance(admitted, Reply):
            return answer(call, admitted)
        if isinstance(number, Reply):
            return answer(call, number)

        def act(_: Effect) -> Reply:
            return history_page(admitted.orders.get(number), wrapped=admitted.rules.history_wrapped)

        return await self._delivery.perform(request, call, act)

    def _admit(self, request: web.Request, call: Call) -> Account | Reply:
        """Return the account whose call this is, or the refusal that session, headers, address or rate ask for."""
        headers = request.headers
        session = self._book.sessions.get(headers.get("Auth", ""))
        account = None if session is None else self._book.accounts[session.ucc]
        call.ucc = None if account is None else account.ucc
        crowded = account is not None and self._crowded(account, call)
        problem = header_problem(headers, form=request.method == "POST")
        if problem is not None:
            return problem
        if account is None or session is None or not session.alive or headers.get("Sid") != session.sid:
            return no_session()
        problem = _address_problem(account, session, ip_of(request), is_cancel=call.endpoint in CANCELS)
        if problem is not None:
            return problem
        if crowded:
            return too_many()
        return account if not request.query_string else query_problem(request.query) or account

    def _crowded(self, account: Account, call: Call) -> bool:
        if call.endpoint in CANCELS:
            return account.cancels.exceeds(self._book.order_limit(account), call.monotonic)
        return account.reads.exceeds(account.rules.reads_per_second, call.monotonic)

    def _named(self, call: Call) -> Order | None:
        order = self._book.orders.get(call.order_number or "")
        if order is None or order.ucc != call.ucc:
            return None
        order.cancel_requests += 1
        return order


def _address_problem(account: Account, session: Session, ip: str, *, is_cancel: bool) -> Reply | None:
    rules, counts = account.rules.login, account.record.counts
    if is_cancel and rules.ip_whitelist is not None and ip not in rules.ip_whitelist:
        counts["not_whitelisted"] += 1
        return not_whitelisted(rules.ip_refusal_status)
    is_bound = rules.ip_binding == "all" or (rules.ip_binding == "orders" and is_cancel)
    if is_bound and session.ip not in {None, ip}:
        counts["foreign_ip"] += 1
        return foreign_session()
    return None
