"""One order's state machine by itself, with made-up times: after each thing that happened, what comes next."""

import pytest

from neo_cancel.record import Header, Status
from worker.kotak.codes import KOTAK, Action
from worker.kotak.order_book import OrderState, Row
from worker.observe.events import Corrected, ExchangeRefused
from worker.orders.finding import Finding, LookResult
from worker.orders.job import Job
from worker.orders.machine import OrderMachine
from worker.orders.policy import CancelPolicy
from worker.orders.repeats import MOST_ANSWERS, MOST_EARLY_SENDS, MOST_SENDS
from worker.orders.steps import Finish, Look, Send
from worker.orders.verdict import NO_SESSION, Verdict

NOW = 1_784_700_000.0
"""When the order is accepted and first sent, unless a test says otherwise."""
DEADLINE = 60.0

OK = Verdict(Action.ACKNOWLEDGED)
NO = Verdict(Action.REFUSED, code="1009")
SHUT_OUT = Verdict(Action.BLOCKED, code="100008")
SILENCE = Verdict(Action.LOOK, may_have_acted=True)
TOO_FAST = Verdict(Action.RETRY, code="429")
OBJECTION = Verdict(Action.UNCLEAR, code="1006")
NEVER_LEFT = Verdict(Action.RETRY, has_left=False)
GATEWAY_ERROR = Verdict(Action.RETRY, code="1005", may_have_acted=True)
WORKING, FILLED, CANCELLED = OrderState.WORKING, OrderState.FILLED, OrderState.CANCELLED


def row(state, **fields):
    facts = {
        "variety": "regular",
        "amo": False,
        "trading_symbol": "TCS-EQ",
        "filled_quantity": 4,
        "unfilled_quantity": 6,
    }
    facts |= {"order_number": "260722000000001", "said": str(state), "reason": None, "changed_at": None} | fields
    return Row(state=state, **facts)


def seen(state, at=NOW + 0.5, **fields):
    """Make what a look showed whose read began then; a Finding is no row."""
    return LookResult(row(state, **fields) if isinstance(state, OrderState) else state, "book", at)


def job(*, lane="routine", maybe_sent=False, status="sending", **document):
    about = {"ucc": "AB123", "order_number": "260722000000001", "variety": "regular", "lane": lane}
    header = Header(status, 1, "w", int(NOW * 1000), maybe_sent, 0)
    return Job(header, about | {"deadline_seconds": DEADLINE} | document)


def watched(status="unknown", *, maybe_sent=True, **document):
    made = job(status=status, maybe_sent=maybe_sent, final_at=NOW - 5, **document)
    made.is_watched = True
    return made


class Desk:
    """A machine whose jitter is the longest pause that is allowed, and what it published."""

    def __init__(self, **policy):
        self.events = []
        self.machine = OrderMachine(lambda _: CancelPolicy(**policy), lambda _, most: most, self.events.append, KOTAK)

    def sent(self, one, verdict, at=NOW):
        """Send an order once, as the sender does."""
        one.attempts += 1
        one.first_sent_at = one.first_sent_at or at
        return self.machine.replied(one, verdict, at)

    def found(self, one, state, at=NOW + 0.5, **fields):
        return self.machine.found(one, seen(state, at, **fields), at)


# ---------------------------------------------------------------------- the first step


def test_a_fresh_order_is_sent():
    """At once."""
    assert Send() == Desk().machine.begin(job(), NOW)


def test_an_order_that_may_have_been_sent_is_looked_at_first():
    """A worker died with it."""
    assert Look() == Desk().machine.begin(job(maybe_sent=True), NOW)


# ---------------------------------------------------------------------- tries and pauses


@pytest.mark.parametrize("verdict", [TOO_FAST, GATEWAY_ERROR, Verdict(Action.RENEW)])
def test_each_pause_after_a_try_is_longer(verdict):
    """Twice as long as the one before, up to the most."""
    desk, one = Desk(backoff=1.0, backoff_most=3.0), job()
    assert [Send(NOW + pause) for pause in (1.0, 2.0, 3.0, 3.0)] == [desk.sent(one, verdict) for _ in range(4)]


