"""What an order's end must be: the promises of the final statuses, as checks.

What could be known. A process knows of an order what it was shown while it held it, under one claim of the ledger: the
replies to its own cancels, the rows in the pages that were given to it (those of other orders' reads included, yesterday's
rows apart; a terminal row also before the claim), and what the ledger's record says (whether an earlier process may have
sent). The truth could be known if
(a) a page that was given to this process held a terminal row of the order, or
(b) the book was settled, which is when every read would show the end, for PATIENCE seconds, and no read of the order or its
book was under way in that time.
A process whose reads failed, were cut, lagged, jumped or missed the row is excused, and so is the time in which it stood
still, the ledger was away or the account had no session; one that did not look is not.

Whose cancel it was could be known
- to be ours: if an "Ok" was heard, or a cancel may have acted unheard (silence, a gateway's error, an unlisted code) and the
  broker's clock is right;
- to be somebody else's: if no cancel of ours may have acted (none was sent, or each was answered by 1006, 1021 or a
  listed refusal), or the row's time of change lies before the first cancel of ours by a clock that is right.

Too early is (before the deadline, the deadline included by END_SLACK)
- `unknown` and `expired` always; `expired` also after a cancel that may have had an effect (not: too fast, session gone);
- `refused` but for a listed refusal for good by the right endpoint; 1006, 1021, unlisted codes and "not cancelled" rows wait
  for proof as long as an "Ok" does (the window), and a row in flight refuses nothing;
- `blocked` without a reply to any order of the account that blocks it, and with a session;
- `not_found` but for two whole books without the order whose reads began MISSES_SPAN apart, after the claim.
"""

from collections.abc import Callable, Iterator
from typing import Final

from tests.simulation.habits import MOST_HIDDEN
from tests.simulation.meters import PATIENCE
from tests.simulation.records import Ending
from tests.simulation.truth import Life
from tests.simulation.wire import Meaning
from tests.simulation.witness import Witness

__all__ = ["HANDLING_SECONDS", "WINDOW", "check_end"]

WINDOW: Final = 10.0
SOON: Final = 3.0
END_SLACK: Final = 0.05
MISSES_SPAN: Final = 2.0
_CLOCK_SLACK: Final = 0.05
_TIME_SLACK: Final = 2 * _CLOCK_SLACK
HANDLING_SECONDS: Final = 0.0005
"""A page that came in so short a time before may still be on its way through the process."""
_DEAD: Final = frozenset({"cancelled", "already_cancelled", "filled", "gone", "not_found"})
_TRUE_ENDS: Final = {"us": "cancelled", "other": "already_cancelled"}

Looked = Callable[[Witness, float, float], bool]
"""Whether the process began a read that covers the witness's order, between two times."""


def check_end(witness: Witness, ending: Ending, now: float, looked: Looked) -> Iterator[tuple[str, str]]:
    """Name each promise that this end breaks, and why."""
    if ending.status in _DEAD:
        yield from _check_dead(witness, ending, now, looked)
        return
    if _could_know(witness, ending, now, looked):
        yield "alive_though_dead", f"{ending.status}, but the order is {witness.order.now.life}"
    if not witness.claim.is_watched:
        yield from _check_early(witness, ending, now)
        yield from _check_word(witness, ending)
    if ending.status in ("refused", "blocked") and not (ending.code or ending.text):
        yield "no_cause", f"{ending.status} without code and text"
    if _must_be_missing(witness) and ending.status in ("refused", "unknown"):
        yield "wrong_end", f"{ending.status}, but {len(witness.misses)} whole books did not have it"


# ---------------------------------------------------------------------- ends that say: it is dead


def _check_dead(witness: Witness, ending: Ending, now: float, looked: Looked) -> Iterator[tuple[str, str]]:
    order = witness.order
    if order.works:
        if not _ok_stands(witness, ending, now):
            yield "false_status", f"{ending.status} verified={ending.verified}, but the order is {order.now.said}"
    elif (reason := _wrong_end(witness, ending, now, looked)) is not None:
        yield "wrong_end", reason
    if ending.status == "not_found" and (early := _hasty_not_found(witness)):
        yield "early", early
    yield from _check_proof(witness, ending)
    # A later cancel that is on its way, and whose reply is lost, is waited for first.
    is_repeated = witness.last is Meaning.SILENCE
    if witness.ok_at is not None and order.settled_at is not None and not is_repeated:
        provable = max(witness.ok_at, order.settled_at, witness.since)
        if now - provable > SOON and not looked(witness, provable, provable + SOON):
            yield "late", f"acknowledged, provable for {now - provable:.1f} s, and not looked at for {SOON} s"


def _ok_stands(witness: Witness, ending: Ending, now: float) -> bool:
    """Tell whether an unverified `cancelled` may rest on the broker's word: no page contradicted it, and the window is over."""
    if ending.status != "cancelled" or ending.verified or witness.ok_at is None or witness.alive_after_ok:
        return False
    return now >= min(witness.ok_at + WINDOW, _deadline(witness)) - END_SLACK


