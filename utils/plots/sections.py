"""The sections of a report: what each shows and says, and which commands train what is missing.

A new picture is a module with `select`, `draw_...` and `conclusion`, and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from utils.plots import ablation, accuracy, comparison, costs, driving, switch, width
from utils.plots import map as device_map
from utils.plots.curves import draw_learning_curves
from utils.plots.devices import draw_devices
from utils.plots.driving_picture import draw_driving
from utils.plots.intermediate import draw_intermediate, with_intermediates
from utils.plots.networks import Networks, describe_edges, named_device_files
from utils.plots.selection import FairChoice, comparable, fair_choices, varied_by_figures
from utils.plots.statistics import rates_beyond
from utils.plots.weights import draw_weights
from utils.records.simulations import series_of
from utils.studies import BESIDE, STUDIES
from utils.study import SCHEME, Study


@dataclass(frozen=True)
class Section:
    """A picture, with a table where there is one.

    name: that of the picture's files. select: what is shown, from all networks. draw, conclude,
    table: from that, the picture (None if there is nothing to draw), sentences, and numbers.
    missing: from all networks and what is shown, a line for each command that makes more.
    """

    name: str
    select: Callable[[Networks], Any]
    draw: Callable[[Any], Figure | None]
    conclude: Callable[[Any], list[str]] = lambda shown: []
    missing: Callable[[Networks, Any], list[str]] = lambda networks, shown: []
    table: Callable[[Any], pd.DataFrame] = lambda shown: pd.DataFrame()


def by_rate(number: int) -> Section:
    """Figure 1, 2 or 3."""
    study = accuracy.BY_RATE[number]
    return Section(
        f"{study.name}-accuracy-against-learning-rate",
        lambda networks: networks.main,
        partial(accuracy.draw_accuracy, study),
        lambda shown: [accuracy.conclusion(study, shown)],
        lambda networks, shown: [
            *networks.missing(study),
            *edges_of(networks, study, accuracy.select(study, shown)),
        ],
    )


def edges_of(networks: Networks, study: Study, shown: pd.DataFrame) -> list[str]:
    """The fields whose best learning rate is at an edge, in the study's first panel."""
    if shown.empty:
        return []
    first = shown["clipping"].min()
    return describe_edges(networks.command(study), shown[shown["clipping"] == first])


def from_figure_1(name: str, flags: str = "") -> Callable[[Networks, Any], list[str]]:
    """What is missing of a picture that figure 1 makes, too. flags: what else it takes."""

    def missing(networks: Networks, shown: pd.DataFrame) -> list[str]:
        command = f"{networks.command(STUDIES['figure1'])}{flags}"
        return [] if len(shown) else [f"No {name} yet; make them with: {command}"]

    return missing


def intermediates(networks: Networks) -> pd.DataFrame:
    kept = with_intermediates(networks.unswitched)
    return networks.reference(comparable(kept, vary=varied_by_figures()))


def measured_choices(networks: Networks) -> list[FairChoice]:
    """Devices of the user's own beside linear, exponential and ideal ones."""
    measured = networks.measured_names
    is_measured = networks.unswitched["field"].isin(measured)
    alike = comparable(networks.unswitched, vary=varied_by_figures(), among=is_measured)
    choices = fair_choices(alike, [*measured, *(device.name for device in BESIDE)])
    return [choice for choice in choices if {*measured} & {*choice.fields}]


def own_or_reference(networks: Networks) -> pd.DataFrame:
    """The user's devices and those beside them, or else those of the reference."""
    choices = measured_choices(networks)
    return choices[0].networks if choices else networks.reference()


def missing_beside(networks: Networks, choices: list[FairChoice]) -> list[str]:
    """Which built-in devices are not beside the user's, or that there is none of the user's."""
    study = STUDIES["own-device"]
    if not choices:
        return [
            "No device of your own yet; train it beside the built-in ones with: "
            f"{study.command} my-device.json --resume"
        ]
    missing = [device.name for device in BESIDE if device.name not in choices[0].fields]
    rows = choices[0].networks
    own = rows[rows["field"].isin(networks.measured_names)]
    files = named_device_files(own, networks.measured_names)
    command = f"{study.command} {files} --resume{networks.flags(rows)}"
    return [
        *[f"{', '.join(missing)} not beside it; add with: {command}"] * bool(missing),
        *describe_edges(command, rows, is_scaled=True),
    ]


def with_equal_noises(networks: Networks) -> FairChoice | None:
    """The second choice, where it has other noises and built-in devices, too."""
    _, second = ([*measured_choices(networks), None, None])[:2]
    references = {device.name for device in BESIDE}
    return second if second and not second.as_measured and references & {*second.fields} else None


def missing_switched(networks: Networks, shown: switch.Switched | None) -> list[str]:
    study = STUDIES["switch"]
    if shown is None:
        return networks.missing(study)
    if {shown.asked, shown.other} != set(switch.FIELDS):
        return []  # the study is of the paper's two fields
    flags = networks.flags(shown.networks)
    return networks.missing(study, shown.networks, flags=flags)


# Flags that lose their effect together with an imperfection.
GO_ALONG = ("device_noise", "rounding", "accumulate")