@pytest.mark.parametrize("seconds", [0.0, 7.0])
def test_the_brokers_retry_after_is_honoured(seconds):
    """0 is at once, which is what a renewed session asks for."""
    verdict = Verdict(Action.RETRY, retry_after_seconds=seconds)
    assert Send(NOW + seconds) == Desk(backoff=1.0).sent(job(), verdict)


def test_no_pause_lasts_through_the_last_chance():
    """One more try before the deadline, whatever the broker wishes."""
    verdict, at = Verdict(Action.RETRY, retry_after_seconds=300.0), NOW + DEADLINE - 4
    assert Send(at + 3.5) == Desk().sent(job(), verdict, at)


def test_a_try_without_time_for_another_leads_to_a_look():
    """The order may have ended by itself."""
    assert Look() == Desk().sent(job(), TOO_FAST, NOW + DEADLINE)


def test_an_order_without_a_session_waits_for_one_until_the_deadline():
    """It is no verdict on the order: the wait says what it is for, and the end says what was wrong."""
    desk, one = Desk(backoff=1.0), job()
    assert Send(NOW + 1.0, "session") == desk.machine.replied(one, NO_SESSION, NOW)
    assert Send(NOW + 7.0, "session") == desk.machine.replied(one, NO_SESSION, NOW + 5)
    assert Look(until=NOW + DEADLINE + 2.0) == desk.machine.time_up(one, NOW + DEADLINE)
    assert Finish(Status.BLOCKED) == desk.machine.time_up(one, NOW + DEADLINE + 2)


def test_pauses_before_what_the_book_asks_for_grow_faster():
    """Four times as long each: an order that is refused again and again is not sent thirty times."""
    desk, one, steps = Desk(backoff=0.1), job(), []
    for _ in range(3):
        desk.sent(one, SILENCE)
        steps.append(desk.found(one, WORKING, NOW))
    assert [NOW + 0.1, NOW + 0.4, NOW + 1.6] == [step.not_before for step in steps]


def test_an_order_that_lives_on_and_on_is_sent_so_often_and_then_only_looked_at():
    """The watch goes on with it."""
    desk, one = Desk(), job()
    for _ in range(MOST_SENDS - 1):
        desk.sent(one, OBJECTION)
        assert isinstance(desk.found(one, WORKING), Send)
    desk.sent(one, OBJECTION)
    assert isinstance(desk.found(one, WORKING), Look)
    assert MOST_SENDS == one.attempts


def test_what_is_refused_on_its_way_does_not_count_once_it_has_arrived():
    """Those refusals say nothing of an order that works: it is sent anew, and not refused unasked."""
    desk, one, at = Desk(backoff=0.01), job(), NOW
    steps = []
    for _ in range(MOST_EARLY_SENDS + 1):
        at += 2
        steps.append(desk.found(one, OrderState.IN_FLIGHT, at))
        if isinstance(steps[-1], Send):
            desk.sent(one, OBJECTION, at)
    assert [Send] * MOST_EARLY_SENDS + [Look] == [type(step) for step in steps]
    assert isinstance(desk.found(one, OrderState.IN_FLIGHT, at + 20), Look)
    assert isinstance(desk.found(one, WORKING, at + 30), Send)
    desk.sent(one, OBJECTION, at + 30)
    assert isinstance(desk.found(one, WORKING, at + 45), Send)


def test_two_reads_that_disagree_do_not_make_a_flood():
    """The book says regular, the single read says cover, in turn: each look corrects the request the other way."""
    desk, one, at = Desk(backoff=0.01), job(), NOW
    for turn in range(5 * MOST_ANSWERS):
        at += 0.5
        if isinstance(desk.found(one, WORKING, at, variety=("cover", "regular")[turn % 2]), Send):
            desk.sent(one, NO, at)
    assert MOST_ANSWERS >= one.attempts


