"""The tokens that a login hands out."""

import base64
import uuid

import orjson

__all__ = ["jwt", "opaque_token"]


_IST_SECONDS = 19_800
_DAY_SECONDS = 86_400


def jwt(ucc: str, now: float, *, seconds: float | None = None) -> str:
    """Return a token in the shape of a JWT that runs out so many seconds after `now` (epoch seconds).

    None means at the next midnight in India.
    """
    expires = _next_midnight(int(now)) if seconds is None else int(now + seconds)
    parts = ({"alg": "RS256", "typ": "JWT"}, {"sub": ucc, "scope": ["Trade"], "exp": expires, "jti": uuid.uuid4().hex})
    head, payload = (base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in parts)
    return f"{head}.{payload}.{uuid.uuid4().hex}"


def opaque_token() -> str:
    """Return a token that tells nothing."""
    return uuid.uuid4().hex + uuid.uuid4().hex


def _next_midnight(now: int) -> int:
    return (now + _IST_SECONDS) // _DAY_SECONDS * _DAY_SECONDS + _DAY_SECONDS - _IST_SECONDS
