"""The broker as the rest of the worker sees it: an account's calls, with its session kept inside."""

from collections.abc import Callable
from typing import Protocol

from worker.kotak.client import KotakClient, MaybeSentError, NotSentError, TransportError
from worker.kotak.codes import KOTAK
from worker.kotak.order_book import BookPage
from worker.kotak.replies import NoReply, NoSessionError, NotSent, Reply
from worker.kotak.session import Session, Sessions
from worker.observe.events import BrokerUnreachable, Publish

__all__ = ["CancelJob", "Gateway"]


class CancelJob(Protocol):
    """What a cancel call needs to know of an order."""

    @property
    def ucc(self) -> str:
        """The client account."""
        ...

    @property
    def order_number(self) -> str:
        """The broker's number of the order."""
        ...

    @property
    def variety(self) -> str:
        """`regular`, `bracket` or `cover`: which endpoint."""
        ...

    @property
    def amo(self) -> bool:
        """An after-market order."""
        ...

    @property
    def trading_symbol(self) -> str | None:
        """The instrument; None where it was never named."""
        ...


class Gateway:
    """Cancels and reads for all accounts of one process. A cause that a person must mend is published once."""

    codes = KOTAK

    def __init__(self, client: KotakClient, sessions: Sessions, publish: Publish) -> None:
        self._client, self._sessions, self._publish = client, sessions, publish
        self._used: dict[str, Session] = {}
        self._told: set[str] = set()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def cancel(self, job: CancelJob, *, is_fresh: Callable[[], bool]) -> Reply | NoReply | NotSent:
        """Send the job's cancel once, by the endpoint of its variety.

        Raises NoSessionError where the account has none, and TooLateError where `is_fresh` says no once a connection is there.
        """
        session = await self._sessions.current(job.ucc)
        try:
            reply = await self._client.cancel(
                session,
                order_number=job.order_number,
                variety=job.variety,
                amo=job.amo,
                trading_symbol=job.trading_symbol,
                is_fresh=is_fresh,
            )
        except NotSentError as error:
            self._tell(job.ucc, error)
            return NotSent(str(error), is_for_a_person=error.to_do is not None)
        except MaybeSentError:
            return NoReply()
        # Noted with the answer, not with the call: others may have sent with a newer session meanwhile.
        self._used[job.ucc] = session
        return reply

    async def renew(self, ucc: str) -> bool:
        """Replace the session of the account's last answer, which refused it; False while there is no other."""
        stale = self._used.get(ucc)
        if stale is None:
            return False
        return await self._sessions.renew(ucc, stale) is not None

    async def read_book(self, ucc: str) -> BookPage | None:
        """Read all orders of the account; None where no answer came."""
        return await self._read(ucc, None)

    async def read_order(self, ucc: str, order_number: str) -> BookPage | None:
        """Read one order; None where no answer came."""
        return await self._read(ucc, order_number)

    async def _read(self, ucc: str, order_number: str | None) -> BookPage | None:
        try:
            session = await self._sessions.current(ucc)
            if order_number is None:
                page = await self._client.read_book(session)
            else:
                page = await self._client.read_order(session, order_number)
        except (TransportError, NoSessionError):
            return None
        self._used[ucc] = session
        if page.rows is None and self.codes.is_session_gone(page.reply):
            await self.renew(ucc)  # for the next read: this one has used what the account may read now
        return page

    def _tell(self, ucc: str, error: NotSentError) -> None:
        """Publish what a person must mend, once for each cause: every order of every account there meets it."""
        text = str(error)
        if error.to_do is not None and text not in self._told:
            self._told.add(text)
            self._publish(BrokerUnreachable(ucc, text, error.to_do))