def test_a_watched_order_waits_for_its_turn_as_long_as_the_watch():
    """It is sent once: a wait for others must not spend that."""
    desk, one = Desk(), watched()
    desk.machine.begin(one, NOW, sends=1)
    assert desk.found(one, WORKING, NOW + 1).until is None


def test_a_turn_that_did_not_come_costs_no_further_pause():
    """The pause before the send is over already."""
    desk, one = Desk(backoff=1.0), job()
    desk.sent(one, SILENCE)
    step = desk.found(one, WORKING, NOW + 0.5)
    desk.machine.time_up(one, step.until)
    assert step.until + 0.1 == desk.found(one, WORKING, step.until + 0.1).not_before


def test_what_was_never_answered_is_sent_until_the_deadline():
    """A broker that is away for minutes has refused nothing."""
    desk, one = Desk(backoff_most=0.5), job()
    for _ in range(3 * MOST_SENDS):
        desk.sent(one, SILENCE)
        assert isinstance(desk.found(one, WORKING), Send)


def test_a_long_pause_before_the_next_send_is_spent_looking():
    """The order may be gone by then; the pause does not begin anew with each look."""
    desk, one = Desk(backoff=3.0), job()
    desk.sent(one, SILENCE)
    assert Look(NOW + 2.5) == desk.found(one, WORKING, NOW + 0.5)
    assert NOW + 3.5 == desk.found(one, WORKING, NOW + 2.6).not_before
    desk.sent(one, SILENCE, NOW + 4)
    assert isinstance(desk.found(one, WORKING, NOW + 5), Look)


def test_a_corrected_exit_is_not_sent_unread_after_a_cancel_that_may_have_acted():
    """The page that corrects it was read while that cancel was under way."""
    desk, one = Desk(), job()
    desk.sent(one, SILENCE)
    one.is_in_flight = True
    desk.machine.glimpse(one, seen(WORKING, variety="bracket"))
    assert isinstance(desk.sent(one, NO, NOW + 1), Look)
    assert isinstance(desk.found(one, WORKING, NOW + 2, variety="bracket"), Look)
    assert isinstance(desk.found(one, WORKING, NOW + 12, variety="bracket"), Send)


def test_an_acknowledged_order_is_looked_at_between_tries_that_never_left():
    """The first Ok may have worked meanwhile."""
    desk, one = Desk(), job()
    desk.sent(one, OK)
    desk.found(one, WORKING, NOW + 2)
    assert Look() == desk.sent(one, NEVER_LEFT, NOW + 3)
    assert isinstance(desk.found(one, WORKING, NOW + 4), Send)


def test_an_acknowledged_order_that_lives_on_is_sent_at_once_when_its_time_has_come():
    """Nothing looks at an order while it waits to be sent."""
    desk, one = Desk(backoff=1.0), job()
    desk.sent(one, OK)
    assert NOW + 2 == desk.found(one, WORKING, NOW + 2).not_before


def test_an_order_that_may_have_been_cancelled_is_looked_at_while_it_waits_for_its_turn():
    """A slow account has turns seldom, and the order may be gone; what was never sent waits until its deadline."""
    desk, one, other = Desk(), job(), job()
    desk.sent(one, SILENCE)
    step = desk.found(one, WORKING, NOW + 1)
    assert step.not_before + 2 == step.until
    assert isinstance(desk.machine.time_up(one, step.until), Look)
    assert desk.found(other, WORKING, NOW + 1).until is None


def test_what_was_refused_on_its_way_is_tried_again_soon_once_it_has_arrived():
    """The long pauses were for an order that could not be cancelled yet."""
    desk, one = Desk(backoff=1.0), job()
    for _ in range(3):
        desk.sent(one, TOO_FAST)
    desk.found(one, OrderState.IN_FLIGHT)
    desk.found(one, WORKING, NOW + 1)
    assert Send(NOW + 1.0) == desk.sent(one, TOO_FAST)


# ---------------------------------------------------------------------- looks


