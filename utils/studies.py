"""Studies are named lists of settings that `--study` trains and figures show. Torch is not used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from devices.library import Device, find
from devices.scheme import CELLS, NEAREST, NONE, ONE_WAY, ROUNDINGS
from utils.errors import UserError
from utils.flags import flags_of
from utils.setting_checks import SWITCHES
from utils.settings import Setting, imperfections

FIELDS = (find("double-linear"), find("double-exponential"))
IDEAL = find("double-ideal")
REFERENCES = (*FIELDS, IDEAL)
# What a device of the user's own is compared with. Device files are mapped onto the range of the
# linear device, so the exponential beside them has that range, too; the paper's has 2.5 times it.
SAME_RANGE = find("double-curved-2.77")
BESIDE = (FIELDS[0], SAME_RANGE, IDEAL)
SWITCHED_AT = (1, 2, 5, 10, 15)  # epochs, of 20
RATES = (500.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0)
FIGURE_1 = {"var": 0.2, "resistor_noise": 0.015, "clipping": 0.1}  # imperfections of figure 1
# No imperfections; the noise on voltages follows the read noise.
PERFECT = {name: 0.0 for name in imperfections() if flags_of(Setting)[name][0].sweeps}
# The map: nonlinearities, and learning rates a factor of two apart.
NONLINEARITIES = tuple(float(nu) for nu in range(-4, 9))
MAP_RATES = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
SCHEME = ("cell", "rounding", "accumulate")  # flags by which ways to drive a device differ
# The rules of driving, and learning rates a factor of two apart.
RULES = tuple(
    {"rounding": rounding, "accumulate": accumulate}
    for accumulate, roundings in ((False, ROUNDINGS), (True, (NONE, NEAREST)))
    for rounding in roundings
)
DRIVING_RATES = MAP_RATES[:5]
WIDTHS = ((64,), (128,), (256,), (512,), (1024,))
DEPTHS = ((256,), (256, 256), (256, 256, 256))
# Whether deep networks begin to learn depends on the fresh weights (--init) and on the rule.
DEPTH_INITS = (0.01, 0.05, 0.2)
DEPTH_RULES = (RULES[0], RULES[2], RULES[3])


def sweep(given: Mapping[str, Any]) -> list[Setting]:
    """Return every combination of the values of several flags; the learning rate varies fastest.

    given: values by name, one or several for flags that sweep; if the field is switched, the two
    fields are one value. Raises UserError if a value is given twice or is out of range.
    """
    table, axes = flags_of(Setting), {}
    given = with_second(given)
    names = [name for name, (each, _) in table.items() if each.sweeps and name in given]
    for name in sorted(names, key=lambda name: name == "lr"):  # False comes first
        values = given[name]
        is_one = isinstance(values, str) or not isinstance(values, Iterable)
        axes[name] = (values,) if is_one else values
        for value, count in Counter(axes[name]).items():
            if count > 1:
                raise UserError(f"--{name} {value}: given {count} times; give each value once")
    fixed = {name: value for name, value in given.items() if name not in axes}
    return [
        Setting(**fixed, **dict(zip(axes, chosen, strict=True)))
        for chosen in product(*axes.values())
    ]


def with_second(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Split two fields with a switch into `field` and `second`; raises UserError."""
    switches = [name for name in SWITCHES if name in given]
    if not switches or "second" in given:
        return given
    fields = given.get("field", (Setting.field,))
    if len(fields) != 2:
        raise UserError(
            f"--{switches[0]}: needs two fields, --field A B: first that at the start, then that "
            f"after the switch; there {'is' if len(fields) == 1 else 'are'} {len(fields)}"
        )
    rest = {name: value for name, value in given.items() if name != "field"}
    return rest | {"field": (fields[0],), "second": fields[1]}


