"""Each check, and a toy worker that it catches; honest toys pass."""

import asyncio

import pytest

from tests.simulation.episode import Product, run
from tests.simulation.habits import TEMPERS, Habits
from tests.simulation.patient import READS, PatientWorker
from tests.simulation.plan import Fate, Trouble, make_plan
from tests.simulation.report import timeline
from tests.simulation.toy import judged, order, plan_of

FILLED = (Fate(-5.0, "filled"),)
SILENT = Habits(lost_after=1.0)
BLIND = Habits(no_book=1.0)


async def guesses(toy, claim):
    toy.end(claim, "filled")


async def gives_up(toy, claim):
    toy.end(claim, "unknown")


async def says_gone(toy, claim):
    await toy.read(claim)
    toy.end(claim, "gone", verified=True, filled=10)


async def sends_after_reading(toy, claim):
    await toy.read(claim)
    await toy.turn(claim)
    await toy.send(claim)
    toy.end(claim, "filled", verified=True, filled=10)


async def overlooks_the_end(toy, claim):
    await toy.read(claim)
    toy.end(claim, "refused", code="1006")


async def never_ends(toy, claim):
    await toy.send(claim)


async def ends_twice(toy, claim):
    await toy.read(claim)
    toy.end(claim, "filled", verified=True, filled=10)
    toy.end(claim, "filled", verified=True, filled=10)


async def sends_on_and_on(toy, claim):
    for _ in range(13):
        await asyncio.sleep(0.2)
        await toy.send(claim)
    toy.end(claim, "cancelled")


async def sends_unasked(toy, claim):
    await toy.send(claim)


async def reads_too_often(toy, claim):
    await asyncio.gather(*(toy.read(claim) for _ in range(6)))
    toy.end(claim, "filled", verified=True, filled=10)


async def takes_ok_for_proof(toy, claim):
    await toy.turn(claim)
    await toy.send(claim)
    toy.end(claim, "cancelled", verified=True, filled=0)


async def takes_ok_at_its_word(toy, claim):
    await toy.turn(claim)
    await toy.send(claim)
    toy.end(claim, "cancelled")


async def looks_late(toy, claim):
    await toy.turn(claim)
    await toy.send(claim)
    await asyncio.sleep(6.0)
    await toy.read(claim)
    toy.end(claim, "cancelled", verified=True, filled=0)


async def names_no_cause(toy, claim):
    await toy.turn(claim)
    await toy.send(claim)
    toy.end(claim, "blocked")


async def miscounts(toy, claim):
    await toy.read(claim)
    toy.end(claim, "filled", verified=True, filled=9)


async def doubts_for_ever(toy, claim):
    await asyncio.sleep(20.0)
    toy.end(claim, "unknown")


async def doubts_an_ok(toy, claim):
    await toy.turn(claim)
    await toy.send(claim)
    await asyncio.sleep(20.0)
    toy.end(claim, "unknown")


async def exits_twice(toy, claim):
    for _ in range(2):
        await toy.turn(claim)
        await toy.send(claim, "bracket")
    toy.end(claim, "cancelled")


async def sends_after_its_end(toy, claim):
    await toy.read(claim)
    toy.end(claim, "filled", verified=True, filled=10)
    await toy.send(claim)


async def breaks_down(toy, claim):
    raise ValueError(claim.order.number)


async def misses_once(toy, claim):
    await toy.read(claim)
    toy.end(claim, "not_found", verified=True)


async def takes_a_no_at_its_word(toy, claim):
    await toy.turn(claim)
    await toy.send(claim)
    toy.end(claim, "refused", code="1006")


async def takes_the_credit(toy, claim):
    await toy.read(claim)
    toy.end(claim, "cancelled", verified=True, filled=0)


