"""What is known of an order, row by row: what was heard, what was seen, how old it is, and what follows."""

import pytest

from neo_cancel.record import DEAD, Status
from worker.kotak.codes import Action
from worker.kotak.order_book import OrderState, Row
from worker.orders.case import Case
from worker.orders.finding import Finding, LookResult
from worker.orders.settlement import at_deadline, settle
from worker.orders.steps import Finish, Look, Send
from worker.orders.verdict import Verdict

VARIETIES = ["regular", "bracket", "cover"]
EXITS = ["bracket", "cover"]
WINDOW = 10.0
NOW = 1_000.0
"""When the last reply came. Looks are given by how long after it their read began; the reading takes 0.2 s."""
SENT, READING = NOW - 0.1, 0.2

OK = Verdict(Action.ACKNOWLEDGED)
NO = Verdict(Action.REFUSED, code="1009")
OBJECTION = Verdict(Action.UNCLEAR, code="1006")
UNLISTED = Verdict(Action.UNCLEAR, code="7777", may_have_acted=True)
SHUT_OUT = Verdict(Action.BLOCKED, code="100008")
SILENCE = Verdict(Action.LOOK, may_have_acted=True)
TOO_FAST = Verdict(Action.RETRY, code="429")
NEVER_LEFT = Verdict(Action.RETRY, has_left=False)
REPLIES = [OK, NO, OBJECTION, UNLISTED, SHUT_OUT, SILENCE, TOO_FAST, NEVER_LEFT]

WORKING, IN_FLIGHT, NOT_CANCELLED = OrderState.WORKING, OrderState.IN_FLIGHT, OrderState.NOT_CANCELLED
ALIVE = [WORKING, OrderState.WORKING_AMO, IN_FLIGHT, NOT_CANCELLED]
PENDING, CANCELLED = OrderState.CANCEL_PENDING, OrderState.CANCELLED
MISSING, NO_DATA, UNREADABLE = Finding.MISSING, Finding.NO_DATA, Finding.UNREADABLE

REFUSED = Finish(Status.REFUSED, verified=True)
BLOCKED = Finish(Status.BLOCKED, verified=True)
NOT_FOUND = Finish(Status.NOT_FOUND, verified=True)


def row(state, *, changed_at=None):
    return Row("260722000000001", state, str(state), "regular", False, "TCS-EQ", 0, 10, None, changed_at)


def heard(*replies, variety="regular", apart=0.0, **known):
    """Make the case of an order that was accepted with its first cancel, after these replies; the last one came at NOW."""
    case = Case(variety, accepted_at=NOW - apart * len(replies) - 0.1, first_sent_at=SENT, **known)
    for back, reply in zip(range(len(replies) - 1, -1, -1), replies, strict=True):
        case.take(reply, NOW - apart * back)
    return case


def look(case, seen, after, *, changed_at=None):
    """Show a case a row in a state, or a finding, of a read that began so many seconds after NOW."""
    finding = row(seen, changed_at=changed_at) if isinstance(seen, OrderState) else seen
    began_at = NOW + after
    return settle(case, LookResult(finding, "book", began_at), now=began_at + READING, window=WINDOW)


def looks(case, seen, times):
    return [look(case, seen, after) for after in times]


# ---------------------------------------------------------------------- a dead row


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("after", [-5.0, 0.5, 60.0])
@pytest.mark.parametrize(("state", "status"), [(OrderState.FILLED, Status.FILLED), (OrderState.GONE, Status.GONE)])
def test_a_dead_row_is_a_proof_however_old_it_is(state, status, after, reply, variety):
    """No order comes back to life: filled is filled, also on a page that is older than the reply."""
    assert Finish(status, verified=True) == look(heard(reply, variety=variety), state, after)


