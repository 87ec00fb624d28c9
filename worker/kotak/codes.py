"""The broker's codes and HTTP statuses: what each means for a cancel. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from worker.kotak.replies import Reply

__all__ = ["IP_MISMATCH", "KOTAK", "Action", "Codes"]


class Action(StrEnum):
    """What a reply asks for."""

    ACKNOWLEDGED = "acknowledged"  # stat "Ok": the book has the last word
    REFUSED = "refused"  # a definite no
    UNCLEAR = "unclear"  # "already cancelled or not found", or an unlisted code: a no that the book must explain
    RETRY = "retry"  # nothing happened, send it again later
    RENEW = "renew"  # the session is gone
    BLOCKED = "blocked"  # this machine or account cannot cancel
    MEND = "mend"  # not sent, and a person must mend why; tried again until the deadline
    LOOK = "look"  # the outcome is open: read the order


IP_MISMATCH: Final = "1037"
"""The session belongs to another IP address: one renewal may help, a second means that this machine is the wrong one."""

# kotak-neo: codes that its documentation, SDK and users report. The broker publishes no complete list.
_CODES: Final = {
    "1005": Action.RETRY,  # internal error, transient
    "1006": Action.UNCLEAR,  # three documented texts; never decides by itself
    "1021": Action.UNCLEAR,  # order is completed
    "1007": Action.REFUSED,  # invalid body
    "1009": Action.REFUSED,  # bad input
    "5202": Action.REFUSED,  # invalid request
    "5204": Action.REFUSED,  # bad input
    "1017": Action.REFUSED,  # algo order not allowed
    "1113": Action.REFUSED,  # bracket and cover not allowed for the trade API
    "91400": Action.REFUSED,  # only orders placed through the API can be cancelled through it
    "100022": Action.RENEW,  # invalid session token
    "100021": Action.RENEW,
    "1003": Action.RENEW,
    "200032": Action.RENEW,  # invalid URL: wrong base URL for this session
    "900901": Action.RENEW,  # invalid credentials, old gateway
    IP_MISMATCH: Action.RENEW,
    "100008": Action.BLOCKED,  # source IP is not on the account's whitelist
    "429": Action.RETRY,
    "900807": Action.RETRY,  # request quota reached, old gateway
    "5203": Action.UNCLEAR,  # no data
}
_TOO_FAST: Final = frozenset({"429", "900807"})

_HTTP_OK: Final = range(200, 300)
_HTTP_SESSION: Final = frozenset({401, 403})
_HTTP_TRANSIENT: Final = frozenset({408, 424, 429, 503})
_HTTP_TOO_FAST: Final = 429
_HTTP_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Codes:
    """What the codes of a broker mean, and the HTTP status where a reply has no code that is listed.

    `too_fast` are codes with which the broker did nothing because the account sends too fast. `ip_mismatch` is the code for a
    session that belongs to another IP address, None where the broker has none.
    """

    actions: Mapping[str, Action]
    too_fast: frozenset[str] = frozenset()
    ip_mismatch: str | None = None

    def action_of(self, reply: Reply) -> Action:
        """Read what a reply asks for: its "Ok" first, then its code, then its HTTP status."""
        if reply.ok:
            # A gateway's error around an "Ok" is a contradiction, and the book settles contradictions.
            return Action.ACKNOWLEDGED if reply.http_status in _HTTP_OK else Action.LOOK
        return self.actions.get(reply.code or "") or _action_of_status(reply)

    def is_known(self, code: str | None) -> bool:
        """Tell whether the table has the code; None is not in it."""
        return code in self.actions

    def is_listed(self, reply: Reply) -> bool:
        """Tell whether nothing in the reply is new: an "Ok", no code, a listed one, or one that repeats the HTTP status."""
        return reply.ok or self.is_known(reply.code) or reply.code in (None, str(reply.http_status))

    def is_too_fast(self, reply: Reply) -> bool:
        """Tell whether the broker did nothing because the account sends too fast."""
        return reply.code in self.too_fast or reply.http_status == _HTTP_TOO_FAST

    def is_refusal(self, code: str | None) -> bool:
        """Tell whether a code refuses for good: asking again would be refused again."""
        return self.actions.get(code or "") is Action.REFUSED

    def is_session_gone(self, reply: Reply) -> bool:
        """Tell whether the broker refused the session, not the request."""
        return self.action_of(reply) is Action.RENEW


def _action_of_status(reply: Reply) -> Action:
    if reply.http_status in _HTTP_SESSION:
        return Action.RENEW
    if reply.http_status in _HTTP_TRANSIENT:
        return Action.RETRY
    if reply.http_status < _HTTP_SERVER_ERROR and (reply.code or reply.text):
        return Action.UNCLEAR
    return Action.LOOK


KOTAK: Final = Codes(_CODES, _TOO_FAST, IP_MISMATCH)
"""The codes of Kotak Neo."""
