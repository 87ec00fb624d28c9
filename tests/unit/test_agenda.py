"""When to look at what next: the earliest first, and a nearer time moves a name forward."""

import asyncio

from worker.dispatch.agenda import Agenda


def test_what_is_due_is_taken_once_the_earliest_first():
    agenda = Agenda()
    for name, at in [("late", 9.0), ("second", 2.0), ("first", 1.0)]:
        agenda.put(name, at)
    assert ["first", "second"] == agenda.take(5.0, 10)
    assert ([], ["late"]) == (agenda.take(5.0, 10), list(agenda))


def test_a_nearer_time_counts_and_a_later_one_does_not():
    agenda = Agenda()
    agenda.put("a", 9.0)
    agenda.put("a", 1.0)
    agenda.put("a", 5.0)
    assert (["a"], 0) == (agenda.take(1.0, 10), len(agenda))
    assert [] == agenda.take(9.0, 10)


def test_no_more_is_taken_than_is_asked_for():
    agenda = Agenda()
    for name in "abc":
        agenda.put(name, 0.0)
    assert (["a", "b"], ["c"]) == (agenda.take(0.0, 2), agenda.take(0.0, 2))


async def test_a_wait_is_cut_short_by_what_is_due_earlier():
    agenda = Agenda()
    agenda.put("late", asyncio.get_running_loop().time() + 3600)
    waiting = asyncio.ensure_future(agenda.wait())
    await asyncio.sleep(0)
    agenda.put("now", 0.0)
    await asyncio.wait_for(waiting, 20)