def test_a_dead_row_outweighs_every_row_after_it():
    """A page that lags shows the order working once more."""
    case = heard(NO)
    look(case, OrderState.FILLED, 0.5)
    assert Finish(Status.FILLED, verified=True) == look(case, WORKING, 60.0)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize(
    ("replies", "changed_at", "status"),
    [
        pytest.param([OK], None, Status.CANCELLED, id="Ok"),
        pytest.param([OK], SENT - 9, Status.CANCELLED, id="Ok, changed before it"),
        pytest.param([SILENCE, OK], None, Status.CANCELLED, id="silence, Ok"),
        pytest.param([], None, Status.ALREADY_CANCELLED, id="nothing of ours"),
        pytest.param([OBJECTION], None, Status.ALREADY_CANCELLED, id="1006 at once"),
        pytest.param([NO], None, Status.ALREADY_CANCELLED, id="refused"),
        pytest.param([SHUT_OUT], None, Status.ALREADY_CANCELLED, id="blocked"),
        pytest.param([SILENCE], SENT, Status.CANCELLED, id="silence, changed after the send"),
        pytest.param([SILENCE], SENT - 2, Status.ALREADY_CANCELLED, id="silence, changed before the send"),
        pytest.param([SILENCE], SENT - 0.04, Status.CANCELLED, id="silence, changed a moment before the send"),
        pytest.param([SILENCE], SENT - 0.06, Status.ALREADY_CANCELLED, id="silence, changed not quite at the send"),
        pytest.param([SILENCE], 999.0, Status.CANCELLED, id="silence, changed in the same whole second"),
        pytest.param([SILENCE], 998.0, Status.ALREADY_CANCELLED, id="silence, changed in the second before"),
        pytest.param([SILENCE], None, Status.CANCELLED, id="silence, time unknown"),
        pytest.param([SILENCE, OBJECTION], SENT, Status.CANCELLED, id="silence, 1006"),
    ],
)
def test_a_cancelled_row_tells_whose_cancel_it_was(replies, changed_at, status, variety):
    """Ours by the broker's Ok or by when the order changed; else it was cancelled before."""
    decision = look(heard(*replies, variety=variety), CANCELLED, 0.5, changed_at=changed_at)
    assert Finish(status, verified=True) == decision


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("later", [OBJECTION, NO, UNLISTED, SHUT_OUT, SILENCE, TOO_FAST])
def test_no_later_reply_erases_an_ok(later, variety):
    """After an Ok of ours a 1006 is what its success looks like: the cancel was ours."""
    case = heard(OK, later, variety=variety)
    assert Finish(Status.CANCELLED, verified=True) == look(case, CANCELLED, 0.5, changed_at=SENT - 5)


# ---------------------------------------------------------------------- a row that shows the order alive


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("after", [0.5, WINDOW + 1, 60.0])
def test_a_pending_cancel_is_read_again(after, reply, variety):
    """A cancel is under way: neither sent again nor called done, however long it takes."""
    assert Look() == look(heard(reply, variety=variety), PENDING, after)


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize(
    ("variety", "replies", "after", "expected"),
    [
        pytest.param("regular", [], 0.0, Send(), id="never sent"),
        pytest.param("bracket", [], 0.0, Send(), id="exit, never sent"),
        pytest.param("regular", [SILENCE], 0.1, Send(), id="silence"),
        pytest.param("bracket", [SILENCE], WINDOW - 0.1, Look(), id="exit, silence, page may be of before"),
        pytest.param("bracket", [SILENCE], WINDOW, Send(), id="exit, silence, page is of after"),
        pytest.param("cover", [SILENCE, TOO_FAST], 0.1, Look(), id="exit, silence, too fast"),
        pytest.param("cover", [TOO_FAST], 0.1, Send(), id="exit, too fast"),
        pytest.param("cover", [NEVER_LEFT], 0.1, Send(), id="exit, never left"),
        pytest.param("regular", [NO], WINDOW - 0.1, Look(), id="refused, page may be of before"),
        pytest.param("regular", [NO], WINDOW, REFUSED, id="refused, page is of after"),
        pytest.param("bracket", [NO], WINDOW, REFUSED, id="exit, refused"),
        pytest.param("regular", [SHUT_OUT], 1.0, Look(), id="blocked just now"),
        pytest.param("regular", [SHUT_OUT], 5.0, Send(), id="blocked a while ago: the account may be open again"),
        pytest.param("regular", [SHUT_OUT], WINDOW, BLOCKED, id="blocked, page is of after"),
        pytest.param("regular", [OK], 1.4, Look(), id="Ok just now"),
        pytest.param("regular", [OK], 1.5, Send(), id="Ok a while ago"),
        pytest.param("regular", [OK] * 2, 2.9, Look(), id="two Oks, just now"),
        pytest.param("regular", [OK] * 2, 3.0, Send(), id="two Oks, a while ago"),
        pytest.param("regular", [OK] * 4, 12.0, Send(), id="four Oks"),
        pytest.param("bracket", [OK], WINDOW - 0.1, Look(), id="exit, Ok, page may be of before"),
        pytest.param("bracket", [OK], WINDOW, Send(), id="exit, Ok, page is of after"),
        pytest.param("regular", [OBJECTION], 0.1, Send(), id="1006"),
        pytest.param("bracket", [OBJECTION], 0.1, Send(), id="exit, 1006: it did nothing"),
        pytest.param("regular", [UNLISTED], 0.1, Send(), id="an unlisted code"),
        pytest.param("bracket", [UNLISTED], 0.1, Look(), id="exit, an unlisted code: it may have acted"),
        pytest.param("bracket", [UNLISTED], WINDOW, Send(), id="exit, an unlisted code, page is of after"),
    ],
)
def test_a_row_that_shows_the_order_alive(variety, replies, after, expected, state):
    """What was heard, how old the page is, and what follows: each a line of the table."""
    assert expected == look(heard(*replies, variety=variety), state, after)


