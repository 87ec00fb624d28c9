"""Asking for the turns of all accounts together. The rate limiter is a fake behind its Protocol."""

import asyncio
import time

from worker.observe.events import InternalError
from worker.orders.pacer import Pacer
from worker.orders.ports import TurnRequest, Turns


class Limiter:
    """Grants what it is asked for, at once; an exception in `fails` is raised first."""

    def __init__(self, *fails):
        self.questions, self.fails = [], list(fails)

    async def take(self, requests, *, ahead_seconds):
        self.questions.append([one.ucc for one in requests])
        await asyncio.sleep(0.001)
        if self.fails:
            raise self.fails.pop(0)
        return [Turns((time.time(),) * one.wanted, time.time()) for one in requests]


class Account:
    """Wants one turn, if it is told so."""

    def __init__(self, ucc, *, wants=True):
        self.ucc, self.wants, self.turns = ucc, wants, asyncio.get_running_loop().create_future()

    def request(self):
        return TurnRequest(self.ucc, 1, is_risk=False) if self.wants else None

    def granted(self, request, turns):
        self.turns.set_result(len(turns.at))


def now():
    return asyncio.get_running_loop().time()


async def test_what_is_due_together_is_asked_for_in_one_question():
    limiter = Limiter()
    pacer, accounts = Pacer(limiter, [].append), [Account(f"AB{n}") for n in range(50)]
    for account in accounts:
        pacer.want(account, now(), urgent=False)
    assert [1] * 50 == await asyncio.gather(*(account.turns for account in accounts))
    assert [[account.ucc for account in accounts]] == limiter.questions


async def test_an_urgent_wish_does_not_wait_for_what_is_due_later():
    limiter = Limiter()
    pacer, later, urgent = Pacer(limiter, [].append), Account("LATER"), Account("RISK1")
    pacer.want(later, now() + 60, urgent=False)
    await asyncio.sleep(0.01)
    pacer.want(urgent, now(), urgent=True)
    await asyncio.wait_for(urgent.turns, 5)
    assert [["RISK1"]] == limiter.questions
    pacer.close()


async def test_an_earlier_wish_replaces_a_later_one():
    limiter = Limiter()
    pacer, account = Pacer(limiter, [].append), Account("AB123")
    pacer.want(account, now() + 60, urgent=False)
    pacer.want(account, now(), urgent=False)
    await asyncio.wait_for(account.turns, 5)
    await asyncio.sleep(0.05)
    assert [["AB123"]] == limiter.questions


async def test_an_account_that_wants_nothing_any_more_is_not_asked_for():
    limiter = Limiter()
    pacer, account = Pacer(limiter, [].append), Account("AB123", wants=False)
    pacer.want(account, now(), urgent=True)
    await asyncio.sleep(0.01)
    assert [] == limiter.questions


async def test_a_question_that_fails_is_published_and_asked_again():
    """One account's trouble, or a mistake here, must not stop the others for ever."""
    limiter, events = Limiter(ValueError("odd")), []
    pacer, account = Pacer(limiter, events.append), Account("AB123")
    pacer.want(account, now(), urgent=False)
    assert 1 == await asyncio.wait_for(account.turns, 5)
    assert [InternalError("ValueError('odd')")] == events
    assert 2 == len(limiter.questions)
