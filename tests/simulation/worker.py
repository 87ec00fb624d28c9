"""The one module that knows the worker under test: it builds it around a Process and translates at both borders."""

import random
from collections.abc import Callable
from typing import Any, Final

from neo_cancel.record import Header, Status
from tests.simulation.accounts import Request
from tests.simulation.episode import Product
from tests.simulation.process import Process
from tests.simulation.records import Claim, Ending
from tests.simulation.truth import EPOCH, Order
from tests.simulation.wire import Meaning
from worker.kotak.client import CANCEL_PATHS, MaybeSentError, NotSentError
from worker.kotak.gateway import Gateway
from worker.kotak.order_book import BookPage, read_page
from worker.kotak.replies import NoSessionError, Reply, TooLateError, parse_reply
from worker.kotak.session import Session
from worker.ledger.read_budget import SharedReadBudget
from worker.observe import events
from worker.orders.job import Job
from worker.orders.policy import CancelPolicy
from worker.orders.router import Router, World

__all__ = ["PRODUCT", "OrdersWorker"]

_POLICY: Final = CancelPolicy()
_READS_PER_SECOND: Final = 2.0


def _is_watched(status: str, *, watch_refused: bool) -> bool:
    """Say whether an order that ended so is looked at again; worker.accounts decides it in the product."""
    return status in (Status.UNKNOWN, Status.BLOCKED) or (watch_refused and status == Status.REFUSED)


def _document_of(order: Order) -> dict[str, Any]:
    """Write an accepted order's document, as the producer does."""
    plan = order.plan
    document: dict[str, Any] = {"ucc": order.ucc, "order_number": order.number, "variety": plan.asked}
    document |= {"lane": "risk" if plan.is_risk else "routine", "deadline_seconds": plan.deadline}
    return document | ({"amo": True, "trading_symbol": "TCS-EQ"} if plan.asked_amo else {})


class OrdersWorker:
    """The worker's own order machine, account queues, evidence, verdict and gateway around one simulated process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._claims: dict[Job, Claim] = {}
        self._router = Router(
            World(
                broker=Gateway(_Client(process), _Sessions(process), lambda _: None),  # type: ignore[arg-type]
                rate_limiter=process.rate,
                read_budget=SharedReadBudget(lambda ucc: process.rate.take_read(ucc, _READS_PER_SECOND)),
                ledger=_Ledger(self._ended),
                clock=process.clock,
                draw=random.uniform,
                publish=self._hear,
                is_entitled=process.is_entitled,
            ),
            lambda _: _POLICY,
        )

    def _hear(self, event: events.Event) -> None:
        if isinstance(event, events.InternalError):
            self._process.wrong(str(event.order).rpartition(":")[2], event.error)

    def take(self, claim: Claim) -> None:
        self._router.take(self._job(claim))

    def watch(self, claim: Claim, *, may_send: bool) -> None:
        job = self._job(claim)
        job.is_watched = True
        self._router.take(job, sends=int(may_send))

    def escalate(self, ucc: str, number: str) -> None:
        for job in self._claims:
            if job.order_number == number and not job.is_risk:
                job.lane = job.document["lane"] = "risk"
                self._router.escalate(job)

    def abandon(self) -> None:
        self._router.abandon()
        self._claims.clear()

    async def stop(self, at: float) -> None:
        await self._router.stop(at)

    def release(self, claim: Claim) -> Ending:
        job = next((job for job, held in self._claims.items() if held is claim), None) or _job(claim)
        return _ending(job, claim)

    def _job(self, claim: Claim) -> Job:
        job = _job(claim)
        self._claims[job] = claim
        return job

    def _ended(self, job: Job) -> None:
        claim = self._claims.pop(job, None)
        if claim is None:
            self._process.wrong(job.order_number, "ended twice, or after it was let go")
        else:
            self._process.ended(_ending(job, claim))


def _job(claim: Claim) -> Job:
    enqueued_ms = int((EPOCH + claim.order.accepted_at) * 1000)
    header = Header(claim.status, claim.fence, "w", enqueued_ms, claim.maybe_sent, claim.crashes)
    return Job(header, dict(claim.document))


def _ending(job: Job, claim: Claim) -> Ending:
    job.encode(None)  # writes attempts and the first send's time into the document
    document = job.document
    return Ending(
        claim,
        status=str(job.status),
        verified=bool(document.get("verified")),
        code=document.get("code"),
        text=document.get("text"),
        filled=document.get("filled_quantity"),
        maybe_sent=job.maybe_sent or job.attempts > 0,
        document=document,
    )


class _Client:
    """KotakClient's calls over the simulated network."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def cancel(
        self,
        session: Session,
        *,
        order_number: str,
        variety: str,
        amo: bool,
        trading_symbol: str | None,
        is_fresh: Callable[[], bool],
    ) -> Reply:
        if not is_fresh():
            raise TooLateError
        request = Request(CANCEL_PATHS[variety], order_number, amo, trading_symbol, session.auth)
        answer = await self._process.cancel(session.base_url, request)
        if answer.meaning is Meaning.NOT_SENT:
            raise NotSentError("ConnectError")
        if not answer.status:
            raise MaybeSentError("ReadTimeout")
        return parse_reply(answer.status, dict(answer.headers), answer.body, now=self._process.clock())

    async def read_book(self, session: Session) -> BookPage:
        return await self._read(session, None)

    async def read_order(self, session: Session, order_number: str) -> BookPage:
        return await self._read(session, order_number)

    async def _read(self, session: Session, number: str | None) -> BookPage:
        answer = (await self._process.read(session.base_url, session.auth, number)).answer
        if not answer.status:
            raise MaybeSentError("ReadTimeout")
        return read_page(answer.status, dict(answer.headers), answer.body)


class _Sessions:
    """Sessions as worker.accounts keeps them: known until a renewal, then read anew. The base URL names the account."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._known: dict[str, Session] = {}

    async def current(self, ucc: str) -> Session:
        session = self._known.get(ucc) or self._read(ucc)
        if session is None:
            raise NoSessionError(ucc)
        return session

    async def renew(self, ucc: str, stale: Session) -> Session | None:
        session = self._read(ucc) if self._known.get(ucc) == stale else self._known.get(ucc)
        return None if session == stale else session

    def _read(self, ucc: str) -> Session | None:
        token = self._process.token(ucc)
        if token is not None:
            self._known[ucc] = Session(ucc, "sid", token)
        return self._known.get(ucc)


class _Ledger:
    """What is known of orders under way is not written here: a process that dies takes it along."""

    def __init__(self, ended: Callable[[Job], None]) -> None:
        self._ended = ended

    def note(self, job: Job, status: Status, waiting_for: str | None = None) -> None:
        if not job.is_watched:  # it has ended, and keeps saying how
            job.status = status

    def finish(self, job: Job) -> None:
        self._ended(job)


PRODUCT: Final = Product(OrdersWorker, _document_of, _is_watched, _READS_PER_SECOND)
"""Today's worker, as the simulation runs it."""
