"""An account's calls with its session inside: what a missing reply means, and whose session is replaced."""

import socket
from dataclasses import dataclass

import httpx
import pytest

from worker.kotak.client import KotakClient, Timeouts
from worker.kotak.gateway import Gateway
from worker.kotak.replies import NoReply, NoSessionError, NotSent
from worker.kotak.session import Session

NUMBER = "260722000000001"
OLD, NEW = Session("https://old.test", "old", "old"), Session("https://new.test", "new", "new")
OK = (200, {"nOrdNo": NUMBER, "stat": "Ok", "stCode": 200})
GONE = (200, {"stat": "Not_Ok", "stCode": 100022, "emsg": "invalid session"})
BOOK = (200, {"stat": "Ok", "data": [{"nOrdNo": NUMBER, "ordSt": "open"}]})


@dataclass(frozen=True)
class Job:
    """The five facts of a cancel."""

    ucc: str = "AB123"
    order_number: str = NUMBER
    variety: str = "bracket"
    amo: bool = True
    trading_symbol: str | None = "TCS-EQ"


class Broker(httpx.AsyncBaseTransport):
    """Gives each answer once and the last one for good; an exception is raised."""

    def __init__(self, *answers) -> None:
        self.requests = []
        self._answers = list(answers)

    async def handle_async_request(self, request):
        await request.aread()
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer[0], json=answer[1])


class Sessions:
    """One session, and perhaps another."""

    def __init__(self, current: "Session | None" = OLD, other: "Session | None" = NEW) -> None:
        self._current, self._other = current, other
        self.refused = []

    async def current(self, ucc):
        if self._current is None:
            raise NoSessionError(ucc)
        return self._current

    async def renew(self, ucc, stale):
        self.refused.append((ucc, stale))
        if self._other is not None:
            self._current = self._other
        return self._other


def gateway(*answers, sessions=None):
    broker = Broker(*answers)
    sessions = sessions or Sessions()
    return Gateway(KotakClient(broker, Timeouts()), sessions, [].append), broker, sessions


async def test_a_cancel_goes_out_as_the_job_says():
    """The endpoint of its variety, with the session's tokens."""
    gate, broker, _ = gateway(OK)
    reply = await gate.cancel(Job(), is_fresh=lambda: True)
    (request,) = broker.requests
    assert (True, "/quick/order/bo/exit", "old") == (reply.ok, request.url.path, request.headers["Auth"])
    assert b"TCS-EQ" in request.content


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), NotSent("no connection to old.test: ConnectError")),
        (httpx.ConnectTimeout("slow"), NotSent("no connection to old.test in time")),
        (httpx.ReadTimeout("silent"), NoReply()),
        (httpx.ReadError("cut"), NoReply()),
    ],
)
async def test_a_missing_reply_is_a_value(error, expected):
    """Whether the broker may have acted is all that counts."""
    gate, _, _ = gateway(error)
    assert expected == await gate.cancel(Job(), is_fresh=lambda: True)


async def test_a_job_without_a_session_is_not_sent():
    """The caller learns it as an exception: the order waits."""
    gate, broker, _ = gateway(OK, sessions=Sessions(None))
    with pytest.raises(NoSessionError):
        await gate.cancel(Job(), is_fresh=lambda: True)
    assert [] == broker.requests


async def test_the_session_of_the_last_answer_is_the_one_that_is_replaced():
    """Not a newer one, which other orders may use already."""
    gate, _, sessions = gateway(GONE)
    await gate.cancel(Job(), is_fresh=lambda: True)
    assert await gate.renew("AB123") is True
    assert [("AB123", OLD)] == sessions.refused


@pytest.mark.parametrize("answer", [None, httpx.ReadTimeout("silent")], ids=["never asked", "never answered"])
async def test_a_session_that_never_answered_is_not_replaced(answer):
    """There is no sign that it is bad."""
    gate, _, sessions = gateway(answer)
    if answer is not None:
        await gate.cancel(Job(), is_fresh=lambda: True)
    assert (False, []) == (await gate.renew("AB123"), sessions.refused)


async def test_renewing_fails_while_there_is_no_other_session():
    """A login job has yet to write one."""
    gate, _, _ = gateway(GONE, sessions=Sessions(other=None))
    await gate.cancel(Job(), is_fresh=lambda: True)
    assert await gate.renew("AB123") is False


READS = [
    pytest.param(lambda gate: gate.read_book("AB123"), "/quick/user/orders", id="book"),
    pytest.param(lambda gate: gate.read_order("AB123", NUMBER), f"/quick/user/orders/{NUMBER}", id="order"),
]


@pytest.mark.parametrize(("read", "path"), READS)
async def test_a_read_shows_rows(read, path):
    """One call."""
    gate, broker, _ = gateway(BOOK)
    page = await read(gate)
    assert ([path], {NUMBER}) == ([request.url.path for request in broker.requests], set(page.rows))


@pytest.mark.parametrize(("read", "path"), READS)
async def test_after_a_read_with_a_dead_session_the_next_one_has_another(read, path):
    """One call each: what an account may read is counted outside."""
    gate, broker, sessions = gateway(GONE, BOOK)
    assert (None, [("AB123", OLD)]) == ((await read(gate)).rows, sessions.refused)
    assert {NUMBER} == set((await read(gate)).rows)
    assert ["old", "new"] == [request.headers["Auth"] for request in broker.requests]


@pytest.mark.parametrize("other", [None, NEW], ids=["no other session", "another one"])
async def test_a_read_that_is_refused_shows_no_rows(other):
    """One call, whether there is another session or not."""
    gate, broker, _ = gateway(GONE, sessions=Sessions(other=other))
    page = await gate.read_book("AB123")
    assert (None, "100022", 1) == (page.rows, page.reply.code, len(broker.requests))


@pytest.mark.parametrize(
    ("answer", "session"), [(httpx.ConnectError("refused"), OLD), (httpx.ReadError("cut"), OLD), (BOOK, None)]
)
async def test_a_read_without_an_answer_is_none(answer, session):
    """No reply, or no session to ask with."""
    gate, _, _ = gateway(answer, sessions=Sessions(session))
    assert await gate.read_book("AB123") is None


async def test_what_a_person_must_mend_is_published_once_for_all_accounts():
    error = httpx.ConnectError("gaierror")
    error.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    events = []
    gate = Gateway(KotakClient(Broker(error), Timeouts()), Sessions(), events.append)
    for ucc in ("AB123", "CD456", "AB123"):
        answer = await gate.cancel(Job(ucc), is_fresh=lambda: True)
    text = "the name old.test was not found: Name or service not known"
    assert NotSent(text, is_for_a_person=True) == answer
    assert [("AB123", text)] == [(event.ucc, event.text) for event in events]


async def test_what_may_pass_by_itself_is_published_by_the_attempt_alone():
    events = []
    gate = Gateway(KotakClient(Broker(httpx.ConnectTimeout("slow")), Timeouts()), Sessions(), events.append)
    await gate.cancel(Job(), is_fresh=lambda: True)
    assert [] == events