@pytest.mark.parametrize(
    ("verdict", "lane", "expected"),
    [
        (OK, "routine", Look(patient=True)),
        (OK, "risk", Look()),
        (SILENCE, "routine", Look()),
        (NO, "routine", Look()),
        (SHUT_OUT, "risk", Look()),
    ],
)
def test_the_first_look_after_a_reply(verdict, lane, expected):
    """An acknowledged order waits for others, a risk order's first look does not."""
    assert expected == Desk().sent(job(lane=lane), verdict)


def test_looks_come_after_longer_and_longer_pauses():
    """At most a second and a half, also where the tries may pause longer."""
    desk, one = Desk(backoff=0.5), job()
    desk.sent(one, NO)
    steps = [desk.found(one, WORKING, NOW) for _ in range(4)]
    assert [Look(NOW + pause) for pause in (0.5, 1.0, 1.5, 1.5)] == steps


def test_an_order_that_its_own_read_misses_is_read_with_the_whole_book():
    """A single read that finds nothing proves nothing; of two blind looks one is at the book."""
    desk, one = Desk(), job()
    desk.sent(one, NO)
    steps = [desk.found(one, finding) for finding in (Finding.NO_DATA, Finding.NO_DATA, Finding.MISSING)]
    assert [True, False, True] == [step.thorough for step in steps]


@pytest.mark.parametrize(
    ("verdict", "status"), [(OK, Status.CANCELLED), (NO, Status.REFUSED), (SHUT_OUT, Status.BLOCKED)]
)
def test_without_verification_a_definite_reply_is_the_end(verdict, status):
    """At its word."""
    assert Finish(status) == Desk(verify=False).sent(job(), verdict)


def test_without_verification_silence_is_looked_into():
    """There is no word to take."""
    assert Look() == Desk(verify=False).sent(job(), SILENCE)


# ---------------------------------------------------------------------- what a row says besides


@pytest.mark.parametrize(
    ("fields", "corrected"),
    [({"variety": "bracket"}, ("variety",)), ({"amo": True, "trading_symbol": "M&M-EQ"}, ("amo", "trading_symbol"))],
)
def test_a_live_row_corrects_the_request_and_the_order_is_sent_again(fields, corrected):
    """What was refused had gone the wrong way: the replies to it count no more, and the record says what was wrong."""
    desk, one = Desk(backoff=1.0), job()
    desk.sent(one, NO)
    assert Send(NOW + 20) == desk.found(one, WORKING, NOW + 20, **fields)
    assert [Corrected(one.name, corrected)] == desk.events
    assert (list(corrected), one.variety) == (one.document["corrected"], one.course.case.variety)
    assert one.course.case.last is None


def test_a_dead_row_corrects_nothing():
    """Nothing is left to send."""
    desk, one = Desk(), job()
    desk.sent(one, NO)
    desk.found(one, FILLED, variety="bracket")
    assert ("regular", None, []) == (one.variety, one.document.get("corrected"), desk.events)


def test_a_cancel_that_the_exchange_refused_is_told_once():
    """With the book's reason, which becomes the record's text."""
    desk, one = Desk(), job()
    desk.sent(one, OK)
    for _ in range(2):
        desk.found(one, OrderState.NOT_CANCELLED, reason="RMS: no")
    assert ([ExchangeRefused(one.name, "RMS: no")], "RMS: no") == (desk.events, one.document["text"])


# ---------------------------------------------------------------------- the deadline


def test_what_was_never_sent_expires_at_once():
    """There is nothing to look for."""
    assert Finish(Status.EXPIRED) == Desk().machine.time_up(job(), NOW + DEADLINE)