WRONG = [
    ("false_status", guesses, plan_of(order())),
    ("early", gives_up, plan_of(order())),
    ("early", misses_once, plan_of(order(exists=False))),
    ("early", takes_a_no_at_its_word, plan_of(order(), habits=Habits(refuse_early=1.0))),
    ("wrong_end", says_gone, plan_of(order(fates=FILLED))),
    ("wrong_end", takes_the_credit, plan_of(order(fates=(Fate(-5.0, "other_cancel"),)))),
    ("needless_send", sends_after_reading, plan_of(order(fates=FILLED))),
    ("alive_though_dead", overlooks_the_end, plan_of(order(fates=FILLED))),
    ("not_ended", never_ends, plan_of(order())),
    ("ended_twice", ends_twice, plan_of(order(fates=FILLED))),
    ("too_many_sends", sends_on_and_on, plan_of(order())),
    ("rate", sends_unasked, plan_of(*(order(index) for index in range(9)))),
    ("read_rate", reads_too_often, plan_of(order(fates=FILLED))),
    ("unproven", takes_ok_for_proof, plan_of(order())),
    ("false_status", takes_ok_at_its_word, plan_of(order(is_refused_ever=True))),
    ("late", looks_late, plan_of(order())),
    ("no_cause", names_no_cause, plan_of(order(), troubles=(Trouble(0, "whitelist", 0.0, 9.0),))),
    ("wrong_quantity", miscounts, plan_of(order(fates=FILLED))),
    ("left", doubts_for_ever, plan_of(order())),
    ("word", doubts_an_ok, plan_of(order(), habits=BLIND)),
    ("unsafe_exit", exits_twice, plan_of(order(variety="bracket"), habits=SILENT)),
    ("unentitled", sends_after_its_end, plan_of(order(fates=FILLED))),
    ("internal_error", breaks_down, plan_of(order())),
]


@pytest.mark.parametrize(("kind", "work", "plan"), WRONG, ids=[f"{kind}-{work.__name__}" for kind, work, _ in WRONG])
def test_a_wrong_worker_is_caught(kind, work, plan):
    """By the check that is named."""
    assert kind in judged(plan, work).kinds


async def looks_until_dead(toy, claim):
    number = claim.order.number
    await toy.turn(claim)
    answer = await toy.send(claim, claim.order.plan.variety)
    while True:
        await asyncio.sleep(0.5)
        page = await toy.read(claim, number)
        for shown, version in page.shown:
            if shown.number == number and version.life.is_dead:
                status = {"complete": "filled", "expired": "gone"}.get(version.said)
                status = status or ("cancelled" if answer.meaning == "ok" else "already_cancelled")
                toy.end(claim, status, verified=True, filled=version.filled)
                return


@pytest.mark.parametrize("variety", ["regular", "bracket", "cover"])
@pytest.mark.parametrize(
    "fates",
    [(), FILLED, (Fate(-5.0, "other_cancel"),), (Fate(-5.0, "gone"),), (Fate(-5.0, "partly"),)],
    ids=["works", "filled", "cancelled", "gone", "partly"],
)
def test_an_honest_worker_passes(fates, variety):
    """Several orders of an account, sent at its rate, looked at until the book shows their end."""
    orders = [order(index, fates=fates, variety=variety) for index in range(3)]
    assert [] == judged(plan_of(*orders, habits=Habits(lag=0.5)), looks_until_dead).violations


async def waits_for_the_window(toy, claim):
    await toy.turn(claim)
    await toy.send(claim)
    await asyncio.sleep(10.1)
    toy.end(claim, "cancelled")


def test_the_brokers_word_may_stand_where_no_book_can_be_read():
    """The order works, but an Ok was heard and nothing spoke against it within the window."""
    report = judged(plan_of(order(is_refused_ever=True), habits=BLIND), waits_for_the_window)
    assert ([], 1) == (report.violations, report.figures["cancelled by the broker's word while it works"])


PATIENT = Product(PatientWorker, lambda _: {}, lambda status, **_: status in ("unknown", "blocked"), READS)


@pytest.mark.parametrize("temper", TEMPERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_judge_asks_for_nothing_that_cannot_be_had(seed, temper):
    """A patient worker keeps every promise against every temper."""
    report = run(make_plan(seed, temper, orders=100), PATIENT)
    assert [] == report.violations, timeline(report)
