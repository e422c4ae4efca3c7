"""What is simulated: frozen, and checked once, when it is made.

Each setting stands here once, as a field with its flag: name, type, default, help, limits, and its
places in the folder's name and in the JSON record. Parser, folder names, identity, records and
reading back (`utils/records/setting_json.py`) follow from these fields.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from functools import cached_property

from devices.built_in import VALID
from devices.library import Device, find
from utils.errors import UserError
from utils.flags import NETWORK, PHYSICAL, RUNNING, TRAINING, check_values, flag, flags_of

TASKS = ("MNIST", "Fashion", "Digits")
RESISTOR_PER_VOLTAGE_NOISE = 1e4  # sigma_r / sigma_v unless sigma_v is given
LARGEST_SEED = 2**63 - 1
FIRST_IN_NAME = ("task", "field", "lr", "var", "clipping")  # of a folder; then all others in order


def device(name: str) -> Device:
    """What --field names; raises UserError if there is no such device."""
    try:
        return find(name)
    except ValueError as error:
        raise UserError(f"--field {error}") from None


def whole_or_none(value: float | None) -> int | None:
    return None if value is None else int(value)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that decides the result of one network, but for its model number.

    Units: lr in pulses per unit of gradient, clipping in pulses, noises and init in the arbitrary
    units of the Hall voltage. The order of the fields is that of tables. second: the field from the
    switch on, None where nothing is switched. Raises UserError where a value is out of range.
    """

    task: str = flag(
        "MNIST",
        RUNNING,
        f"data set: {', '.join(TASKS)}; Digits needs no download",
        str,
        metavar="TASK",
        choices=TASKS,
        slug="{}",
        json="task",
    )
    field: Device = flag(
        find("double-linear"),
        PHYSICAL,
        f"device response: {VALID}, or the path of a device file; several are a setting each, all "
        "training under one field alone, unless --time_switch or --switch_epoch makes two of them "
        "one setting",
        device,
        metavar="FIELD",
        sweeps=True,
        slug="-{}",
        json="optimizer_parameters.field",
        column="field",
    )
    second: Device | None = None  # the field from the switch on; of --field, too
    lr: float = flag(
        1000.0,
        TRAINING,
        "learning rate, pulses per unit of gradient",
        float,
        sweeps=True,
        at_least=0,
        slug="-{}",
        json="optimizer_parameters.lr",
        column="lr",
    )
    var: float = flag(
        None,
        PHYSICAL,
        "sigma_device, relative spread of the devices' slopes "
        "(default: as measured of the field's device, else 0.2)",
        float,
        sweeps=True,
        at_least=0,
        slug="-var-{}",
        json="optimizer_parameters.device_variability",
        imperfection=True,
        column="var",
        label="variability",
        measured="variability",
        fallback=0.2,
    )
    resistor_noise: float = flag(
        None,
        PHYSICAL,
        "sigma_r, read noise of one device, arb. u. "
        "(default: as measured of the field's device, else 0)",
        float,
        sweeps=True,
        at_least=0,
        slug="-resistor-{}",
        json="resistor_noise",
        physics=True,
        imperfection=True,
        column="resistor",
        label="read noise",
        measured="read_noise",
        fallback=0.0,
    )
    voltage_noise: float = flag(
        None,
        PHYSICAL,
        "sigma_v, noise on every output voltage, arb. u. "
        f"(default: {1 / RESISTOR_PER_VOLTAGE_NOISE:g} x resistor_noise)",
        float,
        at_least=0,
        slug="-voltage-{}",
        json="voltage_noise",
        physics=True,
        imperfection=True,
    )
    write_noise: float = flag(
        None,
        PHYSICAL,
        "sigma_w, by which a write misses, fraction of the device's range per "
        "square root of a pulse (default: as measured of the field's device, else 0)",
        float,
        sweeps=True,
        at_least=0,
        slug="-write-{}",
        omit_if=0.0,
        json="write_noise",
        physics=True,
        imperfection=True,
        column="write",
        label="write noise",
        added_later=True,
        measured="write_noise",
        fallback=0.0,
    )
    clipping: float = flag(
        0.0,
        PHYSICAL,
        "smallest pulse that can be applied, pulses",
        float,
        sweeps=True,
        at_least=0,
        slug="-clipping-{}",
        json="optimizer_parameters.clipping",
        imperfection=True,
        column="clipping",
        label="smallest pulse",
    )
    epochs: int = flag(20, TRAINING, "passes over the training set", int, at_least=1, json="epochs")
    layers: tuple[int, ...] = flag(
        (512,),
        NETWORK,
        "hidden layer sizes, one or more",
        int,
        is_list=True,
        at_least=1,
        json="layers",
        column="layers",
        to_json=list,
        from_json=tuple,
    )
    batch_size: int = flag(128, TRAINING, "images per update", int, at_least=1, json="batch_size")
    init: float = flag(
        0.01, PHYSICAL, "half-width of the fresh weights, arb. u.", float, at_least=0, json="init"
    )
    input_scale: float = flag(
        0.001, NETWORK, "current per unit of activation", float, above=0, json="input_scale"
    )
    padding: int = flag(
        2, NETWORK, "zero pixels added on each side of an image", int, at_least=0, json="padding"
    )
    device_noise: bool = flag(
        False,
        PHYSICAL,
        "inference, too, reads every device with noise resistor_noise, "
        "fresh for each mini-batch (default: the backward pass only)",
        bool,
        slug="-device-noise",
        omit_if=False,
        json="device_noise",
        physics=True,
        label="read noise in inference",
        added_later=True,
    )
    physical_clipping: bool = flag(
        False,
        PHYSICAL,
        "requests of D pulses become D (1 - exp(-D / 0.18)) before the smallest pulse is looked at",
        bool,
        slug="-physical-clipping",
        omit_if=False,
        json="optimizer_parameters.physical_clipping",
        physics=True,
        label="physical clipping",
        added_later=True,
    )
    tf32: bool = flag(
        False,
        RUNNING,
        "on a GPU, multiply in TF32: faster, with 10 bits of mantissa (default: float32)",
        bool,
        json="tf32",
        added_later=True,
    )
    seed: int = flag(100, TRAINING, "seed of the first network", int, at_least=0, json="seed")
    time_switch: int | None = flag(
        None,
        TRAINING,
        "switch the field while the network learns: with --field A B under A at "
        "first, under B from epoch epochs // K on, counted from 0. A value that is not given is as "
        "measured of A or B, and has to be given where both measured others (default: never)",
        int,
        metavar="K",
        sweeps=True,
        at_least=2,
        slug="-switch-{}",
        json="time_switch",
        from_json=whole_or_none,
        added_later=True,
    )
    switch_epoch: int | None = flag(
        None,
        TRAINING,
        "the same with epoch E, from 1 to the last one (default: never)",
        int,
        metavar="E",
        sweeps=True,
        at_least=1,
        slug="-switch-epoch-{}",
        json="switch_epoch",
        from_json=whole_or_none,
        added_later=True,
    )

    def __post_init__(self):
        check_switch(self)
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
        for device in self.fields:
            check_fits(self, device)

    @property
    def fields(self) -> tuple[Device, ...]:
        """The field, or both, the one from the switch on last."""
        return (self.field,) if self.second is None else (self.field, self.second)

    @property
    def field_name(self) -> str:
        """As in the folder's name: A, or A-B where A is switched to B."""
        return "-".join(device.name for device in self.fields)

    @property
    def switched_at(self) -> int | None:
        """The epoch, counted from 0, at whose start the field is switched; None for never."""
        if self.time_switch is not None:
            return self.epochs // self.time_switch
        return self.switch_epoch

    @cached_property
    def slug(self) -> str:
        """The part of a folder's name that tells the setting."""
        return "".join(self.name_parts.values())

    @property
    def name_parts(self) -> dict[str, str]:
        """What each flag adds to the folder's name, by flag, in the order of the name."""
        table, parts = flags_of(Setting), {}
        for name in dict.fromkeys((*FIRST_IN_NAME, *table)):
            flag, value = table[name][0], getattr(self, name)
            if flag.slug and value != flag.omit_if:
                parts[name] = flag.slug.format(self.field_name if name == "field" else value)
        return parts

    def not_given(self) -> dict[str, float]:
        """Values of the flags that are not given and that device files know: measured, or fallback.

        Of two fields it is the one that was measured of either. Raises UserError where they differ:
        a network has one value before and after the switch.
        """
        values = {}
        for name, (each, _) in flags_of(Setting).items():
            if not each.measured or getattr(self, name) is not None:
                continue
            files = [device.measured for device in self.fields if device.measured]
            measured = {file.name: getattr(file, each.measured).value for file in files}
            found = sorted({value for value in measured.values() if value is not None})
            if len(found) > 1:
                told = ", ".join(f"{value:.4g} of {which}" for which, value in measured.items())
                raise UserError(
                    f"--{name}: measured as {told}, and a network has one value before and after "
                    "the switch; give it"
                )
            values[name] = found[0] if found else each.fallback
        return values


