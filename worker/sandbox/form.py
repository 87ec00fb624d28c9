"""Shapes of control API input, and the one error for input that does not fit."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from worker.sandbox.order import Variety

__all__ = [
    "ExpireForm",
    "Form",
    "Generator",
    "InputError",
    "LookupForm",
    "OrderForm",
    "OrderNumber",
    "OrderTemplate",
    "Rate",
    "Seconds",
    "Segment",
    "StateForm",
    "Ucc",
    "UnlockForm",
    "parsed",
]


_SHOWN_CHARACTERS = 200


class InputError(Exception):
    """Control API input that was refused; nothing was changed."""

    def __init__(self, field: str, value: Any, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.value = value
        self.rule = rule

    @classmethod
    def from_validation(cls, error: ValidationError) -> Self:
        """Return the first of pydantic's complaints, and how many more there were."""
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        return cls(field, first["input"], first["msg"].removeprefix("Value error, ") + more)

    def as_json(self) -> dict[str, Any]:
        """Field, value as given (cut when long), rule, and the three in one line."""
        shown = repr(self.value)
        cut = len(shown) > _SHOWN_CHARACTERS or not isinstance(self.value, str | int | float | bool | None)
        value = shown[:_SHOWN_CHARACTERS] if cut else self.value
        message = f"{self.field}: {self.rule}, got {shown[:_SHOWN_CHARACTERS]}"
        return {"error": {"field": self.field, "value": value, "rule": self.rule, "message": message}}


T = TypeVar("T")


def parsed(validate: Callable[[Any], T], body: bytes) -> T:
    """Return the body as the form asks for it; raises InputError."""
    try:
        return validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise InputError("body", body[:_SHOWN_CHARACTERS].decode(errors="replace"), f"must be JSON: {error}") from error
    except ValidationError as error:
        raise InputError.from_validation(error) from error


Ucc = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{3,16}$")]
OrderNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{10,20}$")]
TradingSymbol = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9&-]{1,64}$")]
State = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,80}$")]
Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Quantity = Annotated[int, Field(ge=1, le=10_000_000)]
Filled = Annotated[int, Field(ge=0, le=10_000_000)]
Product = Literal["NRML", "MIS", "CNC", "MTF", "CO", "BO"]
Segment = Literal["nse_cm", "bse_cm", "nse_fo", "bse_fo", "cde_fo", "mcx_fo"]


class Form(BaseModel):
    """Input with no unknown fields and no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OrderTemplate(Form):
    """What an order to create is like; None means: what suits variety, segment and AMO."""

    ucc: Ucc
    variety: Variety = "regular"
    state: State | None = None
    amo: bool = False
    trading_symbol: TradingSymbol | None = None
    segment: Segment = "nse_cm"
    quantity: Quantity = 10
    filled_quantity: Filled | None = None
    product: Product | None = None


class OrderForm(OrderTemplate):
    """An order to create; a number of None is generated."""

    order_number: OrderNumber | None = None


class BatchForm(OrderTemplate):
    """Many orders alike, with generated numbers."""

    count: Annotated[int, Field(ge=1, le=200_000)]


class Generator(Form):
    """The generator form of order creation."""

    generate: BatchForm


class StateForm(Form):
    """A new state for an order; None leaves the quantity or the reason as it is."""

    order_number: OrderNumber
    state: State
    filled_quantity: Filled | None = None
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None


class LookupForm(Form):
    """Orders to look up."""

    order_numbers: list[OrderNumber]


class ExpireForm(Form):
    """An account whose sessions end, None means all accounts, and whether it gets a new one."""

    ucc: Ucc | None = None
    issue: bool = False


class UnlockForm(Form):
    """An account to unlock."""

    ucc: Ucc
