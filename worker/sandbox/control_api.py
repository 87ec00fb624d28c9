"""The control API: create, order faults, and read what is true."""

import asyncio
import math
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from worker.sandbox.book import Book
from worker.sandbox.faults import AnyFault, FaultBook
from worker.sandbox.form import Generator, InputError, LookupForm, OrderForm, StateForm, parsed
from worker.sandbox.guard import Control, account_of, control_routes
from worker.sandbox.habits import HabitBook, HabitsForm
from worker.sandbox.journal import TARGETS, Journal
from worker.sandbox.login import Login
from worker.sandbox.presets import PRESETS
from worker.sandbox.truth import change, create, truth_of

__all__ = ["ControlApi"]


_ORDER_LIST: TypeAdapter[list[OrderForm]] = TypeAdapter(list[OrderForm])
_FAULT_LIST: TypeAdapter[list[AnyFault]] = TypeAdapter(list[AnyFault])
_HABIT_LIST: TypeAdapter[list[HabitsForm]] = TypeAdapter(list[HabitsForm])


class ControlApi:
    """Everything under /_sandbox/. Input that does not fit is answered with 400 and changes nothing."""

    def __init__(self, book: Book, journal: Journal, faults: FaultBook, habits: HabitBook, login: Login) -> None:
        self._book = book
        self._journal = journal
        self._faults = faults
        self._habits = habits
        self._login = login

    def routes(self) -> list[web.RouteDef]:
        """Return the control routes."""
        table: list[tuple[str, str, Control]] = [
            ("POST", "orders", self._create_orders),
            ("POST", "orders/state", self._set_state),
            ("GET", "truth", self._truth),
            ("POST", "truth/lookup", self._look_up),
            ("GET", "requests", self._requests),
            ("DELETE", "requests", self._clear_requests),
            ("GET", "stats", self._stats),
            ("POST", "faults", self._add_faults),
            ("GET", "faults", self._list_faults),
            ("DELETE", "faults", self._clear_faults),
            ("POST", "habits", self._put_habits),
            ("GET", "habits", self._list_habits),
            ("DELETE", "habits", self._clear_habits),
            ("GET", "presets", self._presets),
            ("POST", "reset", self._reset),
        ]
        return control_routes(table)

    async def _create_orders(self, request: web.Request) -> Any:
        wanted = parsed(_order_forms, await request.read())
        created = create(self._book, wanted)
        await asyncio.sleep(self._book.numbers.lead_seconds)
        return {"orders": [truth_of(order) for order in created]}

    async def _set_state(self, request: web.Request) -> Any:
        return truth_of(change(self._book, parsed(StateForm.model_validate, await request.read())))

    async def _truth(self, request: web.Request) -> Any:
        query = _query(request, {"ucc"})
        orders = account_of(self._book, query["ucc"]).orders if "ucc" in query else self._book.orders
        return {"orders": [truth_of(order) for order in orders.values()]}

    async def _look_up(self, request: web.Request) -> Any:
        numbers = parsed(LookupForm.model_validate, await request.read()).order_numbers
        known = [truth_of(self._book.orders[number]) for number in numbers if number in self._book.orders]
        return {"orders": known, "unknown": [number for number in numbers if number not in self._book.orders]}

    async def _requests(self, request: web.Request) -> Any:
        query = _query(request, {"ucc", "since", "endpoint"})
        endpoint = query.get("endpoint")
        if endpoint is not None and endpoint not in TARGETS:
            raise InputError("endpoint", endpoint, f"must be one of {', '.join(sorted(TARGETS))}")
        calls = self._journal.calls(ucc=query.get("ucc"), since=_since(query.get("since")), endpoint=endpoint)
        return {"requests": [call.as_json() for call in calls]}

    async def _clear_requests(self, _request: web.Request) -> Any:
        self._journal.clear()
        return {}

    async def _stats(self, _request: web.Request) -> Any:
        accounts = self._book.accounts.values()
        return self._journal.stats() | {
            "logins": {account.ucc: account.record.counts["logins"] for account in accounts}
        }

    async def _add_faults(self, request: web.Request) -> Any:
        faults = parsed(_fault_forms, await request.read())
        return {"faults": [self._faults.add(fault).as_json() for fault in faults]}

    async def _list_faults(self, _request: web.Request) -> Any:
        return {"faults": [rule.as_json() for rule in self._faults.rules]}

    async def _clear_faults(self, _request: web.Request) -> Any:
        self._faults.clear()
        return {}

    async def _put_habits(self, request: web.Request) -> Any:
        forms = parsed(_habit_forms, await request.read())
        for place, form in enumerate(forms):
            self._check_scope(form, str(place))
        for form in forms:
            self._habits.put(form)
        return {"habits": [form.model_dump() for form in forms]}

    def _check_scope(self, form: HabitsForm, place: str) -> None:
        if form.ucc is not None and form.ucc not in self._book.accounts:
            raise InputError(f"{place}.ucc", form.ucc, "must be an account of the sandbox")
        if form.order_number is not None and form.order_number not in self._book.orders:
            raise InputError(f"{place}.order_number", form.order_number, "must be an order of the sandbox")
        if form.ucc is not None and form.order_number is not None:
            raise InputError(f"{place}.ucc", form.ucc, "must be left out beside an order number")

    async def _list_habits(self, _request: web.Request) -> Any:
        return {"habits": self._habits.as_json()}

    async def _clear_habits(self, _request: web.Request) -> Any:
        self._habits.clear()
        return {}

    async def _presets(self, _request: web.Request) -> Any:
        return {"presets": list(PRESETS)}

    async def _reset(self, _request: web.Request) -> Any:
        for part in (self._book, self._journal, self._faults, self._habits, self._login, self._book.clock):
            part.clear()
        return {}


def _order_forms(payload: Any) -> list[OrderForm] | Generator:
    if isinstance(payload, dict):
        return Generator.model_validate(payload)
    return _ORDER_LIST.validate_python(payload)


def _fault_forms(payload: Any) -> list[AnyFault]:
    return _FAULT_LIST.validate_python(payload if isinstance(payload, list) else [payload])


def _habit_forms(payload: Any) -> list[HabitsForm]:
    return _HABIT_LIST.validate_python(payload if isinstance(payload, list) else [payload])


def _query(request: web.Request, known: set[str]) -> dict[str, str]:
    for name, value in request.query.items():
        if name not in known:
            raise InputError(name, value, f"unknown; known are: {', '.join(sorted(known))}")
    return dict(request.query)


def _since(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = float(text)
    except ValueError:
        moment = math.nan
    if not math.isfinite(moment):
        raise InputError("since", text, "must be epoch seconds")
    return moment