@pytest.mark.parametrize(
    ("state", "after", "expected"),
    [(WORKING, 60.0, Look()), (NOT_CANCELLED, WINDOW - 0.1, Look()), (NOT_CANCELLED, WINDOW, REFUSED)],
)
def test_five_oks_are_enough_where_the_exchange_says_no(state, after, expected):
    """Nothing more is sent, and the book has had its time: waiting for the deadline brings nothing."""
    assert expected == look(heard(*[OK] * 5), state, after)


@pytest.mark.parametrize("state", [WORKING, NOT_CANCELLED])
@pytest.mark.parametrize(
    ("count", "apart", "after", "expected"),
    [
        pytest.param(3, 0.3, 0.1, Send(), id="three within a second"),
        pytest.param(2, 6.0, WINDOW, Send(), id="two for long enough"),
        pytest.param(3, 6.0, 0.1, Look(), id="three for long enough, page may be of before"),
        pytest.param(3, 6.0, WINDOW, REFUSED, id="three for long enough, page is of after"),
        pytest.param(9, 1.0, WINDOW, REFUSED, id="nine"),
    ],
)
def test_objections_against_a_working_row(count, apart, after, expected, state):
    """So many, for so long, and a page that is younger than the last one."""
    assert expected == look(heard(*[OBJECTION] * count, apart=apart), state, after)


@pytest.mark.parametrize("objection", [OBJECTION, UNLISTED])
def test_three_objections_within_a_second_are_no_proof_against_a_stale_row(objection):
    """An objection waits for proof as an Ok does: our cancel did it or the order was filled, and the row is of before."""
    case = heard(*[objection] * 3, apart=0.3)
    steps = looks(case, WORKING, [0.1, 0.6, 2.0, 5.0, WINDOW - 0.9])
    assert {Send()} == set(steps)
    assert Finish(Status.FILLED, verified=True) == look(case, OrderState.FILLED, WINDOW)


@pytest.mark.parametrize("after", [0.1, WINDOW, 60.0])
@pytest.mark.parametrize("apart", [0.3, 6.0])
def test_an_order_in_flight_is_not_refused_by_objections(apart, after):
    """On its way an order cannot be cancelled yet: it is sent again as long as its deadline allows."""
    assert Send() == look(heard(*[OBJECTION] * 9, apart=apart), IN_FLIGHT, after)


# ---------------------------------------------------------------------- no row


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("finding", [UNREADABLE, NO_DATA])
@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (OK, Status.CANCELLED),
        (NO, Status.REFUSED),
        (OBJECTION, Status.REFUSED),
        (SHUT_OUT, Status.BLOCKED),
    ],
)
def test_a_definite_reply_stands_after_the_window(reply, status, finding, variety):
    """A book that cannot be read is waited for, then the broker's reply counts, unverified."""
    steps = looks(heard(reply, variety=variety), finding, [WINDOW - 0.1, WINDOW])
    assert [Look(), Finish(status)] == steps


@pytest.mark.parametrize("finding", [UNREADABLE, NO_DATA])
@pytest.mark.parametrize(
    ("variety", "replies", "expected"),
    [
        pytest.param("regular", [SILENCE], Send(), id="silence"),
        pytest.param("regular", [SILENCE, OBJECTION], Send(), id="silence, 1006"),
        pytest.param("regular", [SILENCE, *[OBJECTION] * 3], Look(), id="silence, 1006 again and again"),
        pytest.param("regular", [SILENCE, NO], Look(), id="silence, refused"),
        pytest.param("bracket", [SILENCE], Look(), id="exit, silence"),
    ],
)
def test_without_a_definite_reply_only_a_plain_cancel_is_sent_blindly(variety, replies, expected, finding):
    """Its reply is evidence, too; an exit might close a position, and what was refused would be refused again."""
    assert {expected} == set(looks(heard(*replies, variety=variety), finding, [0.1, WINDOW, 60.0]))


