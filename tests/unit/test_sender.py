"""One attempt to cancel: the call, its verdict, and what the verdict means for the whole account."""

import time
from dataclasses import replace

import pytest

from neo_cancel.record import Header, Status
from worker.kotak.codes import KOTAK, Action, Codes
from worker.kotak.replies import NoSessionError, NotSent, Reply, TooLateError
from worker.observe.events import AccountBlocked, Attempted, UnlistedCode
from worker.orders.job import Job
from worker.orders.queue import AccountQueues, QueuePolicy
from worker.orders.sender import Sender
from worker.orders.verdict import NO_SESSION, Verdict

UCC, NUMBER, NOW = "AB123", "260722000000001", 1_000.0
OK = Reply(200, ok=True)
SHUT_OUT = Verdict(Action.BLOCKED, code="100008", text="said")
RENEW = Verdict(Action.RENEW, code="100022", text="said")


def no(code):
    return Reply(200, ok=False, code=code, text="said")


class World:
    """Broker, rate limiter and ledger in one: answers what it was given, and notes what was asked of it."""

    codes = KOTAK

    def __init__(self, *answers, renews=True):
        self.answers, self.renews = list(answers), renews
        self.sent, self.slowed, self.notes = [], [], []

    async def cancel(self, job, *, is_fresh):
        self.sent.append((job.attempts, job.first_sent_at))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def renew(self, ucc):
        return self.renews

    async def slow_down(self, ucc, pause_seconds):
        self.slowed.append((ucc, pause_seconds))

    def is_limited(self, ucc):
        return False

    def note(self, job, status, waiting_for=None):
        self.notes.append((status, waiting_for))


class Desk:
    """A sender with real account queues."""

    def __init__(self, *answers, **how):
        self.world, self.events = World(*answers, **how), []
        self.queues = AccountQueues(
            self.world,
            QueuePolicy(),
            clock=time.time,
            is_entitled=lambda: True,
            on_turn=lambda *_: None,
            on_deadline=lambda _: None,
            publish=self.events.append,
        )
        self.sender = Sender(
            self.world, self.world, self.queues, self.world, clock=lambda: NOW, publish=self.events.append
        )

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def job(**document):
    about = {"ucc": UCC, "order_number": NUMBER, "variety": "regular", "lane": "routine", "deadline_seconds": 60.0}
    return Job(Header("sending", 1, "w", 0, False, 0), about | document)


async def test_a_call_counts_and_is_timed_before_it_is_made():
    """What dies during it has sent."""
    desk, one = Desk(OK), job(code="1005", text="said")
    assert Verdict(Action.ACKNOWLEDGED) == await desk.sender.call(one, 0.0)
    assert [(1, NOW)] == desk.world.sent
    assert (NOW, None, None) == (one.document["answered_at"], one.document.get("code"), one.document.get("text"))
    assert [Attempted(one.name, 1, "acknowledged", None, None)] == desk.events


async def test_a_refusal_is_kept_with_code_and_text():
    """In the record."""
    desk, one = Desk(no("1009")), job()
    assert Action.REFUSED is (await desk.sender.call(one, 0.0)).action
    assert ("1009", "said") == (one.document["code"], one.document["text"])


async def test_a_reply_about_another_order_is_looked_into():
    """The sender tells the judge which order it asked for."""
    desk = Desk(replace(OK, order_number="260722000000099"))
    assert Action.LOOK is (await desk.sender.call(job(), 0.0)).action


async def test_what_never_left_was_not_sent():
    """It counts as an attempt, and has no time."""
    desk, one = Desk(NotSent("refused"), OK), job()
    assert (False, None, 1) == ((await desk.sender.call(one, 0.0)).has_left, one.first_sent_at, one.attempts)
    one.first_sent_at = NOW - 9
    await desk.sender.call(one, 0.0)
    assert NOW - 9 == one.first_sent_at


