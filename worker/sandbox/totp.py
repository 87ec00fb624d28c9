"""Time-based one-time passwords (RFC 6238, SHA-1, six digits, steps of 30 s)."""

import base64
import hashlib
import hmac

__all__ = ["totp_codes", "totp_step"]


_STEP_SECONDS = 30


def totp_step(secret: str, code: str, now: float, *, drift: int = 1) -> int | None:
    """Return the step whose code this is, None when it is not good at `now` (epoch seconds).

    `secret` is base32; codes of `drift` steps before and after are good, too.
    """
    return next((step for step in _steps(now, drift) if hmac.compare_digest(_code(secret, step), code)), None)


def totp_codes(secret: str, now: float, *, drift: int = 1) -> set[str]:
    """Return every code that is good at `now`."""
    return {_code(secret, step) for step in _steps(now, drift)}


def _steps(now: float, drift: int) -> range:
    step = int(now) // _STEP_SECONDS
    return range(max(0, step - drift), step + drift + 1)


def _code(secret: str, step: int) -> str:
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    digest = hmac.new(key, step.to_bytes(8, "big"), hashlib.sha1).digest()
    start = digest[-1] & 0x0F
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"
