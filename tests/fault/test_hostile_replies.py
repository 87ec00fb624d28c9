"""Replies of a hostile broker: none counts for another order, none shows a secret, and good ones among them are understood."""

from tests.fault.hostile_replies import running_brokers, storm

COUNT = 200


async def test_two_hundred_hostile_replies_are_judged_for_what_they_are():
    with running_brokers(seed=1, count=COUNT) as (addresses, plan):
        report = await storm(addresses, plan)
    assert [] == report.wrong
    assert (COUNT, COUNT // 20) == (report.calls, report.books)
    assert 60 < len(report.kinds)
    assert COUNT // 4 < report.ends["acknowledged"]
    assert COUNT // 20 > report.missed.total()