@pytest.mark.parametrize(
    ("verdict", "status"), [(OK, Status.CANCELLED), (NO, Status.REFUSED), (SILENCE, Status.UNKNOWN)]
)
def test_an_order_that_was_sent_and_not_seen_gets_one_last_look(verdict, status):
    """Up to the seconds that the policy gives it, then the word stands or nothing is claimed."""
    desk, one, at = Desk(last_look=3.0), job(), NOW + DEADLINE
    desk.sent(one, verdict)
    assert Look(until=at + 3.0) == desk.machine.time_up(one, at)
    assert Finish(status) == desk.machine.time_up(one, at + 3)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (FILLED, Finish(Status.FILLED, verified=True)),
        (WORKING, Finish(Status.UNKNOWN)),
        (Finding.UNREADABLE, Finish(Status.UNKNOWN)),
    ],
)
def test_the_last_look_is_the_last_whatever_it_shows(state, expected):
    """A proof, else what is known without one; nothing is sent any more."""
    desk, one = Desk(), job()
    desk.sent(one, SILENCE)
    desk.machine.time_up(one, NOW + DEADLINE)
    assert expected == desk.found(one, state, NOW + DEADLINE + 1)


def test_an_order_that_was_looked_at_since_its_send_gets_no_last_look():
    """It has had its look."""
    desk, one = Desk(), job()
    desk.sent(one, OK)
    desk.found(one, Finding.NO_DATA)
    assert Finish(Status.CANCELLED) == desk.machine.time_up(one, NOW + DEADLINE)


@pytest.mark.parametrize(
    ("age", "expected"), [(0.5, Finish(Status.REFUSED)), (1.5, Look(until=NOW + DEADLINE + 3, thorough=True))]
)
def test_what_whole_books_lacked_a_while_ago_may_be_proven_by_now(age, expected):
    """A process that stood still over the deadline has had no look for long: one more may say that there is no such order."""
    desk, one, at = Desk(last_look=3.0), job(), NOW + DEADLINE
    desk.sent(one, NO)
    desk.found(one, Finding.MISSING, at - age)
    assert expected == desk.machine.time_up(one, at)


def test_without_verification_there_is_no_last_look():
    """Time is up, and reading was not wanted."""
    desk, one = Desk(verify=False), job()
    desk.sent(one, SILENCE)
    assert Finish(Status.UNKNOWN) == desk.machine.time_up(one, NOW + DEADLINE)


# ---------------------------------------------------------------------- what was not asked for


@pytest.mark.parametrize(
    ("verdict", "state", "status"),
    [(OK, FILLED, Status.FILLED), (OK, CANCELLED, Status.CANCELLED), (NO, CANCELLED, Status.ALREADY_CANCELLED)],
)
def test_a_page_that_shows_it_dead_in_flight_ends_it_with_the_reply(verdict, state, status):
    """The reply tells whose cancel it was; no look is needed."""
    desk, one = Desk(), job()
    desk.machine.remember(one, NOW)
    desk.machine.glimpse(one, seen(state, NOW - 0.1))
    assert Finish(status, verified=True) == desk.sent(one, verdict)


def test_a_glimpse_of_an_order_that_was_never_sent_is_kept():
    """What was seen once is not unseen: the book has spoken against the reply that comes later."""
    desk, one = Desk(), job()
    desk.machine.glimpse(one, seen(WORKING))
    desk.sent(one, OBJECTION)
    desk.found(one, Finding.UNREADABLE, NOW + 20)
    desk.machine.time_up(one, NOW + DEADLINE)
    assert Finish(Status.UNKNOWN) == desk.machine.time_up(one, NOW + DEADLINE + 2)


def test_an_order_that_was_never_sent_is_not_refused_by_what_the_book_says():
    """Somebody else's cancel was."""
    desk, one = Desk(), job()
    desk.machine.glimpse(one, seen(OrderState.NOT_CANCELLED, NOW + 20))
    assert Finish(Status.EXPIRED) == desk.machine.time_up(one, NOW + DEADLINE)


def test_a_glimpse_speaks_against_an_ok():
    """A page that another order asked for shows it working after the Ok."""
    desk, one = Desk(), job()
    desk.sent(one, OK)
    desk.machine.glimpse(one, seen(WORKING, NOW + 1))
    desk.found(one, Finding.UNREADABLE, NOW + 2)
    desk.machine.time_up(one, NOW + DEADLINE)
    assert Finish(Status.UNKNOWN) == desk.machine.time_up(one, NOW + DEADLINE + 2)


