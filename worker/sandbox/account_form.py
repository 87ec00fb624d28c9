"""Shapes of an account: its secrets, its rates, and how its logins and sessions behave."""

import base64
import binascii
import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from worker.sandbox.form import Form, Rate, Seconds, Ucc

__all__ = ["AccountForm", "LoginRules"]


def _base32(secret: str) -> str:
    try:
        base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base32") from None
    return secret


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


SixDigits = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Many = Annotated[int, Field(ge=1)]


class LoginRules(Form):
    """How logins and sessions behave. As it stands, every rule but the drift of TOTP is off.

    Of logins: each of the two calls takes `login_seconds`. With a TOTP secret, codes of `totp_drift` steps of 30 s
    before and after are good. After `mpin_attempts` wrong MPINs one after another the account is locked: the second
    call refuses every MPIN until the control API unlocks the account or creates it anew.
    Of sessions: one that a login opened ends after `session_seconds`, and `exp` in its token says so; with None the
    token names the next midnight in India, and nothing ends by itself. `tokens` that are `opaque` are no JWT.
    `session_limit` is how many a login leaves alive: it ends that of its own address, then the oldest ones.
    Of addresses, see `ip_of`: `ip_binding` answers 1037 where a session is used from another address than that of its
    login, on cancels (`orders`) or all calls (`all`). `ip_whitelist` answers 100008 to cancels from other addresses,
    with HTTP status `ip_refusal_status`; None lets all in.
    Sessions that the control API hands out without a login have no address and no end, and do not count.
    """

    login_seconds: Seconds = 0.0
    totp_drift: Annotated[int, Field(ge=0, le=10)] = 1
    mpin_attempts: Many | None = None
    session_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    session_limit: Many | None = None
    tokens: Literal["jwt", "opaque"] = "jwt"
    ip_binding: Literal["off", "orders", "all"] = "off"
    ip_whitelist: list[Annotated[str, AfterValidator(_address)]] | None = None
    ip_refusal_status: Literal[200, 401, 403] = 403


class AccountForm(LoginRules):
    """An account to create or to replace. None means no limit, and of a secret, that any well-formed one is taken."""

    ucc: Ucc
    orders_per_second: Rate | None = None
    reads_per_second: Rate | None = None
    mobile: Text | None = None
    access_token: Text | None = None
    mpin: SixDigits | None = None
    totp_secret: Annotated[str, StringConstraints(min_length=8), AfterValidator(_base32)] | None = None
    cancel_pending_seconds: Seconds = 0.0
    history_wrapped: bool = False

    def login_rules(self, of_all: LoginRules) -> LoginRules:
        """Return those of all accounts, changed to what this account names itself."""
        return of_all.model_copy(update=self.model_dump(include=set(LoginRules.model_fields), exclude_unset=True))