@dataclass(frozen=True)
class Study:
    """Sweeps with a name. about: a line for --help; sweeps: dicts of values by flag."""

    name: str
    about: str
    sweeps: Sequence[Mapping[str, Any]]

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        """Return every setting once; given: values by flag that replace those of the study."""
        return settings_of(self.sweeps, given or {})

    @property
    def command(self) -> str:
        """The command that trains the study."""
        return f"figures/{self.name}.sh"


@dataclass(frozen=True)
class SwitchStudy(Study):
    """Two fields, switched from either to the other after some epochs, and each field alone.

    sweeps: one sweep of the values that all have in common, including the epochs of a switch.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        """Return every setting once; epochs of a switch beyond a shorter training are left out."""
        given = dict(given or {})
        common = {**self.sweeps[0], **given}
        if any(name in given for name in SWITCHES):
            switches = {name: given[name] for name in SWITCHES if name in given}
        else:
            epochs = common.get("epochs", Setting.epochs)
            switches = {"switch_epoch": [e for e in common["switch_epoch"] if e < epochs]}
            if not switches["switch_epoch"]:
                raise UserError(f"--study {self.name}: nothing to switch in {epochs} epochs")
        alone = {name: value for name, value in common.items() if name not in SWITCHES}
        orders = ({**alone, "field": alone["field"][::step], **switches} for step in (1, -1))
        return settings_of([*orders, alone], {})


def settings_of(sweeps: Sequence[Mapping], given: Mapping) -> tuple[Setting, ...]:
    """Return every setting once; --device_noise is given only to settings with read noise."""
    if given.get("device_noise") and "resistor_noise" not in given:
        silent = [values.get("resistor_noise") == (0.0,) for values in sweeps]
        if any(silent) and not all(silent):
            sweeps = [
                {**values, "device_noise": not none}
                for values, none in zip(sweeps, silent, strict=True)
            ]
            given = {name: value for name, value in given.items() if name != "device_noise"}
    found = (setting for values in sweeps for setting in sweep({**values, **given}))
    return tuple(dict.fromkeys(found))


def by_rate(var: float, resistor_noise: float, clipping: tuple[float, ...]) -> dict[str, tuple]:
    """Return a sweep of both fields over the learning rates."""
    return {
        "field": FIELDS,
        "lr": RATES,
        "var": (var,),
        "resistor_noise": (resistor_noise,),
        "clipping": clipping,
    }


def curved(nonlinearity: float) -> Device:
    return find(f"double-curved-{nonlinearity}")


@dataclass(frozen=True)
class OwnDeviceStudy(Study):
    """Devices of the user's own beside others, at learning rates that make equal steps.

    Learning rates, those given as well, are those of a device with 27 pulses in its range. One with
    more pulses makes a smaller step with each, and gets as many times the rate.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        values = with_second({**self.sweeps[0], **(given or {})})
        sweep({"field": values["field"], "lr": values["lr"]})  # which refuses what is given twice
        rates = {
            field: tuple(rate_of_equal_steps(rate, field) for rate in values["lr"])
            for field in values["field"]
        }
        sweeps = [{**values, "field": (field,), "lr": rates[field]} for field in rates]
        return settings_of(sweeps, {})


def rate_of_equal_steps(rate: float, device: Device) -> float:
    """The learning rate at which a device makes the steps that the linear one makes at `rate`."""
    factor = rate_factor(device)
    return rate if factor == 1 else float(f"{rate * factor:.4g}")


def rate_factor(device: Device) -> float:
    """By how many times more pulses than the built-in devices take a range is divided."""
    return device.response.pulses_max / FIELDS[0].response.pulses_max


