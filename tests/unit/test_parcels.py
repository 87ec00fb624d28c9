"""How a bulk is divided into messages and backlogs."""

from collections import Counter

from neo_cancel import CancelOrder
from neo_cancel.parcels import parcels


def orders(ucc, count, lane="routine", first=0):
    return [
        CancelOrder(ucc=ucc, order_number=f"25101500{number:07}", lane=lane) for number in range(first, first + count)
    ]


def shape(parcel):
    """How many orders of each account are in the message, and how many wait."""
    sent = {}
    for order in parcel.orders:
        sent[order.ucc] = sent.get(order.ucc, 0) + 1
    return sent, {ucc: len(some) for ucc, some in parcel.waiting.items()}


def test_what_fits_into_one_message_goes_into_one():
    bulk = [*orders("AAA", 40), *orders("BBB", 5), *orders("CCC", 5)]
    assert [({"AAA": 40, "BBB": 5, "CCC": 5}, {})] == [shape(parcel) for parcel in parcels(bulk)]


def test_risk_orders_are_divided_by_themselves_and_go_first():
    bulk = [*orders("AAA", 2), *orders("BBB", 1, "risk"), *orders("AAA", 1, "risk", first=9)]
    assert [("risk", {"BBB": 1, "AAA": 1}), ("routine", {"AAA": 2})] == [
        (parcel.lane, shape(parcel)[0]) for parcel in parcels(bulk)
    ]


def test_the_first_orders_of_many_accounts_share_messages_and_the_rest_waits():
    """Two hundred accounts begin with forty messages, not two hundred."""
    bulk = [order for at in range(200) for order in orders(f"AB{at:03}", 40)]
    made = parcels(bulk)
    assert 40 == len(made)
    assert ({f"AB00{at}": 10 for at in range(5)}, {f"AB00{at}": 30 for at in range(5)}) == shape(made[0])


def test_very_wide_bulks_fill_their_messages():
    bulk = [order for at in range(10_000) for order in orders(f"A{at:05}", 2)]
    made = parcels(bulk)
    assert (400, {50}, 0) == (len(made), {len(parcel.orders) for parcel in made}, sum(len(one.waiting) for one in made))


def test_a_few_orders_more_than_the_first_do_not_wait():
    made = parcels([*orders("AAA", 20), *orders("BBB", 21), *orders("CCC", 20)])
    assert [({"AAA": 20, "BBB": 10, "CCC": 20}, {"BBB": 11})] == [shape(parcel) for parcel in made]


def test_an_account_with_very_many_orders_fills_eight_messages_and_the_rest_waits():
    """In turn with others of its kind."""
    made = parcels([*orders("AAA", 1000), *orders("BBB", 120)])
    assert ["AAA", "BBB", "AAA", "BBB", "AAA", "BBB", "AAA"] == [next(iter(shape(one)[0])) for one in made[:7]]
    assert [50] * 10 + [20] == sorted((len(one.orders) for one in made if one.orders), reverse=True)
    assert [{"AAA": 200}] * 3 == [shape(one)[1] for one in made if not one.orders]


def test_no_order_is_lost_or_doubled_however_small_a_message_is():
    for size in (1, 7, 50, 500):
        bulk = [order for at, count in enumerate((1, 9, 25, 99, 101, 600)) for order in orders(f"AB{at:03}", count)]
        made = parcels(bulk, size)
        assert sorted(order.key for order in bulk) == sorted(order.key for one in made for order in one.everyone)
        assert size >= max(len(one.orders) for one in made)
        assert 500 >= max(len(one.everyone) for one in made)


def test_the_messages_of_an_account_are_counted_over_all_pieces_of_a_bulk():
    messages = Counter()
    made = [parcels(orders("AAA", 300, first=at), 50, messages) for at in (0, 300, 600)]
    assert [6, 2, 0] == [sum(bool(one.orders) for one in piece) for piece in made]
    assert [300] * 3 == [sum(len(one.everyone) for one in piece) for piece in made]
