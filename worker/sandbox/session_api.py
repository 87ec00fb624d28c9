"""The control API's part for accounts, their logins and sessions, and the broker's clock."""

from typing import Any

from aiohttp import web

from worker.sandbox.account_form import AccountForm, LoginRules
from worker.sandbox.book import Book, Rules, Session
from worker.sandbox.clock import Clock, ClockForm
from worker.sandbox.form import ExpireForm, InputError, UnlockForm, parsed
from worker.sandbox.guard import account_of, control_routes
from worker.sandbox.login import Login, base_url_of

__all__ = ["SessionApi"]


class SessionApi:
    """Accounts to create, sessions to end, logins to count."""

    def __init__(self, book: Book, login: Login, clock: Clock) -> None:
        self._book = book
        self._login = login
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the control routes."""
        return control_routes(
            [
                ("POST", "accounts", self._create_account),
                ("POST", "accounts/unlock", self._unlock),
                ("GET", "logins", self._logins),
                ("POST", "sessions/expire", self._expire),
                ("GET", "sessions/{ucc}", self._session),
                ("POST", "clock", self._set_clock),
                ("GET", "clock", self._show_clock),
            ]
        )

    async def _create_account(self, request: web.Request) -> Any:
        form = parsed(AccountForm.model_validate, await request.read())
        own = form.model_dump(exclude={"ucc", *LoginRules.model_fields})
        session = self._book.open_account(form.ucc, Rules(**own, login=form.login_rules(self._book.login_rules)))
        return _session_json(request, session)

    async def _unlock(self, request: web.Request) -> Any:
        ucc = parsed(UnlockForm.model_validate, await request.read()).ucc
        account_of(self._book, ucc).record.wrong_mpins = 0
        return {"ucc": ucc}

    async def _logins(self, _request: web.Request) -> Any:
        accounts = self._book.accounts.values()
        shown = {account.ucc: account.record.as_json() | account.standing() for account in accounts}
        return {"accounts": shown, "most_at_once": self._login.under_way.most}

    async def _expire(self, request: web.Request) -> Any:
        form = parsed(ExpireForm.model_validate, await request.read())
        if form.ucc is None:
            if form.issue:
                raise InputError("issue", form.issue, "must come with the account that gets a new session")
            return {"ucc": None, "ended": sum(self._book.expire(ucc) for ucc in self._book.accounts)}
        account_of(self._book, form.ucc)
        ended = self._book.expire(form.ucc)
        if form.issue:
            return _session_json(request, self._book.issue(form.ucc))
        return {"ucc": form.ucc, "ended": ended}

    async def _session(self, request: web.Request) -> Any:
        ucc = request.match_info["ucc"]
        session = account_of(self._book, ucc).session
        if session is None:
            raise InputError("ucc", ucc, "must have a session; all of its sessions have expired")
        return _session_json(request, session)

    async def _set_clock(self, request: web.Request) -> Any:
        self._clock.form = parsed(ClockForm.model_validate, await request.read())
        return self._clock.form.model_dump()

    async def _show_clock(self, _request: web.Request) -> Any:
        return self._clock.form.model_dump()


def _session_json(request: web.Request, session: Session) -> dict[str, str]:
    return {"ucc": session.ucc, "base_url": base_url_of(request), "sid": session.sid, "auth": session.auth}