@dataclass(frozen=True)
class DrivingStudy(Study):
    """Each device in the cells that it can have, driven by each rule, and the ideal network.

    The rules are combinations of rounding and accumulator. A device with a file has the noises that
    were measured, others those of figure 1. Learning rates make equal steps: see OwnDeviceStudy.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        given = dict(given or {})
        values = {**self.sweeps[0], **given}
        cells, scheme = values.pop("cell"), {"rounding": ROUNDINGS, "accumulate": (False, True)}
        wanted = {name: values.pop(name, choices) for name, choices in scheme.items()}
        rules = [rule for rule in RULES if all(rule[name] in wanted[name] for name in rule)]
        sweeps = []
        for field, cell, rule in product(values["field"], cells, rules):
            if cell != ONE_WAY and "cell" not in given and not field.can_be_driven_both_ways:
                continue
            noises = {"clipping": FIGURE_1["clipping"]} if field.measured else FIGURE_1
            rates = tuple(rate_of_equal_steps(rate, field) for rate in values["lr"])
            own = {name: (value,) for name, value in {"cell": cell, **rule}.items()}
            common = {**each_alone(noises), **values, "field": (field,), "lr": rates}
            sweeps.append(common | own)
        if not {*SCHEME} & given.keys():
            perfect = {**values, **each_alone(PERFECT)}
            sweeps.append({**perfect, "field": (IDEAL,)})
        return settings_of(sweeps, {})


@dataclass(frozen=True)
class AblationStudy(Study):
    """Every combination of imperfections that are present or absent, and the ideal network.

    An imperfection has the value of its flag, or the measured value of the field's device, or that
    of figure 1; an imperfection of 0 is left out. Rounding and accumulator work with the smallest
    pulse, so that they are left out together with it.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        given = dict(given or {})
        for name in PERFECT:
            if len(given.get(name, ())) > 1:
                raise UserError(
                    f"--{name}: --study {self.name} takes one value, with and without which it "
                    f"trains; it was given {len(given[name])}"
                )
        sizes = {name: given.pop(name)[0] for name in PERFECT if name in given}
        rule = {name: given.pop(name) for name in RULES[0] if name in given}
        sweeps = []
        for values in self.sweeps:
            fields = given.get("field", values["field"])
            sweeps += [
                {**values, "field": (field,), **dict(zip(PERFECT, chosen, strict=True))}
                for field in fields
                for chosen in combinations(field, sizes)
            ]
            sweeps.append({**values, "field": (IDEAL,), **dict.fromkeys(PERFECT, (0.0,))})
        rest = {name: value for name, value in given.items() if name != "field"}
        sweeps = [values | (rule if values["clipping"] != (0.0,) else {}) for values in sweeps]
        return settings_of(sweeps, rest)


def combinations(field: Device, given: Mapping[str, float]) -> list[tuple[tuple[float], ...]]:
    """Return one sweep for each combination, from all imperfections to none."""
    sizes = [imperfection(field, name, given) for name in PERFECT]
    axes = [((size,), (0.0,)) if size else ((0.0,),) for size in sizes]
    return list(product(*axes))


def imperfection(field: Device, name: str, given: Mapping[str, float]) -> float:
    """Return the size of an imperfection: from its flag, as measured, or from figure 1."""
    flag, _ = flags_of(Setting)[name]
    measured = field.measured and flag.measured and getattr(field.measured, flag.measured).value
    default = FIGURE_1.get(name, 0.0) if measured is None else measured
    return float(given.get(name, default))


def without(setting: Setting, names: Sequence[str]) -> Setting:
    """Return the setting without some imperfections, and without what has no effect then.

    Noises that follow the read noise go with it, rounding and accumulator with the smallest pulse.
    """
    derived = replace(setting, voltage_noise=None).voltage_noise
    follow = {
        "voltage_noise": None if setting.voltage_noise == derived else setting.voltage_noise,
        "device_noise": setting.device_noise and "resistor_noise" not in names,
    }
    rule = RULES[0] if "clipping" in names else {}
    return replace(setting, **follow, **rule, **{name: PERFECT[name] for name in names})


def each_alone(values: Mapping[str, float]) -> dict[str, tuple[float]]:
    return {name: (value,) for name, value in values.items()}