@pytest.mark.parametrize("finding", [UNREADABLE, NO_DATA])
@pytest.mark.parametrize("variety", ["regular", "bracket"])
def test_a_code_that_no_list_has_stands_where_the_book_is_dark(variety, finding):
    """A definite error becomes refused, with its code and text; only an earlier cancel would leave it open."""
    steps = looks(heard(UNLISTED, variety=variety), finding, [0.1, WINDOW])
    assert [Look(), Finish(Status.REFUSED)] == steps


@pytest.mark.parametrize("finding", list(Finding))
@pytest.mark.parametrize("state", [*ALIVE, PENDING])
def test_an_ok_does_not_stand_against_a_row(state, finding):
    """Seen alive after the Ok: when the book goes dark then, the Ok alone is worth nothing any more."""
    case = heard(OK)
    look(case, state, 0.5)
    steps = looks(case, finding, [1.0, WINDOW + 1])
    assert [Look(), Send()] == steps
    assert Finish(Status.UNKNOWN) == at_deadline(case, window=WINDOW)


@pytest.mark.parametrize("finding", [UNREADABLE, NO_DATA])
def test_an_objection_does_not_stand_against_a_row(finding):
    """It says "cancelled or not found", the book said that it works: nothing is claimed."""
    case = heard(OBJECTION)
    look(case, WORKING, 0.5)
    assert Send() == look(case, finding, WINDOW + 1)
    assert Finish(Status.UNKNOWN) == at_deadline(case, window=WINDOW)


def test_what_was_contradicted_once_stays_contradicted():
    """The exchange keeps refusing: a new Ok is worth no more than the earlier one, and does not stand at the deadline."""
    case = heard(OK)
    look(case, WORKING, 1.6)
    case.take(OK, NOW + 2)
    assert Finish(Status.UNKNOWN) == at_deadline(case, window=WINDOW)
    assert not isinstance(look(case, UNREADABLE, 2 + WINDOW), Finish)


def test_a_row_of_before_the_ok_does_not_contradict_it():
    """The read began before the reply came."""
    case = heard(OK)
    look(case, WORKING, -0.1)
    assert [Look(), Finish(Status.CANCELLED)] == looks(case, UNREADABLE, [WINDOW - 0.1, WINDOW])


# ---------------------------------------------------------------------- not found

NEVER_SEEN = [0.5, 2.0, WINDOW]


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("replies", [[], [SILENCE], [OBJECTION], [NO], [SHUT_OUT], [UNLISTED]])
def test_an_order_that_no_book_has_for_seconds_is_not_found(replies, variety):
    """Three whole books over seconds, the last one younger than the request however far it is behind, and no Ok."""
    steps = looks(heard(*replies, variety=variety), MISSING, NEVER_SEEN)
    assert [False, False] == [isinstance(step, Finish) for step in steps[:2]]
    assert NOT_FOUND == steps[2]


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("replies", [[], [SILENCE], [OBJECTION], [NO], [NO, OBJECTION]])
@pytest.mark.parametrize("times", [[0.2, 0.4], [0.1, 0.2, 0.3, 4.9], [0.1, 60.0], [0.1, 5.0, 9.7], [20.0, 21.0, 24.9]])
def test_a_few_books_within_a_moment_prove_no_absence(times, replies, variety):
    """Neither an exit nor a refusal of another kind is evidence, and two looks are not, however far apart."""
    case = heard(*replies, variety=variety)
    looks(case, MISSING, times)
    assert Status.NOT_FOUND is not at_deadline(case, window=WINDOW).status


def test_books_that_other_orders_asked_for_prove_an_absence_too():
    """Also where the order's own look fails."""
    case = heard(OBJECTION)
    for after in NEVER_SEEN:
        case.miss(NOW + after)
    assert NOT_FOUND == look(case, UNREADABLE, WINDOW + 1)


def test_a_miss_of_before_the_request_proves_nothing():
    """Neither as one of the three nor for the seconds: they count from when the cancel was asked for."""
    case = heard(SILENCE)
    looks(case, MISSING, [-9.0, 4.0, WINDOW])
    assert Finish(Status.UNKNOWN) == at_deadline(case, window=WINDOW)
    case = heard(SILENCE)
    looks(case, MISSING, [-9.0, -6.0, 4.5])
    assert Finish(Status.UNKNOWN) == at_deadline(case, window=WINDOW)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("state", [*ALIVE, PENDING])
def test_an_order_that_was_seen_once_is_never_not_found(state, variety):
    """However many books lack it later: what was seen is not unseen."""
    case = heard(OBJECTION, variety=variety)
    look(case, state, 0.1)
    steps = looks(case, MISSING, range(1, 30))
    assert NOT_FOUND not in {*steps, at_deadline(case, window=WINDOW)}


