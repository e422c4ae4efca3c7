"""The named studies that `--study` trains and figures show. Torch is not used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from devices.library import Device, find
from devices.scheme import CELLS
from utils.errors import UserError
from utils.settings import Setting
from utils.study import (
    FIELDS,
    FIGURE_1,
    IDEAL,
    PERFECT,
    RULES,
    AblationStudy,
    DrivingStudy,
    OwnDeviceStudy,
    Study,
    SwitchStudy,
)
from utils.sweeps import each_alone

REFERENCES = (*FIELDS, IDEAL)
# What a device of the user's own is compared with. Device files are mapped onto the range of the
# linear device, so the exponential beside them has that range, too; the paper's has 2.5 times it.
SAME_RANGE = find("double-curved-2.77")
BESIDE = (FIELDS[0], SAME_RANGE, IDEAL)
SWITCHED_AT = (1, 2, 5, 10, 15)  # epochs, of 20
RATES = (500.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0)
# The map: nonlinearities, and learning rates a factor of two apart.
NONLINEARITIES = tuple(float(nu) for nu in range(-4, 9))
MAP_RATES = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
DRIVING_RATES = MAP_RATES[:5]
WIDTHS = ((64,), (128,), (256,), (512,), (1024,))
DEPTHS = ((256,), (256, 256), (256, 256, 256))
# Whether deep networks begin to learn depends on the fresh weights (--init) and on the rule.
DEPTH_INITS = (0.01, 0.05, 0.2)
DEPTH_RULES = (RULES[0], RULES[2], RULES[3])
COUNTING = ("driving",)  # studies that count pulses without --ledger being given
EXTENDING = ("own-device",)  # studies that add learning rates where the best is at the edge
MAX_EXTENSIONS = 3


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
