"""Settings say what is simulated; they are frozen, and checked once, when they are made."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from functools import cached_property

from devices.scheme import Scheme
from utils.errors import UserError
from utils.flag_table import RESISTOR_PER_VOLTAGE_NOISE, FlagTable
from utils.flags import check_values, flags_of
from utils.setting_checks import check_fits, check_scheme, check_switch, driven

ABSENT = {0, None, math.inf}  # no noise, no limit: values without operations in a step
LARGEST_SEED = 2**63 - 1
FIRST_IN_NAME = ("task", "field", "lr", "var", "clipping")  # in folder names; others follow


@dataclass(frozen=True, kw_only=True)
class Setting(FlagTable):
    """The flags of a network; raises UserError if their values do not fit together."""

    def __post_init__(self):
        check_switch(self)
        for name, value in self.not_given().items():
            object.__setattr__(self, name, value)
        if self.voltage_noise is None:
            derived = self.resistor_noise / RESISTOR_PER_VOLTAGE_NOISE
            object.__setattr__(self, "voltage_noise", derived)
        check_values(self)
        object.__setattr__(self, "field", driven(self))
        check_scheme(self)
        if self.device_noise and self.resistor_noise == 0:
            raise UserError(
                "--device_noise: has no effect where --resistor_noise is 0, as it is for "
                f"{self.field} here; give one that is above 0, or leave --device_noise out"
            )
        if self.seed > LARGEST_SEED:
            raise UserError(f"--seed {self.seed}: must be from 0 to 2^63 - 1")
        for device in self.fields:
            check_fits(self, device)

    @property
    def scheme(self) -> Scheme:
        return Scheme(self.cell, self.rounding, self.accumulate)

    @property
    def start(self) -> float:
        """The voltage (arb. u.) around which fresh devices stand."""
        return self.field.start(self.init)

    @property
    def switched_at(self) -> int | None:
        """The epoch, counted from 0, at whose start the field is switched; None for never."""
        if self.time_switch is not None:
            return self.epochs // self.time_switch
        return self.switch_epoch

    @cached_property
    def slug(self) -> str:
        """The part of a folder's name that describes the setting."""
        return "".join(self.name_parts.values())

    @property
    def name_parts(self) -> dict[str, str]:
        """The parts of the folder's name by flag, in the order of the name."""
        table, parts = flags_of(Setting), {}
        for name in dict.fromkeys((*FIRST_IN_NAME, *table)):
            flag, value = table[name][0], getattr(self, name)
            if flag.stored.slug and value != flag.stored.omit_if:
                parts[name] = flag.stored.slug.format(self.field_name if name == "field" else value)
        return parts

    def not_given(self) -> dict[str, float]:
        """Return values for flags that were not given: measured values, or their fallbacks.

        With two fields, a value that was measured for either is used. Raises UserError if the two
        measured values differ, since a network has one value before and after the switch.
        """
        values = {}
        for name, (flag, _) in flags_of(Setting).items():
            if not flag.measured or getattr(self, name) is not None:
                continue
            files = [device.measured for device in self.fields if device.measured]
            measured = {file.name: getattr(file, flag.measured).value for file in files}
            found = sorted({value for value in measured.values() if value is not None})
            if len(found) > 1:
                values_of = ", ".join(f"{value:.4g} of {file}" for file, value in measured.items())
                raise UserError(
                    f"--{name}: measured as {values_of}, and a network has one value before and "
                    "after the switch; give it"
                )
            values[name] = found[0] if found else flag.fallback
        return values


def imperfections() -> list[str]:
    """Return the flags that make a network worse than an ideal one of the same devices."""
    return [name for name, (flag, _) in flags_of(Setting).items() if flag.imperfection]


def physics_of(settings: Collection[Setting]) -> dict[str, Hashable]:
    """Return, by flag, which operations the training step of networks side by side has.

    For noises and for flags that are on or off it is whether any network has it; for choices it is
    the choice.
    """
    present: dict[str, Hashable] = {}
    for name, (flag, _) in flags_of(Setting).items():
        if flag.physics:
            values = {getattr(setting, name) for setting in settings}
            present[name] = frozenset(values) if flag.choices else bool(values - ABSENT)
    return present


def choices_of(setting: Setting) -> tuple[str, ...]:
    """Return a setting's choices of physics; networks of different choices train separately."""
    return tuple(
        getattr(setting, name)
        for name, (flag, _) in flags_of(Setting).items()
        if flag.physics and flag.choices
    )


@dataclass(frozen=True)
class Member:
    """One network of a run: model `model` of a setting."""

    setting: Setting
    model: int

    @property
    def seed(self) -> int:
        return self.setting.seed + self.model


@dataclass(frozen=True)
class Task:
    """A network to train. step: the mini-batch from which it continues, 0 for a fresh network."""

    member: Member
    step: int = 0
