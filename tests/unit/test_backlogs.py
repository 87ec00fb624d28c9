"""Backlogs are worked off by one task, many at a time, as capacity comes free, and adopted where no worker works on them."""

from tests.unit.dispatching import BACKLOG, Desk, Ledger, job, settle

RISK_BACKLOG = "nc:backlog:risk:AB123"


async def test_a_backlog_is_worked_off_until_it_is_empty():
    desk = Desk(capacity=1000)
    desk.ledger.backlogs[BACKLOG] = [job(number) for number in range(450)]
    desk.backlogs.work_off(BACKLOG)
    await settle()
    assert 450 == len(desk.orders.taken)
    assert [50] * 9 == [at_most for _, at_most in desk.ledger.draws]


async def test_a_backlog_that_is_being_worked_off_gets_no_second_task():
    desk = Desk()
    desk.ledger.backlogs[BACKLOG] = [job(1)]
    desk.backlogs.work_off(BACKLOG)
    desk.backlogs.work_off(BACKLOG)
    await settle()
    assert 1 == len(desk.ledger.draws)


async def test_a_backlog_that_was_filled_during_the_look_is_looked_at_again():
    """The look had found it empty, and its task was about to end."""

    class FilledMeanwhile(Ledger):
        async def draw(self, at_most):
            answer = await super().draw(at_most)
            if len(self.draws) == 1:
                self.backlogs[BACKLOG] = [job(1)]
                desk.backlogs.work_off(BACKLOG)
            return answer

    desk = Desk(ledger=FilledMeanwhile())
    desk.backlogs.work_off(BACKLOG)
    await settle()
    assert 1 == len(desk.orders.taken)


async def test_a_backlog_can_be_worked_off_again_after_its_end():
    desk = Desk()
    for number in (1, 2):
        desk.ledger.backlogs[BACKLOG] = [job(number)]
        desk.backlogs.work_off(BACKLOG)
        await settle()
    assert 2 == len(desk.orders.taken)


async def test_without_capacity_a_look_says_that_work_goes_on():
    desk = Desk(capacity=0)
    desk.ledger.backlogs[BACKLOG] = [job(1)]
    desk.backlogs.work_off(BACKLOG)
    await settle()
    assert [(BACKLOG, 0)] == desk.ledger.draws
    desk.in_hand.is_draining = True


async def test_orders_of_the_risk_backlog_take_the_capacity_of_the_risk_lane():
    desk = Desk()
    desk.ledger.backlogs[RISK_BACKLOG] = [job(1, lane="risk")]
    desk.backlogs.work_off(RISK_BACKLOG)
    await settle()
    assert (99, 100) == (desk.capacity.free("risk", "AB123"), desk.capacity.free("routine", "AB123"))


async def test_only_backlogs_of_the_served_lanes_are_adopted():
    desk = Desk()
    desk.ledger.orphans = [RISK_BACKLOG, BACKLOG]
    desk.ledger.backlogs = {BACKLOG: [job(1)], RISK_BACKLOG: [job(2, lane="risk")]}
    desk.dispatcher.serve(["routine"], threads=8)
    await desk.backlogs.adopt()
    await settle()
    assert ([RISK_BACKLOG], ["routine"]) == (desk.ledger.orphans, [one.lane for one in desk.orders.taken])


async def test_nothing_is_adopted_before_it_is_known_which_lanes_are_served():
    desk = Desk()
    desk.ledger.orphans = [BACKLOG]
    await desk.backlogs.adopt()
    assert [BACKLOG] == desk.ledger.orphans


async def test_nothing_is_adopted_while_draining():
    desk = Desk()
    desk.ledger.orphans = [BACKLOG]
    desk.dispatcher.serve(["routine"], threads=8)
    await desk.dispatcher.drain(at=0.0)
    await desk.backlogs.adopt()
    assert [BACKLOG] == desk.ledger.orphans


async def test_a_hundred_backlogs_are_adopted_at_a_time():
    desk = Desk()
    desk.ledger.orphans = [f"nc:backlog:routine:AB{number:03d}" for number in range(101)]
    desk.dispatcher.serve(["routine"], threads=8)
    await desk.backlogs.adopt()
    assert 1 == len(desk.ledger.orphans)
    await settle()
