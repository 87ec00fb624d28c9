"""The broker as the rest of the worker sees it: an account's calls, its session kept inside."""

from worker.kotak.client import KotakClient, MaybeSentError, NotSentError, TransportError
from worker.kotak.order_book import BookPage
from worker.kotak.replies import Reply
from worker.kotak.session import NoSessionError, Session, Sessions
from worker.orders.job import Job
from worker.orders.verdict import Action, Failure, judge

__all__ = ["Gateway"]


class Gateway:
    """Cancels and reads for all accounts of one process."""

    def __init__(self, client: KotakClient, sessions: Sessions) -> None:
        self._client, self._sessions = client, sessions
        self._used: dict[str, Session] = {}

    async def cancel(self, job: Job) -> Reply | Failure:
        """Send the job's cancel once, by the endpoint of its variety. Raises NoSessionError where the account has none."""
        session = await self._sessions.current(job.ucc)
        try:
            reply = await self._client.cancel(
                session,
                order_number=job.order_number,
                variety=job.variety,
                amo=job.amo,
                trading_symbol=job.trading_symbol,
            )
        except NotSentError:
            return Failure.NOT_SENT
        except MaybeSentError:
            return Failure.MAYBE_SENT
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
        page = None
        try:
            for _ in range(2):
                session = await self._sessions.current(ucc)
                if order_number is None:
                    page = await self._client.read_book(session)
                else:
                    page = await self._client.read_order(session, order_number)
                self._used[ucc] = session
                gone = page.rows is None and judge(page.reply, variety="regular").action is Action.RENEW
                if not gone or not await self.renew(ucc):
                    return page
        except (TransportError, NoSessionError):
            return None
        return page
