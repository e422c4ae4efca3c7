"""What is simulated: frozen, and checked once, when it is made.

Each setting stands here once, as a field with its flag: name, type, default, help, limits, and its
places in the folder's name and in the JSON record. Parser, folder names, identity, records and
reading back follow from these fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from devices.built_in import VALID
from devices.library import Device, constants, find, find_built_in, from_constants
from utils.errors import UserError
from utils.flags import NETWORK, PHYSICAL, RUNNING, TRAINING, check_values, flag, flags_of

# Raised whenever a change of the code changes what a setting gives. 2: the read noise of a pair is
# one draw instead of two, of the same distribution. 3: the exponential device is computed by its
# change, which rounds otherwise, so that nearly linear ones are as exact.
PHYSICS = 3
# Versions of equal law give the same distributions, and stand in one mean; 1 is also that of the
# original scripts.
LAW = {1: 1, 2: 1, 3: 1}
TASKS = ("MNIST", "Fashion", "Digits")
RESISTOR_PER_VOLTAGE_NOISE = 1e4  # sigma_r / sigma_v unless sigma_v is given
LARGEST_SEED = 2**63 - 1


def device(name: str) -> Device:
    """What --field names; raises UserError if there is no such device."""
    try:
        return find(name)
    except ValueError as error:
        raise UserError(f"--field {error}") from None


def built_in(name: str) -> Device:
    """The same in the records of the original scripts, which knew no files."""
    try:
        return find_built_in(name)
    except ValueError as error:
        raise UserError(f"field {error}") from None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that decides the result of one network, but for its model number.

    Units: lr in pulses per unit of gradient, clipping in pulses, noises and init in the arbitrary
    units of the Hall voltage. The order of the fields is that of the folder's name. Raises
    UserError where a value is out of range.
    """

    task: str = flag(
        "MNIST", RUNNING, f"data set: {', '.join(TASKS)}; Digits needs no download", str,
        metavar="TASK", choices=TASKS, slug="{}", json="task",
    )  # fmt: skip
    field: Device = flag(
        find("double-linear"), PHYSICAL,
        f"device response: {VALID}, or the path of a device file", device,
        metavar="FIELD", sweeps=True, slug="-{}", json="optimizer_parameters.field",
        to_json=lambda device: [device.name],
    )  # fmt: skip
    lr: float = flag(
        1000.0, TRAINING, "learning rate, pulses per unit of gradient", float,
        sweeps=True, at_least=0, slug="-{}", json="optimizer_parameters.lr",
    )  # fmt: skip
    var: float = flag(
        None, PHYSICAL, "sigma_device, relative spread of the devices' slopes "
        "(default: as measured of the field's device, else 0.2)", float, sweeps=True, at_least=0,
        slug="-var-{}", json="optimizer_parameters.device_variability",
        measured="variability", usual=0.2,
    )  # fmt: skip
    clipping: float = flag(
        0.0, PHYSICAL, "smallest pulse that can be applied, pulses", float,
        sweeps=True, at_least=0, slug="-clipping-{}", json="optimizer_parameters.clipping",
    )  # fmt: skip
    resistor_noise: float = flag(
        None, PHYSICAL, "sigma_r, read noise of one device, arb. u. "
        "(default: as measured of the field's device, else 0)", float, sweeps=True, at_least=0,
        slug="-resistor-{}", json="resistor_noise", measured="read_noise", usual=0.0,
    )  # fmt: skip
    voltage_noise: float = flag(
        None, PHYSICAL, "sigma_v, noise on every output voltage, arb. u. "
        f"(default: {1 / RESISTOR_PER_VOLTAGE_NOISE:g} x resistor_noise)", float,
        at_least=0, slug="-voltage-{}", json="voltage_noise",
    )  # fmt: skip
    write_noise: float = flag(
        None, PHYSICAL, "sigma_w, by which a write misses, fraction of the device's range per "
        "square root of a pulse (default: as measured of the field's device, else 0)", float,
        sweeps=True, at_least=0, slug="-write-{}", unsaid=0.0, json="write_noise", is_newer=True,
        measured="write_noise", usual=0.0,
    )  # fmt: skip
    device_noise: bool = flag(
        False, PHYSICAL, "inference, too, reads every device with noise resistor_noise, "
        "fresh for each mini-batch (default: the backward pass only)", bool,
        slug="-device-noise", unsaid=False, json="device_noise", is_newer=True,
    )  # fmt: skip
    physical_clipping: bool = flag(
        False, PHYSICAL, "requests of D pulses become D (1 - exp(-D / 0.18)) before the smallest "
        "pulse is looked at", bool, slug="-physical-clipping", unsaid=False,
        json="optimizer_parameters.physical_clipping", is_newer=True,
    )  # fmt: skip
    init: float = flag(
        0.01, PHYSICAL, "half-width of the fresh weights, arb. u.", float, at_least=0, json="init"
    )
    layers: tuple[int, ...] = flag(
        (512,), NETWORK, "hidden layer sizes, one or more", int,
        is_list=True, at_least=1, json="layers", to_json=list, from_json=tuple,
    )  # fmt: skip
    input_scale: float = flag(
        0.001, NETWORK, "current per unit of activation", float, above=0, json="input_scale"
    )
    padding: int = flag(
        2, NETWORK, "zero pixels added on each side of an image", int, at_least=0, json="padding"
    )
    epochs: int = flag(20, TRAINING, "passes over the training set", int, at_least=1, json="epochs")
    batch_size: int = flag(128, TRAINING, "images per update", int, at_least=1, json="batch_size")
    seed: int = flag(100, TRAINING, "seed of the first network", int, at_least=0, json="seed")
    tf32: bool = flag(
        False, RUNNING, "on a GPU, multiply in TF32: faster, with 10 bits of mantissa "
        "(default: float32)", bool, json="tf32", is_newer=True,
    )  # fmt: skip

    def __post_init__(self):
        for name, value in self.not_given().items():
            object.__setattr__(self, name, value)
        if self.voltage_noise is None:
            derived = self.resistor_noise / RESISTOR_PER_VOLTAGE_NOISE
            object.__setattr__(self, "voltage_noise", derived)
        check_values(self)
        if self.device_noise and self.resistor_noise == 0:
            raise UserError(
                "--device_noise: has no effect where --resistor_noise is 0, as it is for "
                f"{self.field} here; give one that is above 0, or leave --device_noise out"
            )
        if self.seed > LARGEST_SEED:
            raise UserError(f"--seed {self.seed}: must be from 0 to 2^63 - 1")
        response = self.field.response
        if 2 * self.init >= response.span and not response.endless:
            raise UserError(
                f"--init {self.init:g} is beyond the device's range: a fresh pair of "
                f"{self.field} devices needs 2 x init < w_max - w_min = {response.span:.3f}"
            )
        if self.clipping > response.pulses_max and not response.endless:
            raise UserError(
                f"--clipping {self.clipping:g}: {self.field} devices take at most "
                f"{response.pulses_max:g} pulses, so that nothing could ever be programmed"
            )

    @cached_property
    def slug(self) -> str:
        """The part of a folder's name that tells the setting."""
        return "".join(
            each.slug.format(getattr(self, name))
            for name, (each, _) in flags_of(Setting).items()
            if each.slug and getattr(self, name) != each.unsaid
        )

    def not_given(self) -> dict[str, float]:
        """Values of the flags that are not given and that device files know: measured, or usual."""
        values, file = {}, self.field.measured
        for name, (each, _) in flags_of(Setting).items():
            if each.measured and getattr(self, name) is None:
                measured = getattr(file, each.measured).value if file else None
                values[name] = each.usual if measured is None else measured
        return values