def test_an_order_that_another_process_saw_is_never_not_found():
    """The record says that some page had it."""
    case = heard(NO, was_seen=True)
    assert NOT_FOUND not in {*looks(case, MISSING, range(1, 30)), at_deadline(case, window=WINDOW)}


def test_an_acknowledged_order_that_no_book_has_is_not_not_found():
    """A fresh order, and a book that is behind: the broker has said Ok, and that stands after the window."""
    assert [Look(), Look(), Look(), Finish(Status.CANCELLED)] == looks(heard(OK), MISSING, [0.1, 0.2, 6.0, WINDOW])


@pytest.mark.parametrize("reply", [NO, OBJECTION, SHUT_OUT])
def test_no_data_never_means_not_found(reply):
    """5203 is no proof of anything, however often it comes."""
    case = heard(reply)
    assert {Look()} == set(looks(case, NO_DATA, range(1, 10)))
    assert Status.NOT_FOUND is not at_deadline(case, window=WINDOW).status


# ---------------------------------------------------------------------- time is up


@pytest.mark.parametrize(
    ("replies", "seen", "expected"),
    [
        pytest.param([], None, Finish(Status.EXPIRED), id="nothing was sent"),
        pytest.param([NEVER_LEFT], UNREADABLE, Finish(Status.EXPIRED), id="nothing left"),
        pytest.param([TOO_FAST], None, Finish(Status.UNKNOWN), id="too fast"),
        pytest.param([SILENCE], None, Finish(Status.UNKNOWN), id="silence"),
        pytest.param([SILENCE], MISSING, Finish(Status.UNKNOWN), id="silence, missing"),
        pytest.param([SILENCE], WORKING, Finish(Status.UNKNOWN), id="silence, working"),
        pytest.param([SILENCE, OBJECTION], None, Finish(Status.UNKNOWN), id="silence, 1006"),
        pytest.param([SILENCE, NO], None, Finish(Status.UNKNOWN), id="silence, refused"),
        pytest.param([OK], None, Finish(Status.CANCELLED), id="Ok"),
        pytest.param([OK], NO_DATA, Finish(Status.CANCELLED), id="Ok, 5203"),
        pytest.param([OK, OBJECTION], UNREADABLE, Finish(Status.CANCELLED), id="Ok, 1006"),
        pytest.param([OK], WORKING, Finish(Status.UNKNOWN), id="Ok, working"),
        pytest.param([OK], PENDING, Finish(Status.UNKNOWN), id="Ok, pending"),
        pytest.param([NO], None, Finish(Status.REFUSED), id="refused"),
        pytest.param([NO], WORKING, Finish(Status.REFUSED), id="refused, working"),
        pytest.param([OBJECTION], None, Finish(Status.REFUSED), id="1006"),
        pytest.param([OBJECTION], WORKING, Finish(Status.UNKNOWN), id="1006, working"),
        pytest.param([SHUT_OUT], UNREADABLE, Finish(Status.BLOCKED), id="blocked"),
    ],
)
def test_when_time_is_up(replies, seen, expected):
    """Evidence, else the broker's word where the book never spoke against it, else nothing is claimed."""
    case = heard(*replies)
    if seen is not None:
        look(case, seen, 0.5)
    assert expected == at_deadline(case, window=WINDOW)


@pytest.mark.parametrize("reply", [OK, SILENCE])
@pytest.mark.parametrize(("after", "expected"), [(WINDOW - 0.1, Finish(Status.UNKNOWN)), (WINDOW, REFUSED)])
def test_not_cancelled_is_the_exchanges_no_once_the_page_is_of_after(after, expected, reply):
    """A younger row that says "not cancelled" proves that the exchange refused; an older one may be of an earlier cancel."""
    case = heard(reply)
    look(case, NOT_CANCELLED, after)
    assert expected == at_deadline(case, window=WINDOW)


@pytest.mark.parametrize("variety", VARIETIES)
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("unsure", [False, True])
@pytest.mark.parametrize("seen", [None, *Finding, *ALIVE, PENDING])
def test_time_alone_never_makes_an_order_dead(seen, unsure, reply, variety):
    """Without a dead row only the broker's own Ok may end as cancelled, and never against a row that works."""
    case = heard(reply, variety=variety, unsure=unsure)
    if seen is not None:
        look(case, seen, 0.5)
    status = at_deadline(case, window=WINDOW).status
    is_word = reply is OK and not isinstance(seen, OrderState)
    assert status is Status.CANCELLED if is_word else status not in DEAD | {Status.NOT_FOUND}, status