def test_one_book_counts_once():
    """Also where the order that asked for it is shown it again as a page."""
    desk, one = Desk(), job()
    desk.sent(one, NO)
    for after in (1.0, 11.0):
        desk.found(one, Finding.MISSING, NOW + after)
        desk.machine.glimpse(one, seen(Finding.MISSING, NOW + after))
    assert 2 == one.course.case.misses


def test_glimpses_of_books_without_it_count_as_misses():
    """Whole books are whole books, whichever order asked for them."""
    desk, one = Desk(), job()
    desk.sent(one, NO)
    for after in (1.0, 3.0):
        desk.machine.glimpse(one, seen(Finding.MISSING, NOW + after))
    assert Finish(Status.NOT_FOUND, verified=True) == desk.found(one, Finding.MISSING, NOW + 10)


def test_a_glimpse_corrects_a_request_before_it_is_sent():
    """The wrong endpoint is never asked."""
    desk, one = Desk(), job()
    desk.machine.glimpse(one, seen(WORKING, variety="cover"))
    assert ("cover", [Corrected(one.name, ("variety",))]) == (one.variety, desk.events)


@pytest.mark.parametrize(("verdict", "step"), [(NO, Send()), (OK, Look(patient=True))])
def test_a_glimpse_in_flight_corrects_what_was_refused(verdict, step):
    """A page said what was wrong while the cancel was under way; what was acknowledged went the right way."""
    desk, one = Desk(), job()
    one.is_in_flight = True
    desk.machine.glimpse(one, seen(WORKING, variety="cover"))
    assert ("regular", step) == (one.variety, desk.sent(one, verdict))


def test_a_row_of_a_while_ago_is_looked_at_once_more_at_the_deadline():
    """The order may have been cancelled since."""
    desk, one, at = Desk(), job(), NOW + DEADLINE
    desk.sent(one, OK)
    desk.found(one, WORKING, at - 0.5)
    assert Finish(Status.UNKNOWN) == desk.machine.time_up(one, at)
    other = job()
    desk.sent(other, OK)
    desk.found(other, WORKING, at - 1.5)
    assert Look(until=at + 2.0) == desk.machine.time_up(other, at)


def test_a_contradicted_order_waits_for_no_others():
    """Only what is most likely done is patient."""
    desk, one = Desk(), job()
    assert desk.sent(one, OK).patient
    assert not desk.found(one, WORKING, NOW + 1).patient


def test_an_ok_on_a_watch_has_as_long_to_stand_as_any_other():
    """Also one that came late in the watch."""
    desk, one = Desk(window=10.0), watched()
    desk.machine.begin(one, NOW, sends=1)
    desk.sent(one, OK, NOW + 15)
    assert NOW + 25 == one.deadline_at


def test_what_was_only_turned_away_expires():
    """The broker looked at nothing; with a session that is refused to the end the account is blocked."""
    desk, slow, shut, at = Desk(), job(), job(), NOW + DEADLINE
    desk.sent(slow, Verdict(Action.RETRY, code="429", is_turned_away=True))
    desk.sent(shut, Verdict(Action.RENEW, code="100022", is_turned_away=True))
    assert [Look(until=at + 2.0)] * 2 == [desk.machine.time_up(one, at) for one in (slow, shut)]
    assert [Finish(Status.EXPIRED), Finish(Status.BLOCKED)] == [
        desk.machine.time_up(one, at + 2) for one in (slow, shut)
    ]


def test_a_row_that_was_not_asked_for_ends_a_dead_order_alone():
    """One that it shows alive goes on."""
    desk, one = Desk(), job()
    assert desk.machine.see(one, seen(WORKING), NOW + 1) is None
    assert Finish(Status.FILLED, verified=True) == desk.machine.see(one, seen(FILLED), NOW + 2)
    assert ("book", NOW + 2) == (one.document["verified_by"], one.document["seen_at"])