async def test_without_a_session_nothing_was_tried():
    """Neither an attempt nor a time; the record says why."""
    desk, one = Desk(NoSessionError(UCC)), job()
    assert await desk.sender.call(one, 0.0) is NO_SESSION
    assert (0, None, NO_SESSION.text, []) == (one.attempts, one.first_sent_at, one.document["text"], desk.events)


async def test_a_turn_that_is_over_is_no_attempt():
    """A connection was not there in time: nothing was sent, and the order needs another turn."""
    desk, one = Desk(TooLateError()), job(code="429", text="too fast")
    with pytest.raises(TooLateError):
        await desk.sender.call(one, 0.0)
    assert (0, None, "too fast", []) == (one.attempts, one.first_sent_at, one.document["text"], desk.events)


@pytest.mark.parametrize(("code", "expected"), [("E7", Action.REFUSED), ("1007", Action.UNCLEAR)])
async def test_the_codes_are_those_of_the_broker_that_answered(code, expected):
    desk = Desk(Reply(200, ok=False, code=code))
    desk.world.codes = Codes({"E7": Action.REFUSED})
    assert expected is (await desk.sender.call(job(), 0.0)).action


async def test_no_session_blocks_no_account():
    """It may come at any time."""
    desk = Desk()
    assert await desk.sender.heed(job(), NO_SESSION) is NO_SESSION
    assert desk.queues.blocked(UCC) is None


async def test_an_account_is_blocked_once_and_answers_without_a_call():
    """The event says what to do; the next order's record says the same as the first one's."""
    desk, other = Desk(), job()
    for _ in range(2):
        assert SHUT_OUT == await desk.sender.heed(job(), SHUT_OUT)
    assert replace(SHUT_OUT, has_left=False) == await desk.sender.call(other, 0.0)
    assert ([], "100008", "said", 0) == (
        desk.world.sent,
        other.document["code"],
        other.document["text"],
        other.attempts,
    )
    assert [(UCC, "100008")] == [(event.ucc, event.code) for event in desk.of(AccountBlocked)]


@pytest.mark.parametrize("code", ["100008", "1037"])
async def test_a_blocked_account_is_told_what_to_do(code):
    """Another address on the whitelist, or another machine."""
    desk = Desk()
    await desk.sender.heed(job(), replace(SHUT_OUT, code=code))
    (event,) = desk.of(AccountBlocked)
    assert (code == "1037") is ("log in from this machine" in event.to_do)


async def test_too_fast_slows_the_account_and_holds_it_back():
    """All of its orders, as long as the broker asks."""
    desk = Desk()
    await desk.sender.heed(job(), Verdict(Action.RETRY, slow_down=True, retry_after_seconds=60.0))
    assert ([(UCC, 60.0)], False) == (desk.world.slowed, desk.queues.is_free(job()))


async def test_a_renewed_session_is_worth_one_try_at_once():
    """Meanwhile the record says that the order waits for a session."""
    desk = Desk()
    left = await desk.sender.heed(job(), RENEW)
    assert Verdict(Action.RETRY, "100022", "said", retry_after_seconds=0.0) == left
    assert [(Status.WAITING, "session")] == desk.world.notes


async def test_without_another_session_the_order_goes_on_waiting():
    """The same verdict: it is tried again after a pause."""
    assert RENEW == await Desk(renews=False).sender.heed(job(), RENEW)


async def test_an_ip_mismatch_without_another_session_blocks_the_account():
    """1037: this machine is the wrong one."""
    desk = Desk(renews=False)
    left = await desk.sender.heed(job(), replace(RENEW, code="1037"))
    assert (Verdict(Action.BLOCKED, "1037", "said"), left) == (left, desk.queues.blocked(UCC))


async def test_an_unlisted_code_is_told_once():
    """Once in a process."""
    desk = Desk(no("7777"), no("7777"), no("8888"))
    for _ in range(3):
        await desk.sender.call(job(), 0.0)
    assert [UnlistedCode(code, "said", "regular") for code in ("7777", "8888")] == desk.of(UnlistedCode)
