"""What is simulated (a Setting) and how (a Run): frozen, and checked once, when they are made."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from devices import FIELDS
from utils.errors import UserError
from utils.hardware import check_device

TASKS = ("MNIST", "Fashion", "Digits")
COMPILE = ("auto", "on", "off")
VOLTAGE_PER_RESISTOR_NOISE = 1e-4  # sigma_v / sigma_r unless sigma_v is given
LARGEST = 3e38  # of the numbers that the simulation can hold, float32
LARGEST_SEED = 2**63 - 1
LARGEST_RUN = 1_000_000  # networks


@dataclass(frozen=True)
class Setting:
    """All that decides the result of one network, but for its model number.

    Units: lr in pulses per unit of gradient, clipping in pulses, noises and init in the arbitrary
    units of the Hall voltage. Raises UserError where a value is out of range.
    """

    task: str
    field: str
    lr: float
    var: float
    resistor_noise: float
    voltage_noise: float
    clipping: float
    seed: int
    epochs: int
    batch_size: int
    layers: tuple[int, ...]
    init: float
    input_scale: float
    padding: int
    tf32: bool = False

    def __post_init__(self):
        one_of("--task", self.task, TASKS)
        one_of("--field", self.field, FIELDS)
        for name in ("lr", "var", "resistor_noise", "voltage_noise", "clipping", "input_scale"):
            at_least(f"--{name}", getattr(self, name), 0)
        for name in ("epochs", "batch_size"):
            at_least(f"--{name}", getattr(self, name), 1)
        for size in self.layers:
            at_least("--layers", size, 1)
        at_least("--padding", self.padding, 0)
        if not 0 <= self.seed <= LARGEST_SEED:
            raise UserError(f"--seed {self.seed}: must be from 0 to 2^63 - 1")
        at_least("--init", self.init, 0)
        span = FIELDS[self.field].span
        if 2 * self.init >= span:
            raise UserError(
                f"--init {self.init:g} is beyond the device's range: a fresh pair of "
                f"{self.field} devices needs 2 x init < w_max - w_min = {span:.3f}"
            )

    @property
    def slug(self) -> str:
        """The part of a folder's name that tells the setting."""
        return (
            f"{self.task}-{self.field}-{self.lr}-var-{self.var}-clipping-{self.clipping}"
            f"-resistor-{self.resistor_noise}-voltage-{self.voltage_noise}"
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
class Run:
    """One call of the program: every setting, n_models networks each, and where they run."""

    settings: tuple[Setting, ...]
    n_models: int
    device: str
    data_dir: Path
    output_dir: Path
    compile: str = "auto"
    checkpoint_minutes: float = 5.0
    resume: bool = False
    dry_run: bool = False

    @cached_property
    def members(self) -> list[Member]:
        """Every network of the run, setting by setting."""
        return [
            Member(setting, model) for setting in self.settings for model in range(self.n_models)
        ]

    def __post_init__(self):
        check_device(self.device)
        one_of("--compile", self.compile, COMPILE)
        at_least("--n_models", self.n_models, 1)
        at_least("--checkpoint_minutes", self.checkpoint_minutes, 0)
        check_writable("--output_dir", self.output_dir)
        if len(self.settings) * self.n_models > LARGEST_RUN:
            raise UserError(
                f"--n_models {self.n_models}: with {len(self.settings)} settings more than "
                f"{LARGEST_RUN} networks; choose fewer"
            )
        last = self.settings[0].seed + self.n_models - 1
        if last > LARGEST_SEED:
            raise UserError(f"--seed: the last network's seed is {last}, the largest is 2^63 - 1")


def sweep(values: dict[str, list]) -> list[dict]:
    """Every combination of the values of several flags, the last flag varying fastest."""
    for name, given in values.items():
        for value, count in Counter(given).items():
            if count > 1:
                raise UserError(f"--{name} {value}: given {count} times; give each value once")
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def one_of(flag: str, value: str, valid) -> None:
    if value not in valid:
        raise UserError(f"{flag} {value}: there is no such one; the valid ones: {', '.join(valid)}")


def at_least(flag: str, value: float, bound: float) -> None:
    if not bound <= value <= LARGEST:
        raise UserError(f"{flag} {value}: must be a finite number >= {bound}")


def check_writable(flag: str, folder: Path) -> None:
    """Raise UserError if the folder cannot be made, or is there and cannot be written to."""
    existing = folder.absolute()
    try:
        while not existing.exists() and existing != existing.parent:
            if existing.is_symlink():
                raise UserError(f"{flag} {folder}: {existing} is a link to nothing; name another")
            existing = existing.parent
    except OSError as error:  # a name too long, or below a folder that may not be entered
        raise UserError(f"{flag} {folder}: {error.strerror}; name another") from None
    if not existing.is_dir():
        raise UserError(f"{flag} {folder}: {existing} is a file; name a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{flag} {folder}: no permission to write in {existing}; name another")