def _wrong_end(witness: Witness, ending: Ending, now: float, looked: Looked) -> str | None:
    order, said = witness.order, ending.status
    if not order.versions:
        is_right = said == "not_found" or (said == "cancelled" and witness.ok_at is not None)
        return None if is_right else f"{said}, but there never was such an order"
    true = _TRUE_ENDS.get(order.ended_by or "") or ("filled" if order.now.life is Life.FILLED else "gone")
    if said == true:
        return None
    if said == "cancelled" and witness.dead_shown is None:
        stands = _ok_stands(witness, ending, now) and not _did_not_look(witness, now, looked)
        return None if stands else f"cancelled, but {true} could be known"
    if {said, true} == {"cancelled", "already_cancelled"}:
        return _wrong_canceller(witness, true)
    return f"{said}, but it was {true}"


def _wrong_canceller(witness: Witness, true: str) -> str | None:
    is_clock_right = abs(witness.order.clock_off) < _CLOCK_SLACK
    if true == "cancelled":
        if witness.ok_at is not None:
            return "already_cancelled, but the broker said Ok to our cancel"
        return "already_cancelled, but our cancel may have acted" if witness.may_have_sent and is_clock_right else None
    if witness.ok_at is not None:
        return None
    if not witness.may_have_sent:
        return "cancelled, but no cancel of ours can have acted"
    ended_at = witness.order.ended_at
    # Some brokers give times in whole seconds: one that is whole may be up to a second older than the change.
    slack = _TIME_SLACK + (1.0 if ended_at is not None and ended_at.is_integer() else 0.0)
    was_before = ended_at is not None and ended_at < witness.sent_since - slack
    return (
        "cancelled, but it changed before our first cancel"
        if was_before and is_clock_right and witness.is_time_shown
        else None
    )


def _hasty_not_found(witness: Witness) -> str | None:
    if witness.was_shown:
        return "not_found, but a row of it was shown"
    span = max(witness.misses) - min(witness.misses) if witness.misses else 0.0
    return None if span >= MISSES_SPAN else f"not_found after {len(witness.misses)} misses within {span:.2f} s"


def _check_proof(witness: Witness, ending: Ending) -> Iterator[tuple[str, str]]:
    if not ending.verified or ending.status == "not_found":
        return
    row = witness.dead_shown
    if row is None:
        yield "unproven", f"{ending.status} verified, but no page showed the end"
    elif not witness.order.works and ending.filled != row.filled:
        yield "wrong_quantity", f"{ending.filled} filled, but the row says {row.filled}"


# ---------------------------------------------------------------------- ends that say: it may still work


def _deadline(witness: Witness) -> float:
    return witness.order.accepted_at + witness.order.plan.deadline


def _could_know(witness: Witness, ending: Ending, now: float, looked: Looked) -> bool:
    order = witness.order
    if order.works or not order.versions:
        return False
    shown_at = witness.dead_shown_at
    if shown_at is not None and (shown_at < now - HANDLING_SECONDS or now < _deadline(witness)):
        return True
    if ending.status == "expired" or witness.claim.is_watched:
        return False
    until = now
    if ending.status == "refused" and not witness.is_refused and witness.no_at is not None:
        until = max(now, min(_deadline(witness), witness.no_at + WINDOW))
    return _did_not_look(witness, until, looked)


def _did_not_look(witness: Witness, until: float, looked: Looked) -> bool:
    settled = witness.order.settled_at
    if settled is None:
        return False
    # What this process has not sent yet need not be looked at.
    since = max(settled, witness.since if witness.first_sent_at is None else witness.first_sent_at)
    return until - since >= PATIENCE and not looked(witness, since, until)


def _check_early(witness: Witness, ending: Ending, now: float) -> Iterator[tuple[str, str]]:
    remaining = _deadline(witness) - now
    if ending.status == "expired" and (witness.left or witness.claim.maybe_sent):
        yield "early", "expired, but something was sent"
    if remaining <= END_SLACK:
        return
    left = f"{ending.status} with {remaining:.1f} s left"
    match ending.status:
        case "unknown" | "expired":
            yield "early", left
        case "refused" if not witness.is_refused and (reason := _hasty_refused(witness, now)):
            yield "early", f"{left}: {reason}"
        case "blocked" if not witness.is_blocked:
            yield "early", f"{left}, and nothing that blocks was heard"
        case _:
            return


def _hasty_refused(witness: Witness, now: float) -> str | None:
    if witness.no_at is None:
        return "no definite refusal was heard"
    row = witness.alive_shown
    said = "unseen" if row is None else row.said
    if now - witness.no_at < WINDOW - END_SLACK:
        return f"{now - witness.no_at:.1f} s after the first no, the row is {said}"
    is_in_flight = row is not None and row.life in (Life.IN_FLIGHT, Life.LEAVING)
    return f"the row is {said}" if is_in_flight else None


def _check_word(witness: Witness, ending: Ending) -> Iterator[tuple[str, str]]:
    """Where no page was readable, the broker's word stands."""
    if ending.status != "unknown" or witness.was_shown or witness.misses or witness.claim.maybe_sent:
        return
    if witness.ok_at is not None and witness.last is Meaning.OK:
        yield "word", "unknown, but the broker said Ok and no page spoke against it"
    elif witness.last is Meaning.DEFINITE and not witness.unsure:
        yield "word", "unknown, but the broker refused for good and no cancel may have acted"


def _must_be_missing(witness: Witness) -> bool:
    misses = witness.misses
    if witness.was_shown or witness.order.versions or witness.ok_at is not None or len(misses) < 3:
        return False
    is_young = max(misses) - witness.order.accepted_at >= WINDOW
    return is_young and max(misses) - min(misses) > MOST_HIDDEN + 1.0 and witness.no_at is not None
