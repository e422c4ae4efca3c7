"""A branch of a device file: a curve in model units, with its errors. Torch is not imported."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from devices.built_in import LINEAR
from devices.constants import LARGEST, constants_of, mirrored, response_of
from devices.responses import Response

TOLERANCE = 0.1  # of the span: how far a fitted curve may miss the ends of the model's range

Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
NonNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
Errors = dict[str, float | tuple[float, ...]]


class Estimate(Struct, frozen=True, forbid_unknown_fields=True):
    """A measured value with its standard error; None where it could not be measured."""

    value: NonNegative | None
    error: NonNegative | None = None

    def __post_init__(self) -> None:
        if self.value is None and self.error is not None:
            raise ValueError("error must be null where there is no value")


class SignedEstimate(Struct, frozen=True, forbid_unknown_fields=True):
    """A measured value of either sign with its standard error; None where it is not known."""

    value: Number | None
    error: NonNegative | None = None


NOT_MEASURED = Estimate(None)


class MeasuredBranch(Struct, frozen=True, forbid_unknown_fields=True):
    """The response to pulses of one polarity.

    family, constants: the curve in units of the model, on the range that both branches share.
    errors: standard errors of the constants by name, where they are known; a list of constants has
    a list of errors. range: the width of the measured range, in the unit of the measurement.
    nonlinearity: ν of the exponential curve.
    """

    family: str
    constants: dict[str, Any]
    errors: Errors = {}
    range: Estimate = NOT_MEASURED
    nonlinearity: SignedEstimate = SignedEstimate(None)

    @classmethod
    def from_response(cls, response: Response, rising: bool = False, **measured) -> MeasuredBranch:
        """Make a branch from a falling response, which is the mirrored one of a rising branch."""
        constants = constants_of(response)
        return cls(response.family, mirrored(constants) if rising else constants, **measured)


def check_branch(branch: MeasuredBranch, key: str = "") -> None:
    """Raise ValueError unless the curve is valid in units of the model and the errors match it."""
    where = key and f"{key}."
    constants = mirrored(branch.constants) if key == "rising" else branch.constants
    response = response_of(branch.family, constants, where)
    if response.endless:
        raise ValueError(f"{where}constants.endless: a measured curve ends; leave it out")
    start, span = response.w_max, response.span
    miss = max(abs(start - LINEAR.w_max), abs(span - LINEAR.span))
    if not miss <= TOLERANCE * LINEAR.span:
        raise ValueError(
            f"{where}constants: the curve starts at {start:g} and spans {span:g}, but model units "
            f"are {LINEAR.w_max:g} and {LINEAR.span:g}; scale it, and say in units how"
        )
    for name, value in branch.errors.items():
        name_of_error, constant = f"{where}errors.{name}", branch.constants.get(name)
        if constant is None:
            raise ValueError(
                f"{where}errors: unknown field {name!r}; the valid ones: "
                f"{', '.join(branch.constants)}"
            )
        if isinstance(value, (list, tuple)) != isinstance(constant, (list, tuple)):
            raise ValueError(f"{name_of_error} must be a number, or a list where the constant is")
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if isinstance(constant, (list, tuple)) and len(numbers) != len(constant):
            raise ValueError(f"{name_of_error} has {len(numbers)} numbers, not {len(constant)}")
        if not all(0 <= number <= LARGEST for number in numbers):
            raise ValueError(f"{name_of_error} must be finite and not below 0")