SWITCHES = ("time_switch", "switch_epoch")  # flags, of which one is given where a field is switched


def imperfections() -> list[str]:
    """The flags that make a network worse than an ideal one of the same devices."""
    return [name for name, (each, _) in flags_of(Setting).items() if each.imperfection]


def physics_of(settings: Collection[Setting]) -> dict[str, Hashable]:
    """Which operations a training step of these networks side by side has, by flag.

    Of noises and of flags that are on or off: whether any network has it; of choices: which.
    """
    present: dict[str, Hashable] = {}
    for name, (each, _) in flags_of(Setting).items():
        if each.physics:
            values = {getattr(setting, name) for setting in settings}
            present[name] = frozenset(values) if each.choices else any(values)
    return present


def choices_of(setting: Setting) -> tuple[str, ...]:
    """What a setting has chosen of the physics; networks of other choices cannot train together."""
    return tuple(
        getattr(setting, name)
        for name, (each, _) in flags_of(Setting).items()
        if each.physics and each.choices
    )


def amount_of_physics(setting: Setting) -> int:
    """How many kinds of operations a training step of a setting has that others can leave out."""
    return sum(
        getattr(setting, name) != default if each.choices else bool(getattr(setting, name))
        for name, (each, default) in flags_of(Setting).items()
        if each.physics
    )