# ---------------------------------------------------------------------- the record of the end


def test_the_record_says_what_the_book_proved():
    """Status, proof, times and quantities; the order's memory is gone."""
    desk, one = Desk(), job()
    desk.sent(one, OK)
    desk.machine.conclude(one, desk.found(one, CANCELLED), NOW + 1)
    facts = {"verified": True, "verified_by": "book", "verified_at": NOW + 1, "final_at": NOW + 1}
    facts |= {"filled_quantity": 4, "unfilled_quantity": 6}
    assert (Status.CANCELLED, None) == (one.status, one.course)
    assert facts == {name: one.document[name] for name in facts}


def test_the_record_of_a_word_claims_no_proof():
    """Neither by what nor when, though a page was read."""
    desk, one = Desk(), job()
    desk.sent(one, NO)
    desk.found(one, WORKING)
    desk.machine.conclude(one, Finish(Status.REFUSED), NOW + 1)
    assert not {"verified", "verified_by", "verified_at", "filled_quantity"} & one.document.keys()


@pytest.mark.parametrize("state", [OrderState.GONE, OrderState.NOT_CANCELLED])
def test_the_record_keeps_the_reason_of_a_row_that_refused(state):
    """The exchange's text, in place of the reply's."""
    desk, one = Desk(), job(text="said")
    desk.sent(one, OK)
    desk.found(one, state, reason="RMS: no")
    desk.machine.conclude(one, Finish(Status.GONE, verified=True), NOW + 1)
    assert "RMS: no" == one.document["text"]


def test_the_record_of_a_refusal_always_has_a_cause():
    """Another worker heard the reply, and died; the row gives no reason."""
    desk, one = Desk(), job(maybe_sent=True)
    end = desk.found(one, OrderState.NOT_CANCELLED, NOW + 20)
    if not isinstance(end, Finish):
        assert isinstance(desk.machine.time_up(one, NOW + DEADLINE), Look)
        end = desk.found(one, Finding.UNREADABLE, NOW + DEADLINE + 1)
    desk.machine.conclude(one, end, NOW + DEADLINE + 1)
    assert (Status.REFUSED, "the book says: not_cancelled") == (one.status, one.document["text"])


# ---------------------------------------------------------------------- watched orders


def test_a_watched_order_is_looked_at_first_and_has_time_for_one_more_cancel():
    """Twice as long as a page may be behind, and time to prove that there is no such order."""
    for window, seconds in ((20.0, 40.0), (8.0, 18.0), (0.5, 10.5)):
        one = watched()
        assert Look() == Desk(window=window).machine.begin(one, NOW + 100, sends=1)
        assert NOW + 100 + seconds == one.deadline_at


@pytest.mark.parametrize(
    ("sends", "end"), [(0, Finish(None)), (1, Finish(Status.UNKNOWN)), (2, Finish(Status.UNKNOWN))]
)
def test_a_watched_order_is_sent_as_often_as_its_budget_allows(sends, end):
    """Each time the book shows it working after silence; then it is left to the next watch."""
    desk, one, steps = Desk(), watched("blocked", maybe_sent=False), []
    desk.machine.begin(one, NOW, sends=sends)
    for after in range(3):
        steps.append(desk.found(one, WORKING, NOW + after))
        if not isinstance(steps[-1], Send):
            break
        assert Look() == desk.sent(one, SILENCE, NOW + after)
    assert ([Send] * sends, end) == ([type(step) for step in steps[:-1]], steps[-1])


def test_a_watched_order_whose_try_may_have_acted_is_looked_at():
    """It is sent once a look; what certainly did nothing is tried again."""
    desk, one = Desk(backoff=1.0), watched()
    desk.machine.begin(one, NOW, sends=1)
    assert Send(NOW + 1.0) == desk.sent(one, TOO_FAST)
    assert Look() == desk.sent(one, GATEWAY_ERROR)


