"""Named replies for every body that the broker is known to send."""

from dataclasses import dataclass, field
from typing import Any

from worker.sandbox.reply import JSON, Reply, raw_reply

__all__ = ["PRESETS"]


_HTML = "text/html"
_GATEWAY_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
_NOISE_BYTES = 2 * 1024 * 1024
_NESTING = 100_000


@dataclass(frozen=True, slots=True)
class Preset:
    """A reply to order by name; without a body the real reply goes out under another content type."""

    status: int
    body: Any = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def retypes_real_reply(self) -> bool:
        """Whether the call is carried out and only the content type is replaced."""
        return self.body is None

    def reply(self, *, status: int | None, headers: dict[str, str]) -> Reply:
        """Return the reply; None keeps the preset's HTTP status."""
        merged = self.headers | headers
        return raw_reply(self.body, status=status or self.status, content_type=self.content_type, headers=merged)


def _said(code: int, text: str, *, status: int = 200) -> Preset:
    return Preset(status, {"stat": "Not_Ok", "emsg": text, "stCode": code})


def _erred(code: int, text: str, *, status: int = 200) -> Preset:
    return Preset(status, {"stCode": code, "errMsg": text, "stat": "Not_Ok"})


_OLD_ORDER = {"code": "91400", "message": "Only orders placed through the API can be cancelled through the API"}
_LOGIN_HTML = (
    "<!DOCTYPE html><html><head><title>Login</title></head>"
    '<body><form action="/login" method="post"><input name="mpin"/></form></body></html>'
)
_NO_LOGIN = {"code": "400", "message": "Invalid credentials or TOTP."}
_FOREIGN_IP = "unauthorized: source IP is not whitelisted for this account"

PRESETS: dict[str, Preset] = {
    "1005": _said(1005, "Internal Error"),
    "1006_cancelled": _said(1006, "Order already cancelled or not found."),
    "1006_executed": _said(1006, "Order already executed."),
    "1006_exchange": _said(1006, "Invalid exchange."),
    "1007": Preset(400, {"stCode": 1007, "errMsg": "body invalid", "stat": "bad request"}),
    "1009": _said(1009, "Bad input: please provide a valid order number."),
    "5202": Preset(
        200, {"stat": "Not_Ok", "stCode": 5202, "errMsg": "Error: Invalid Request", "tid": "server4_1258509"}
    ),
    "5204": _erred(5204, "Invalid input"),
    "1017": _said(1017, "Algo order not allowed"),
    "1021": Preset(400, {"stCode": 1021, "errMsg": "order is completed", "stat": "please provide valid order number"}),
    "1113": _erred(1113, "BO/CO product is not allowed for the trade API"),
    "91400": Preset(400, {"error": [_OLD_ORDER]}),
    "91400_in_data": Preset(400, {"data": {"error": [_OLD_ORDER]}}),
    "100022": _erred(100022, "invalid session token", status=401),
    "100022_http200": _erred(100022, "invalid session token"),
    "100021": _erred(100021, "invalid access type", status=401),
    "1003": _erred(1003, "invalid access type"),
    "200032": _erred(200032, "invalid URL"),
    "1037": _erred(1037, "session IP does not match request IP"),
    "100008": _erred(100008, _FOREIGN_IP),
    "100008_http401": _erred(100008, _FOREIGN_IP, status=401),
    "100008_http403": _erred(100008, _FOREIGN_IP, status=403),
    "5203": Preset(200, {"stat": "Not_Ok", "errMsg": "No Data", "stCode": 5203}),
    "login_invalid": Preset(401, {"status": "error", "message": "Invalid credentials or TOTP.", "errorCode": "401"}),
    "login_invalid_http200": Preset(
        200, {"status": "error", "message": "Invalid credentials or TOTP.", "errorCode": "401"}
    ),
    "login_wrong_mpin": Preset(401, {"status": "error", "message": "Invalid MPIN.", "errorCode": "401"}),
    "login_error_list": Preset(200, {"error": [_NO_LOGIN]}),
    "login_error_in_data": Preset(200, {"data": {"error": [_NO_LOGIN], "status": "failure"}}),
    "login_html": Preset(200, _LOGIN_HTML, _HTML),
    "login_invalid_ucc": Preset(200, {"stCode": 429, "errMsg": "Invalid UCC", "status": "failure"}),
    "429_json": Preset(429, {"code": 429, "error": "Rate limit exceeded", "message": "too many request received"}),
    "900901": Preset(
        401, {"code": "900901", "message": "Invalid Credentials", "description": "Access failure for API"}
    ),
    "900807": Preset(429, {"fault": {"code": 900807, "message": "Request quota reached"}}),
    "html_502": Preset(502, _GATEWAY_HTML.format("502 Bad Gateway"), _HTML),
    "html_504": Preset(504, _GATEWAY_HTML.format("504 Gateway Time-out"), _HTML),
    "empty_502": Preset(502, "", "text/plain"),
    "text_json": Preset(200, None, "text/plain"),
    "garbage": Preset(200, '{"stat":"Ok\x00,"nOrdNo":}}\x1b[31m not JSON'),
    "2mb_noise": Preset(200, "neo\u0000noise;" * (_NOISE_BYTES // 10 + 1), _HTML),
    "deep_json": Preset(200, "[" * _NESTING + "]" * _NESTING),
}