def by_layers(layers: tuple[int, ...]) -> list[dict]:
    """Return sweeps of both fields as in figure 1 and of the ideal network, near the best rates."""
    common = {"layers": layers, "lr": RATES[:3]}
    return [
        {**common, "field": FIELDS, **each_alone(FIGURE_1)},
        {**common, "field": (IDEAL,), **each_alone(PERFECT)},
    ]


def by_depth(layers: tuple[int, ...]) -> list[dict]:
    """Return sweeps as `by_layers` does, over fresh weights and rules of programming."""
    devices, ideal = by_layers(layers)
    rules = ({name: (value,) for name, value in rule.items()} for rule in DEPTH_RULES)
    common = {"init": DEPTH_INITS}
    return [*({**devices, **common, **rule} for rule in rules), {**ideal, **common}]


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "figure1",
            "both fields over learning rates, with variability, read noise and smallest pulse",
            [by_rate(0.2, 0.015, (0.1,))],
        ),
        Study(
            "figure2",
            "both fields over learning rates, with ideal devices",
            [by_rate(0.0, 0.0, (0.0,))],
        ),
        Study(
            "figure3",
            "both fields over learning rates, with three smallest pulses (--clipping) alone",
            [by_rate(0.0, 0.0, (0.1, 0.2, 0.5))],
        ),
        OwnDeviceStudy(
            "own-device",
            "linear, exponential and ideal devices; figures/own-device.sh FILE.json adds yours",
            [{"field": BESIDE, "lr": RATES}],
        ),
        SwitchStudy(
            "switch",
            "either field at first, the other after 1 to 15 epochs; and each field alone",
            [by_rate(0.2, 0.015, (0.1,)) | {"lr": (1000.0, 3000.0), "switch_epoch": SWITCHED_AT}],
        ),
        # At learning rate 1000, either field of figure 1 is within 0.05 points of its best.
        AblationStudy(
            "ablation",
            "both fields with and without each imperfection, and the ideal network",
            [{"field": FIELDS, "lr": (1000.0,)}],
        ),
        Study(
            "map",
            "nonlinearity from -4 to 8 against learning rate, with figure 1's imperfections",
            [
                {
                    "field": tuple(map(curved, NONLINEARITIES)),
                    "lr": MAP_RATES,
                    **each_alone(FIGURE_1),
                }
            ],
        ),
        DrivingStudy(
            "driving",
            "cells and rules of programming for both fields; figures/driving.sh [FILE.json] takes "
            "yours instead",
            [{"field": FIELDS, "lr": DRIVING_RATES, "cell": CELLS}],
        ),
        Study(
            "width",
            "both fields and the ideal network with other hidden layers: by size; and by number, "
            "with other fresh weights and rules of programming",
            [
                *(values for layers in WIDTHS for values in by_layers(layers)),
                *(values for layers in DEPTHS for values in by_depth(layers)),
            ],
        ),
    )
}


COUNTING = ("driving",)  # studies that count pulses without --ledger being given
EXTENDING = ("own-device",)  # studies that add learning rates where the best is at the edge
MAX_EXTENSIONS = 3


def beyond_edges(accuracies: Mapping[Setting, float]) -> tuple[Setting, ...]:
    """Settings of half or twice the learning rate, where the best is the lowest or the highest.

    accuracies: mean over networks, of settings that for each field differ in nothing but that.
    """
    more = []
    for field in dict.fromkeys(setting.field for setting in accuracies):
        settings = [setting for setting in accuracies if setting.field == field]
        best = max(settings, key=accuracies.__getitem__)
        rates = [setting.lr for setting in settings]
        for edge, factor in ((min(rates), 0.5), (max(rates), 2.0)):
            if best.lr == edge:
                more.append(replace(best, lr=float(f"{factor * edge:.4g}")))
    return tuple(more)


def find_study(name: str) -> Study:
    """Return the study of a name; raises UserError, which lists the valid names, if none."""
    if name not in STUDIES:
        raise UserError(f"--study {name}: unknown; the valid ones: {', '.join(STUDIES)}")
    return STUDIES[name]
