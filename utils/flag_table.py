"""The flags of a network, one entry each: a new flag is added here and used, all else follows.

Parser, folder names, identity, records and reading them, columns of tables, titles of pictures, and
what compiled steps depend on follow from these fields: see utils/flags.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from devices.built_in import VALID
from devices.library import Device, find
from devices.scheme import CELLS, NONE, ONE_WAY, ROUNDINGS
from utils.errors import UserError
from utils.flags import NETWORK, PHYSICAL, PROGRAMMING, RUNNING, TRAINING, Stored, flag

TASKS = ("MNIST", "Fashion", "Digits")
RESISTOR_PER_VOLTAGE_NOISE = 1e4  # sigma_r / sigma_v unless sigma_v is given


def device(name: str) -> Device:
    """Return the device that --field names; raises UserError if there is none."""
    try:
        return find(name)
    except ValueError as error:
        raise UserError(f"--field {error}") from None


def whole_or_none(value: float | None) -> int | None:
    return None if value is None else int(value)


@dataclass(frozen=True, kw_only=True)
class FlagTable:
    """All that decides the result of one network, except for its model number.

    Units: lr in pulses per unit of gradient, clipping in pulses, noises and init in the arbitrary
    units of the Hall voltage. The order of the entries is that of tables. second: the field from
    the switch on, None where nothing is switched.
    """

    task: str = flag(
        "MNIST",
        RUNNING,
        f"data set: {', '.join(TASKS)}; Digits needs no download",
        str,
        metavar="TASK",
        choices=TASKS,
        stored=Stored("task", slug="{}"),
    )
    field: Device = flag(
        find("double-linear"),
        PHYSICAL,
        f"synaptic device: {VALID}, or the path of your device file. Each is a setting of its own; "
        "with --time_switch or --switch_epoch, two of them are one setting",
        device,
        metavar="FIELD",
        sweeps=True,
        column="field",
        stored=Stored("optimizer_parameters.field", slug="-{}"),
    )
    second: Device | None = None  # the field after a switch, which --field gives, too
    lr: float = flag(
        1000.0,
        TRAINING,
        "learning rate, pulses per unit of gradient",
        float,
        sweeps=True,
        at_least=0,
        column="lr",
        stored=Stored("optimizer_parameters.lr", slug="-{}"),
    )
    var: float = flag(
        None,
        PHYSICAL,
        "sigma_device, relative standard deviation of the devices' slopes "
        "(default: the value in the device file, or else 0.2)",
        float,
        sweeps=True,
        at_least=0,
        at_most=1,
        hint="a spread of {0:.0%} of the slopes is almost surely {0:g} %: --var {1:g}",
        imperfection=True,
        column="var",
        label="variability",
        measured="variability",
        fallback=0.2,
        stored=Stored("optimizer_parameters.device_variability", slug="-var-{}"),
    )
    resistor_noise: float = flag(
        None,
        PHYSICAL,
        "sigma_r, read noise of one device (the reading of its Hall resistance), arb. u. "
        "(default: the value in the device file, or else 0)",
        float,
        sweeps=True,
        at_least=0,
        physics=True,
        imperfection=True,
        column="resistor",
        label="read noise",
        measured="read_noise",
        fallback=0.0,
        stored=Stored("resistor_noise", slug="-resistor-{}"),
    )
    voltage_noise: float = flag(
        None,
        PHYSICAL,
        "sigma_v, noise on every output voltage, arb. u. "
        f"(default: {1 / RESISTOR_PER_VOLTAGE_NOISE:g} x resistor_noise)",
        float,
        at_least=0,
        physics=True,
        imperfection=True,
        stored=Stored("voltage_noise", slug="-voltage-{}"),
    )
    write_noise: float = flag(
        None,
        PHYSICAL,
        "sigma_w, write noise, as a fraction of the device's range per square root of a pulse "
        "(default: the value in the device file, or else 0)",
        float,
        sweeps=True,
        at_least=0,
        physics=True,
        imperfection=True,
        column="write",
        label="write noise",
        measured="write_noise",
        fallback=0.0,
        stored=Stored("write_noise", slug="-write-{}", omit_if=0.0, added_later=True),
    )
    clipping: float = flag(
        0.0,
        PROGRAMMING,
        "smallest pulse that the hardware can apply; the network drops smaller requests "
        "(a request is the number of pulses that learning asks for)",
        float,
        sweeps=True,
        at_least=0,
        imperfection=True,
        column="clipping",
        label="smallest pulse",
        stored=Stored("optimizer_parameters.clipping", slug="-clipping-{}"),
    )
    epochs: int = flag(
        20,
        TRAINING,
        "passes over the training set",
        int,
        at_least=1,
        at_most=1_000_000,
        stored=Stored("epochs"),
    )
    layers: tuple[int, ...] = flag(
        (512,),
        NETWORK,
        "hidden layer sizes, one or more",
        int,
        is_list=True,
        at_least=1,
        at_most=10_000_000,
        column="layers",
        stored=Stored("layers", to_json=list, from_json=tuple),
    )
    batch_size: int = flag(
        128, TRAINING, "images per update", int, at_least=1, stored=Stored("batch_size")
    )
    init: float = flag(
        0.01,
        PHYSICAL,
        "the first weights are drawn uniformly between -X and X, arb. u.; networks of several "
        "hidden layers need 0.1 or more to begin to learn",
        float,
        sweeps=True,
        at_least=0,
        column="init",
        label="fresh weights",
        stored=Stored("init", omit_if=0.01),
    )
    input_scale: float = flag(
        0.001,
        NETWORK,
        "current per unit of activation, arb. u.",
        float,
        above=0,
        stored=Stored("input_scale"),
    )
    padding: int = flag(
        2,
        NETWORK,
        "zero pixels added on each side of an image",
        int,
        at_least=0,
        at_most=1000,
        stored=Stored("padding"),
    )
    device_noise: bool = flag(
        False,
        PHYSICAL,
        "add the read noise in inference, too, fresh for each mini-batch "
        "(default: in the backward pass only)",
        bool,
        physics=True,
        label="read noise in inference",
        stored=Stored("device_noise", slug="-device-noise", omit_if=False, added_later=True),
    )
    physical_clipping: bool = flag(
        False,
        PROGRAMMING,
        "reduce a request of D pulses to D (1 - exp(-D / 0.18 pulses)); the smallest pulse "
        "applies to the result",
        bool,
        physics=True,
        label="physical clipping",
        stored=Stored(
            "optimizer_parameters.physical_clipping",
            slug="-physical-clipping",
            omit_if=False,
            added_later=True,
        ),
    )
    cell: str = flag(
        ONE_WAY,
        PROGRAMMING,
        "devices of a weight: one-way, W = w2 - w1, pulses lower one of the two, and a pair at the "
        "end of its range is refreshed; both-ways, W = w2 - w1, pulses lower one and raise the "
        "other; reference, W = w2 - w0, pulses lower or raise w2",
        str,
        metavar="CELL",
        sweeps=True,
        choices=CELLS,
        physics=True,
        column="cell",
        label="cell",
        stored=Stored(
            "optimizer_parameters.cell", slug="-cell-{}", omit_if=ONE_WAY, added_later=True
        ),
    )
    rounding: str = flag(
        NONE,
        PROGRAMMING,
        "whole numbers of smallest pulses: none, nearest, or stochastic, which is right on average",
        str,
        metavar="RULE",
        sweeps=True,
        choices=ROUNDINGS,
        physics=True,
        column="rounding",
        label="rounding",
        stored=Stored(
            "optimizer_parameters.rounding", slug="-rounding-{}", omit_if=NONE, added_later=True
        ),
    )
    accumulate: bool = flag(
        False,
        PROGRAMMING,
        "sum up requests, one number for each weight on the computer, until they reach the "
        "smallest pulse; otherwise requests below it are lost",
        bool,
        sweeps=True,
        choices=(False, True),
        physics=True,
        column="accumulate",
        label="accumulator",
        stored=Stored(
            "optimizer_parameters.accumulate",
            slug="-accumulate",
            omit_if=False,
            added_later=True,
        ),
    )
    max_pulses: float = flag(
        math.inf,
        PROGRAMMING,
        "largest number of pulses on a device in one update",
        float,
        sweeps=True,
        above=0,
        physics=True,
        column="max pulses",
        label="largest number of pulses",
        stored=Stored(
            "optimizer_parameters.max_pulses",
            slug="-max-pulses-{}",
            omit_if=math.inf,
            to_json=lambda value: None if value == math.inf else value,
            from_json=lambda value: math.inf if value is None else float(value),
            added_later=True,
        ),
    )
    tf32: bool = flag(
        False,
        RUNNING,
        "on a GPU, multiply in TF32: faster, with 10 bits of mantissa (default: float32)",
        bool,
        stored=Stored("tf32", added_later=True),
    )
    seed: int = flag(
        100, TRAINING, "seed of the first network", int, at_least=0, stored=Stored("seed")
    )
    time_switch: int | None = flag(
        None,
        TRAINING,
        "switch the field while the network learns: --field A B trains under A, and from epoch "
        "epochs / K on, rounded down and counted from 0, under B. If A and B are device files with "
        "different noises, give --var, --resistor_noise and --write_noise (default: never)",
        int,
        metavar="K",
        sweeps=True,
        at_least=2,
        stored=Stored("time_switch", slug="-switch-{}", from_json=whole_or_none, added_later=True),
    )
    switch_epoch: int | None = flag(
        None,
        TRAINING,
        "switch the field at the start of epoch E, counted from 0, instead of --time_switch "
        "(default: never)",
        int,
        metavar="E",
        sweeps=True,
        at_least=1,
        stored=Stored(
            "switch_epoch", slug="-switch-epoch-{}", from_json=whole_or_none, added_later=True
        ),
    )

    @property
    def fields(self) -> tuple[Device, ...]:
        """The field, or both fields: first the one before the switch, then the one after it."""
        return (self.field,) if self.second is None else (self.field, self.second)

    @property
    def field_name(self) -> str:
        """The fields as in the folder's name: A, or A-B where A is switched to B."""
        return "-".join(device.name for device in self.fields)