def select_ablations(networks: Networks) -> list[ablation.Ablation]:
    """Device noise goes with the read noise, the rule with the smallest pulse.

    So networks without either stand beside.
    """
    is_main = networks.unswitched.index.isin(networks.main.index)
    among = pd.Series(is_main, networks.unswitched.index)
    alike = comparable(networks.unswitched, varied_by_figures(*GO_ALONG), among)
    return ablation.find_ablations(alike)


def missing_ablations(networks: Networks, shown: list[ablation.Ablation]) -> list[str]:
    study, series = STUDIES["ablation"], series_of(networks.main)
    if not shown:
        return networks.missing(study)
    lines = []
    for each in shown:
        noisy = each.full.device_noise
        field = each.field
        if each.full.field.measured is not None:
            field = named_device_files(each.networks[each.full], [field])
        rest = networks.flags(but=GO_ALONG)
        flags = f" --field {field}{each.flags}{' --device_noise' * noisy}{rest}"
        given = series | each.given | {"device_noise": noisy}
        lines += networks.missing(study, networks.unswitched, given, flags)
    return lines


def missing_driving(networks: Networks, shown: list[driving.Driven]) -> list[str]:
    """What is missing of the study for each device that was driven, or for built-in ones."""
    study = STUDIES["driving"]
    if not shown:
        return networks.missing(study, given={}, flags=networks.flags(but=SCHEME))
    lines = []
    for driven in shown:
        rows = pd.concat([*(each.rates for each in driven.schemes), driven.ideal])
        device = rows["setting"].iloc[0].field.driven(both_ways=False)
        values = series_of(rows) | {"field": (device,)}
        given = {name: value for name, value in values.items() if name not in SCHEME}
        flags = networks.flags(rows, but=SCHEME)
        if driven.field in networks.measured_names:
            flags = f" --field {named_device_files(rows, [driven.field])}{flags}"
        else:
            flags = f" --field {driven.field}{flags}"
        lines += networks.missing(study, rows, given, flags)
        command = networks.command(study, flags)
        lines += describe_edges(command, driven.recommended.rates, is_scaled=True)
    return lines


def missing_map(networks: Networks, shown: device_map.Map | None) -> list[str]:
    study = STUDIES["map"]
    curved = networks.main.iloc[:0] if shown is None else shown.curved
    return [*networks.missing(study), *describe_edges(networks.command(study), curved)]


def missing_widths(networks: Networks, shown: pd.DataFrame) -> list[str]:
    alike = networks.main if shown.empty else shown
    given = {name: value for name, value in series_of(alike).items() if name not in width.VARIED}
    flags = networks.flags(alike, but=width.VARIED)
    study = STUDIES["width"]
    lines = networks.missing(study, shown, given, flags)
    by_size = shown.groupby(["field", *width.VARIED]) if len(shown) else ()
    if beyond := sorted({rate for _, rows in by_size for rate in rates_beyond(rows)}):
        rates = " ".join(f"{rate:g}" for rate in beyond)
        command = f"{networks.command(study, flags)} --lr {rates}"
        lines.append(
            f"Width: some are best at the edge of what was tried; try others with: {command}"
        )
    return lines


SECTIONS: dict[str, Section] = {
    section.name.partition("-accuracy")[0]: section
    for section in (
        Section(
            "own-device",
            lambda networks: next(iter(measured_choices(networks)), None),
            comparison.draw_comparison,
            comparison.conclusions,
            lambda networks, shown: missing_beside(networks, [shown] if shown else []),
        ),
        Section("own-device-other-noises", with_equal_noises, comparison.draw_comparison),
        Section("devices", lambda networks: networks.measured, draw_devices),
        *map(by_rate, accuracy.BY_RATE),
        Section(
            "learning-curves",
            own_or_reference,
            draw_learning_curves,
            missing=from_figure_1("learning curves"),
        ),
        Section("weights", own_or_reference, draw_weights, missing=from_figure_1("weights")),
        Section(
            "intermediate",
            intermediates,
            draw_intermediate,
            missing=from_figure_1("currents and voltages", " --compute_intermediate"),
        ),
        Section(
            "switch",
            lambda networks: switch.select(networks.healthy),
            switch.draw_switch,
            lambda shown: [switch.conclusion(shown)] if shown else [],
            missing_switched,
        ),
        Section(
            "costs",
            lambda networks: networks.reference_costs,
            costs.draw_costs,
            lambda shown: [costs.conclusion(shown)],
            # With --ledger networks train again, and their currents and voltages with them.
            lambda networks, shown: from_figure_1(
                "costs of learning", " --ledger --compute_intermediate"
            )(networks, shown.dropna(subset=["pulses"])),
        ),
        Section(
            "ablation",
            select_ablations,
            ablation.draw_ablation,
            lambda shown: [ablation.conclusion(each) for each in shown],
            missing_ablations,
            ablation.table,
        ),
        Section(
            "driving",
            lambda networks: driving.select(networks.unswitched),
            draw_driving,
            lambda shown: [driving.conclusion(each) for each in shown],
            missing_driving,
            driving.table,
        ),
        Section(
            "map",
            lambda networks: device_map.select(networks.drawn, networks.measured_names),
            device_map.draw_map,
            lambda shown: [device_map.conclusion(shown)] if shown else [],
            missing_map,
        ),
        Section(
            "width",
            lambda networks: width.select(networks.unswitched),
            width.draw_width,
            width.conclusions,
            missing_widths,
            width.table,
        ),
    )
}