def check_switch(setting: Setting) -> None:
    """Raise UserError unless there are two fields and one epoch to switch at, or neither."""
    given = [name for name in SWITCHES if getattr(setting, name) is not None]
    if len(given) > 1:
        raise UserError("--time_switch and --switch_epoch: give one of them, not both")
    if not given:
        if setting.second is not None:
            raise UserError("two fields and no switch; give --time_switch or --switch_epoch")
        return
    (name,) = given
    value, last = getattr(setting, name), setting.epochs - (name == "switch_epoch")
    lowest = flags_of(Setting)[name][0].at_least
    if last < lowest:
        raise UserError(
            f"--{name} {value}: nothing can be switched in one epoch; give more --epochs"
        )
    if not lowest <= value <= last:
        raise UserError(
            f"--{name} {value}: must be from {lowest} to {last} with --epochs {setting.epochs}"
        )
    if setting.second is not None and setting.field.response.endless:
        raise UserError(
            f"--{name}: {setting.field} devices take pulses without end, more than those of "
            f"{setting.second} have; let them come second"
        )
    if setting.second is None or setting.second.name == setting.field.name:
        raise UserError(
            f"--{name}: needs two different fields, --field A B: first that at the start, then "
            f"that after the switch; {setting.field_name} is not"
        )


def check_fits(setting: Setting, device: Device) -> None:
    """Raise UserError unless the values of a setting fit one of its devices."""
    response = device.response
    if response.endless:
        return
    if 2 * setting.init >= response.span:
        raise UserError(
            f"--init {setting.init:g} is beyond the device's range: a fresh pair of "
            f"{device} devices needs 2 x init < w_max - w_min = {response.span:.3f}"
        )
    if setting.clipping > response.pulses_max:
        raise UserError(
            f"--clipping {setting.clipping:g}: {device} devices take at most "
            f"{response.pulses_max:g} pulses, so that nothing could ever be programmed"
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
    """A network that is to be trained from a mini-batch on: 0 for a fresh one."""

    member: Member
    step: int = 0
