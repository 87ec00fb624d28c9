"""Faults to order: which calls they hit and what they do to them."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, cast

import orjson
from pydantic import AfterValidator, Field, StringConstraints

from worker.sandbox.exchange import REFUSAL
from worker.sandbox.form import Form, OrderNumber, Seconds, Ucc
from worker.sandbox.journal import TARGETS, Call, Target
from worker.sandbox.presets import PRESETS
from worker.sandbox.reply import JSON, Reply, json_reply, raw_reply, too_many

__all__ = [
    "AckOnly",
    "Alter",
    "AnyFault",
    "CancelBefore",
    "CancelPending",
    "CannedReply",
    "Delay",
    "FaultBook",
    "FillBefore",
    "PresetReply",
    "RateLimit",
    "RefuseLate",
    "Reset",
    "Stall",
    "Truncate",
]


_FRAMING = frozenset({"content-length", "transfer-encoding", "content-type", "connection"})


def _known_preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError("must be a preset; GET /_sandbox/presets lists them")
    return name


def _not_framing(name: str) -> str:
    if name.lower() in _FRAMING:
        raise ValueError("must not be a header that frames the reply")
    return name


HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$"), AfterValidator(_not_framing)]
HeaderText = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{0,512}$")]
Status = Annotated[int, Field(ge=200, le=599)]
Times = Annotated[int, Field(ge=1)]


class Fault(Form):
    """Which calls a fault hits. None means: any account, any order, no end, always."""

    on: Target
    name: str | None = None
    ucc: Ucc | None = None
    order_number: OrderNumber | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    times: Times | None = None
    times_per_order: Times | None = None

    def aims_at(self, call: Call) -> bool:
        """Whether the call is of the kind, account and order that this fault is for."""
        return (
            call.endpoint in TARGETS[self.on]
            and self.ucc in {None, call.ucc}
            and self.order_number in {None, call.order_number}
        )


class Delay(Fault):
    """Wait, then go on."""

    fault: Literal["delay"]
    seconds: Seconds


class FillBefore(Fault):
    """Execute the order, or `quantity` shares of it, just before the call is handled."""

    fault: Literal["fill_before"]
    quantity: Times | None = None


class CancelBefore(Fault):
    """Another client cancels the order just before the call is handled."""

    fault: Literal["cancel_before"]


class CannedReply(Fault):
    """Answer as ordered; with `after_effect` the call is carried out first."""

    fault: Literal["reply"]
    status: Status = 200
    body: Any = ""
    content_type: HeaderText = JSON
    headers: dict[HeaderName, HeaderText] = Field(default_factory=dict)
    after_effect: bool = False

    def reply(self) -> Reply:
        """Return the ordered reply."""
        return raw_reply(self.body, status=self.status, content_type=self.content_type, headers=self.headers)


class PresetReply(Fault):
    """Answer with a preset; `status` None keeps the preset's own."""

    fault: Literal["preset"]
    preset: Annotated[str, AfterValidator(_known_preset)]
    status: Status | None = None
    headers: dict[HeaderName, HeaderText] = Field(default_factory=dict)
    after_effect: bool = False

    def reply(self) -> Reply:
        """Return the preset's reply."""
        return PRESETS[self.preset].reply(status=self.status, headers=self.headers)

    def retyped(self, real: Reply) -> Reply:
        """Return the real reply under the preset's content type."""
        preset = PRESETS[self.preset]
        return Reply(self.status or real.status, real.body, real.code, preset.content_type, self.headers)


class Alter(Fault):
    """Carry the call out and change fields in the `data` of the real reply, at its top where it has none.

    A value of None takes the field out. `{"fault": "alter", "on": "validate", "fields": {"baseUrl": "http://x.test"}}`
    is a login that succeeds and names a wrong address.
    """

    fault: Literal["alter"]
    fields: dict[str, Any]

    def altered(self, real: Reply) -> Reply:
        """Return the real reply with the fields changed."""
        payload = orjson.loads(real.body)
        if not isinstance(payload, dict):
            return real
        top = cast("dict[str, Any]", payload)
        inner = top.get("data")
        changed = cast("dict[str, Any]", inner) if isinstance(inner, dict) else top
        changed.update(self.fields)
        for name in [name for name, value in self.fields.items() if value is None]:
            del changed[name]
        return json_reply(top, status=real.status)


