"""What the broker says, as it goes over the wire: HTTP status, headers and body, in the shapes seen in the wild."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from tests.simulation.dice import Dice

__all__ = ["Answer", "Meaning"]


class Meaning(StrEnum):
    """What a careful reader of the broker's documentation makes of the answer to a cancel."""

    OK = "ok"  # "Ok", its number absent, equal or of another length
    STRANGER = "stranger"  # "Ok" with the number of another order
    DEFINITE = "definite"  # refused for good, by a listed code
    UNCLEAR = "unclear"  # 1006 or 1021: a no that the book must explain
    UNLISTED = "unlisted"  # a code that no table lists: it may have acted
    TRANSIENT = "transient"  # 1005, HTTP 500, 502, 503, HTML: it may have acted
    TOO_FAST = "too fast"
    SESSION = "session"
    BLOCKED = "blocked"
    SILENCE = "silence"  # no reply: it may have acted
    NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP reply, and what it means; `number` is the order whose reply it is. Silence has no status and no body."""

    meaning: Meaning
    number: str
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        text = self.body.decode(errors="replace")
        return f"{self.meaning} HTTP {self.status} {text[:90]}" if self.status else str(self.meaning)


_JSON: Final = (("content-type", "application/json"),)
_HTML: Final = (("content-type", "text/html"),)
_TOO_LATE: Final = (
    (200, {"stat": "Not_Ok", "emsg": "Order already cancelled or not found.", "stCode": 1006}),
    (200, {"stCode": 1006, "errMsg": "Order already executed", "stat": "Not_Ok"}),
    (400, {"stCode": 1021, "errMsg": "order is completed", "stat": "please provide valid order number"}),
)
_DEFINITE: Final = (
    (200, {"stat": "Not_Ok", "stCode": 5202, "errMsg": "Error: Invalid Request", "tid": "server4_1258509"}),
    (400, {"stCode": 1007, "errMsg": "body invalid", "stat": "bad request"}),
    (200, {"stat": "Not_Ok", "emsg": "bad input", "stCode": "1009"}),
    (200, {"error": [{"code": "91400", "message": "only API orders can be cancelled through the API"}]}),
)
_UNLISTED: Final = (
    (200, {"stat": "Not_Ok", "stCode": 7777, "errMsg": "please try later"}),
    (200, {"stat": "Not_Ok", "stCode": 4242, "emsg": "RMS: busy"}),
)
_SESSION: Final = (
    (200, {"stCode": 100022, "errMsg": "invalid session token", "stat": "Not_Ok"}),
    (401, {"code": "900901", "message": "Invalid Credentials", "description": "..."}),
    (200, {"stCode": 200032, "errMsg": "invalid URL", "stat": "Not_Ok"}),
)
_TRANSIENT: Final = (
    (200, _JSON, orjson.dumps({"stat": "Not_Ok", "stCode": 1005, "emsg": "Internal Error"})),
    (502, _HTML, b"<html><h1>502 Bad Gateway</h1></html>"),
    (504, (), b""),
    (500, _JSON, b'{"stat":"Not_Ok"'),
    (503, _HTML, b"<html>maintenance</html>"),
)
_TOO_FAST: Final = (
    (429, {"code": 429, "error": "Rate limit exceeded", "message": "too many request received"}),
    (200, {"fault": {"code": 900807, "message": "Request quota reached"}}),
)


def _json(meaning: Meaning, number: str, status: int, said: dict[str, Any], *headers: tuple[str, str]) -> Answer:
    return Answer(meaning, number, status, (*_JSON, *headers), orjson.dumps(said))


def ok(number: str, dice: Dice, *, other_length: bool) -> Answer:
    said = number[3:] if other_length else number
    shape = dice.pick((
        {"nOrdNo": said, "stat": "Ok", "stCode": 200},
        {"stat": "ok", "nOrdNo": said, "stCode": "200", "emsg": "", "errMsg": ""},
    ))  # fmt: skip
    return _json(Meaning.OK, number, 200, shape)


def too_late(number: str, dice: Dice) -> Answer:
    return _json(Meaning.UNCLEAR, number, *dice.pick(_TOO_LATE))


def definite(number: str, dice: Dice) -> Answer:
    return _json(Meaning.DEFINITE, number, *dice.pick(_DEFINITE))


def unlisted(number: str, dice: Dice) -> Answer:
    return _json(Meaning.UNLISTED, number, *dice.pick(_UNLISTED))


def session_gone(number: str, dice: Dice) -> Answer:
    return _json(Meaning.SESSION, number, *dice.pick(_SESSION))


def http_401(number: str) -> Answer:
    return Answer(Meaning.SESSION, number, 401, _HTML, b"<html>401</html>")


def blocked(number: str, dice: Dice, kind: str) -> Answer:
    if kind == "mismatch":
        said = {"stat": "Not_Ok", "stCode": 1037, "errMsg": "session IP does not match request IP"}
        return _json(Meaning.BLOCKED, number, 200, said)
    said = {"stat": "Not_Ok", "stCode": 100008, "errMsg": "unauthorized: source IP is not whitelisted"}
    return _json(Meaning.BLOCKED, number, dice.pick((200, 401)), said)


def too_fast(number: str, dice: Dice) -> Answer:
    status, said = dice.pick(_TOO_FAST)
    headers = (("retry-after", dice.pick(("1", "2", "0.5"))),) if dice.chance(0.4) else ()
    return _json(Meaning.TOO_FAST, number, status, said, *headers)


def transient(number: str, dice: Dice) -> Answer:
    status, headers, body = dice.pick(_TRANSIENT)
    return Answer(Meaning.TRANSIENT, number, status, headers, body)


def silence(number: str) -> Answer:
    return Answer(Meaning.SILENCE, number)


def not_sent(number: str) -> Answer:
    return Answer(Meaning.NOT_SENT, number)