# What the scripts that this project replaces wrote into every record.
ALWAYS = {
    "time_switch": None,
    "optimizer": "PulseOptimizer",
    "optimizer_parameters": {"scale": 1.0},
    "criterion": "CrossEntropyLoss",
}


def to_json(setting: Setting) -> dict:
    """The part of a record that says what was simulated: all that decides the numbers but data."""
    record = ALWAYS | {"optimizer_parameters": dict(ALWAYS["optimizer_parameters"])}
    for name, (each, _) in flags_of(Setting).items():
        *parents, last = each.json.split(".")
        place = record
        for parent in parents:
            place = place[parent]
        place[last] = each.to_json(getattr(setting, name))
    return record | {"devices": constants(setting.field), "physics": PHYSICS}


def with_newer(record: Mapping) -> dict:
    """A record, or what a folder says of itself, with the keys of flags that came after it.

    It lacks them, and means their defaults. Raises KeyError, TypeError or ValueError if it is none.
    """
    record = dict(record)
    for each, default in flags_of(Setting).values():
        if not each.is_newer:
            continue
        *parents, last = each.json.split(".")
        place = record
        for parent in parents:
            place[parent] = dict(place[parent])  # not the caller's own
            place = place[parent]
        place.setdefault(last, each.to_json(default if each.usual is None else each.usual))
    return record


def from_json(record: Mapping) -> Setting:
    """The setting of a record, of this program or of the scripts that it replaces.

    Raises KeyError, TypeError or ValueError if it is no record, UserError if a value is out of
    range.
    """
    values, record = {}, with_newer(record)
    for name, (each, _) in flags_of(Setting).items():
        place = record
        for key in each.json.split("."):
            place = place[key]
        values[name] = each.from_json(float(place) if each.kind is float else place)
    if len(values["field"]) != 1:
        raise ValueError(f"it names {len(values['field'])} fields, not one")
    (name,) = values["field"]
    known = "devices" in record  # else the constants are those of the paper
    measured = record.get("measured")
    if known:
        values["field"] = from_constants(name, record["devices"], measured)
    else:
        values["field"] = built_in(name)
    return Setting(**values)


@dataclass(frozen=True)
class Member:
    """One network of a run: model `model` of a setting."""

    setting: Setting
    model: int

    @property
    def seed(self) -> int:
        return self.setting.seed + self.model


def law_of(record: Mapping) -> int:
    """Which law of the physics a record follows; those without a version are the oldest."""
    version = record.get("physics", 1)
    return LAW.get(version, version)
