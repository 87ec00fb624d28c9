"""What a reply of the broker asks for: a pure decision."""

from dataclasses import dataclass, field
from typing import Final

from neo_cancel.order import Variety
from worker.kotak.codes import Action, Codes
from worker.kotak.replies import NoReply, NotSent, Reply

__all__ = ["NO_SESSION", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judged attempt.

    `may_have_acted`: the broker may have carried the cancel out. `slow_down`: the whole account sends too fast.
    `is_listed`: no code, or one that a table lists. `retry_after_seconds` is the broker's wish, None without one. `has_left`:
    something was sent. `is_turned_away`: the broker did not look at it, since the account is too fast, has no session, or may
    not send from here. `http_status`: of the reply, None without one; no part of what makes two verdicts equal.
    """

    action: Action
    code: str | None = None
    text: str | None = None
    may_have_acted: bool = False
    slow_down: bool = False
    is_listed: bool = True
    retry_after_seconds: float | None = None
    has_left: bool = True
    is_turned_away: bool = False
    http_status: int | None = field(default=None, compare=False)


NO_SESSION: Final = Verdict(Action.BLOCKED, text="no session is configured for this account", has_left=False)
"""No attempt could be made: the account has no session here."""


def judge(answer: Reply | NoReply | NotSent, *, codes: Codes, variety: str, order_number: str) -> Verdict:
    """Judge one attempt to cancel an order of a variety, by the broker's codes.

    A bracket or cover exit is not a plain cancel: where a regular order is simply sent again, it is looked at first unless
    it is certain that nothing happened.
    """
    if isinstance(answer, NotSent):
        action = Action.MEND if answer.is_for_a_person else Action.RETRY
        return Verdict(action, text=f"the broker cannot be reached: {answer.why}", has_left=False)
    if isinstance(answer, NoReply):
        return Verdict(Action.LOOK, text="no reply", may_have_acted=True)
    if answer.is_of_another(order_number):
        text = f"the reply is about order {answer.order_number}"
        return Verdict(Action.LOOK, code=answer.code, text=text, may_have_acted=True)
    action, is_too_fast = codes.action_of(answer), codes.is_too_fast(answer)
    if action is Action.RETRY and not is_too_fast and variety != Variety.REGULAR:
        action = Action.LOOK
    return Verdict(
        action,
        # An order must never end without a reason: an error that says nothing has at least its HTTP status.
        code=answer.code or (None if answer.ok or answer.text else f"HTTP {answer.http_status}"),
        text=answer.text,
        may_have_acted=_may_have_acted(action, is_known=codes.is_known(answer.code), is_too_fast=is_too_fast),
        slow_down=is_too_fast,
        is_turned_away=is_too_fast or action in (Action.RENEW, Action.BLOCKED),
        is_listed=codes.is_listed(answer),
        retry_after_seconds=answer.retry_after_seconds,
        http_status=answer.http_status,
    )


def _may_have_acted(action: Action, *, is_known: bool, is_too_fast: bool) -> bool:
    """Tell what leaves the outcome open: only a refusal that a table lists, and "too fast", certainly did nothing."""
    if action is Action.RETRY:
        return not is_too_fast
    return action is Action.LOOK or (action is Action.UNCLEAR and not is_known)