class RateLimit(Fault):
    """Answer 429; `retry_after` in seconds, None leaves the header out."""

    fault: Literal["rate_limit"]
    retry_after: Annotated[int, Field(ge=0)] | None = None
    after_effect: Literal[False] = False

    def reply(self) -> Reply:
        """Return the broker's 429."""
        reply = too_many()
        if self.retry_after is not None:
            reply.headers["Retry-After"] = str(self.retry_after)
        return reply


class Reset(Fault):
    """Cut the connection with a TCP reset."""

    fault: Literal["reset"]
    after_effect: bool = False


class Stall(Fault):
    """Hold the connection for so long, then close it without a reply."""

    fault: Literal["stall"]
    seconds: Seconds
    after_effect: bool = False


class Truncate(Fault):
    """Send half of the real reply, then close."""

    fault: Literal["truncate"]
    after_effect: bool = True


class AckOnly(Fault):
    """Answer Ok and do nothing."""

    fault: Literal["ack_only"]


class RefuseLate(Fault):
    """Answer Ok, then refuse: at once, or after `seconds` in `cancel pending`."""

    fault: Literal["refuse_late"]
    seconds: Seconds = 0.0
    reason: str = REFUSAL


class CancelPending(Fault):
    """Answer Ok and stay in `cancel pending` for so long."""

    fault: Literal["cancel_pending"]
    seconds: Seconds


AnyFault = Annotated[
    Delay
    | FillBefore
    | CancelBefore
    | CannedReply
    | PresetReply
    | Alter
    | RateLimit
    | Reset
    | Stall
    | Truncate
    | AckOnly
    | RefuseLate
    | CancelPending,
    Field(discriminator="fault"),
]


@dataclass(slots=True)
class Rule:
    """A fault at work, with the number of calls that it hit."""

    name: str
    fault: AnyFault
    hits: int = 0
    hits_per_order: Counter[str] = field(default_factory=Counter[str])

    def as_json(self) -> dict[str, Any]:
        """Return the rule as the control API shows it."""
        return self.fault.model_dump() | {"name": self.name, "hits": self.hits}


class FaultBook:
    """The faults in force. A call meets them in the order in which they were added.

    Delays and fills happen and let the call go on; the first fault of another kind decides it.
    """

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self.clear()

    def clear(self) -> None:
        """Drop every rule and start the dice anew."""
        self.rules: list[Rule] = []
        self._added = 0
        self._dice = random.Random(self._seed)

    def add(self, fault: AnyFault) -> Rule:
        """Put a fault in force."""
        self._added += 1
        rule = Rule(fault.name or f"{fault.fault}-{self._added}", fault)
        self.rules.append(rule)
        return rule

    def draw(self, call: Call) -> list[AnyFault]:
        """Return the faults that this call meets; each is counted as a hit."""
        drawn: list[AnyFault] = []
        for rule in self.rules:
            if not self._hits(rule, call):
                continue
            drawn.append(rule.fault)
            if not isinstance(rule.fault, Delay | FillBefore | CancelBefore):
                break
        return drawn

    def _hits(self, rule: Rule, call: Call) -> bool:
        fault, order = rule.fault, call.order_number or ""
        if not fault.aims_at(call):
            return False
        if fault.times is not None and rule.hits >= fault.times:
            return False
        if fault.times_per_order is not None and rule.hits_per_order[order] >= fault.times_per_order:
            return False
        if fault.probability < 1 and self._dice.random() >= fault.probability:
            return False
        rule.hits += 1
        rule.hits_per_order[order] += 1
        return True