def test_an_unknown_order_that_was_refused_for_good_is_refused_on_proof():
    """Never sent again; a row that is younger than the refusal by a window proves that it works."""
    desk, one = Desk(), watched(code="1113", answered_at=NOW - 5)
    desk.machine.begin(one, NOW, sends=1)
    assert isinstance(desk.found(one, WORKING, NOW + 4.9), Look)
    assert Finish(Status.REFUSED, verified=True) == desk.found(one, WORKING, NOW + 5)


def test_a_refused_order_that_still_works_stays_refused():
    """It is no news, so that the record is not written again."""
    desk, one = Desk(), watched("refused", code="1113", answered_at=NOW - 50)
    desk.machine.begin(one, NOW, sends=1)
    assert Finish(None) == desk.found(one, WORKING, NOW + 1)


def test_a_blocked_order_that_is_blocked_again_stays_blocked():
    """The trouble has not ended."""
    desk, one = Desk(), watched("blocked", maybe_sent=False)
    desk.machine.begin(one, NOW, sends=1)
    assert isinstance(desk.found(one, WORKING, NOW), Send)
    assert Look() == desk.sent(one, SHUT_OUT)
    assert Finish(None) == desk.found(one, WORKING, NOW + 10)


def test_a_blocked_order_whose_trouble_ended_is_cancelled():
    """A trouble of seconds does not leave it blocked for ever."""
    desk, one = Desk(), watched("blocked", maybe_sent=False)
    desk.machine.begin(one, NOW, sends=1)
    desk.found(one, WORKING, NOW)
    desk.sent(one, OK)
    assert Finish(Status.CANCELLED, verified=True) == desk.found(one, CANCELLED, NOW + 1)


@pytest.mark.parametrize("status", ["refused", "blocked"])
def test_what_may_have_been_cancelled_meanwhile_is_unknown(status):
    """Sent on the watch, and no reply and no row came: the old status claims too much."""
    desk, one = Desk(), watched(status, maybe_sent=False)
    desk.machine.begin(one, NOW, sends=1)
    desk.found(one, WORKING, NOW)
    desk.sent(one, SILENCE)
    desk.machine.time_up(one, one.deadline_at)
    assert Finish(Status.UNKNOWN) == desk.machine.time_up(one, one.deadline_at + 2)


def test_a_watched_order_that_is_nowhere_is_looked_for_and_then_not_found():
    """Also one that is not sent."""
    desk, one = Desk(), watched()
    desk.machine.begin(one, NOW, sends=0)
    steps = [desk.found(one, Finding.MISSING, NOW + after) for after in (0.1, 2.0, 10.0)]
    assert [Look, Look] == [type(step) for step in steps[:2]]
    assert Finish(Status.NOT_FOUND, verified=True) == steps[2]


def test_a_watched_order_that_was_seen_once_is_never_not_found():
    """The record says that some page had it, perhaps in another process."""
    desk, one = Desk(), watched(seen_at=NOW - 30)
    desk.machine.begin(one, NOW, sends=0)
    steps = [desk.found(one, Finding.MISSING, NOW + after) for after in (0.1, 2.0, 12.0, 15.0)]
    assert (Look, {Finish(None)}) == (type(steps[0]), set(steps[1:]))


def test_a_proof_keeps_the_time_of_the_first_end():
    """A caller saw `unknown` then."""
    desk, one = Desk(), watched()
    desk.machine.begin(one, NOW)
    desk.machine.conclude(one, desk.found(one, FILLED), NOW + 1)
    assert (Status.FILLED, NOW - 5, NOW + 1) == (one.status, one.document["first_final_at"], one.document["final_at"])


def test_a_watch_without_news_leaves_the_record_as_it_is():
    """Status and times; its memory is gone."""
    desk, one = Desk(), watched()
    desk.machine.begin(one, NOW)
    desk.machine.conclude(one, Finish(None), NOW + 1)
    assert (Status.UNKNOWN, NOW - 5, None) == (one.status, one.document["final_at"], one.course)
