"""The sections of a report: what each shows and says, and which commands train what is missing.

A new picture is a module with `select`, `draw_...` and `conclusion`, and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
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
from utils.plots.networks import Networks, describe_edges, describe_missing, named_devices
from utils.plots.selection import FairChoice, comparable, fair_choices, varied_by_figures
from utils.plots.statistics import rates_beyond
from utils.plots.weights import draw_weights
from utils.records.simulations import series_of, with_costs
from utils.studies import BESIDE, STUDIES
from utils.study import FIELDS, SCHEME


@dataclass(frozen=True)
class Section:
    """A picture, with a table where there is one.

    name: that of the picture's files. select: what is shown, from all networks: None, or something
    empty, if there is nothing. draw, conclude: from what is there the picture, maybe None, and
    sentences. table: from what is shown, numbers. missing: from all networks and what is shown, a
    line for each command that makes more.
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

    def missing(networks: Networks, shown: pd.DataFrame) -> list[str]:
        shown = accuracy.select(study, shown)
        first = shown[shown["clipping"] == shown["clipping"].min()]  # its first panel
        return networks.missing(study, edges=first)

    return Section(
        f"{study.name}-accuracy-against-learning-rate",
        lambda networks: networks.main,
        partial(accuracy.draw_accuracy, study),
        lambda shown: [accuracy.conclusion(study, shown)],
        missing,
    )


def from_figure_1(name: str, flags: str = "") -> Callable[[Networks, Any], list[str]]:
    """What is missing of a picture that figure 1 makes, too. flags: what else it takes."""

    def missing(networks: Networks, shown: pd.DataFrame) -> list[str]:
        command = f"{STUDIES['figure1'].command} --resume{networks.flags()}{flags}"
        return [] if len(shown) else [describe_missing(name, "all are", command)]

    return missing


def intermediates(networks: Networks) -> pd.DataFrame:
    kept = with_intermediates(networks.unswitched)
    return networks.reference(comparable(kept, vary=varied_by_figures()))


def measured_choices(networks: Networks) -> list[FairChoice]:
    """Devices of the user's own beside linear, exponential and ideal ones."""
    measured = networks.measured_names
    fields = [*measured, *(device.name for device in BESIDE)]
    choices = fair_choices(networks.unswitched, fields, measured) if measured else []
    return [choice for choice in choices if {*measured} & {*choice.fields}]


def own_or_reference(networks: Networks) -> pd.DataFrame:
    """The user's devices and those beside them, or else those of the reference."""
    choices = measured_choices(networks)
    return choices[0].networks if choices else networks.reference()


def missing_beside(networks: Networks, choice: FairChoice | None) -> list[str]:
    """Which built-in devices are not beside the user's, or that there is none of the user's."""
    script = STUDIES["own-device"].command
    if choice is None:
        return [
            "No device of your own yet; train it beside the built-in ones with: "
            f"{script} my-device.json --resume"
        ]
    rows = choice.networks
    own = [device for device in networks.measured if device.name in choice.fields]
    command = f"{script} {named_devices(rows, own)} --resume{networks.flags(rows)}"
    lines = describe_edges(command, rows, is_scaled=True)
    if missing := [device.name for device in BESIDE if device.name not in choice.fields]:
        lines.insert(0, f"{', '.join(missing)} not beside it; add with: {command}")
    return lines


def with_equal_noises(networks: Networks) -> FairChoice | None:
    """The second choice, where it has other noises and built-in devices, too."""
    _, second = ([*measured_choices(networks), None, None])[:2]
    references = {device.name for device in BESIDE}
    return second if second and not second.as_measured and references & {*second.fields} else None


def missing_switched(networks: Networks, shown: switch.Switched | None) -> list[str]:
    if shown is None:
        return networks.missing(STUDIES["switch"])
    if {shown.asked, shown.other} != set(switch.FIELDS):
        return []  # the study is of the paper's two fields
    return networks.missing(STUDIES["switch"], shown.networks)


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
    study = STUDIES["ablation"]
    lines = [] if shown else networks.missing(study)
    for each in shown:
        rows = pd.concat(each.networks.values())
        lines += networks.missing(study, rows, each.given | series_without(rows, GO_ALONG))
    return lines


def series_without(networks: pd.DataFrame, but: Collection[str]) -> dict[str, Any]:
    """The values that the networks of a series share, but for flags that a study varies."""
    return {name: value for name, value in series_of(networks).items() if name not in but}


def missing_driving(networks: Networks, shown: list[driving.Driven]) -> list[str]:
    """What is missing of the study for each device that was driven, or for built-in ones."""
    study, main = STUDIES["driving"], networks.main
    lines = [] if shown else networks.missing(study, main, series_without(main, SCHEME))
    for driven in shown:
        rows = pd.concat([*driven.rates.values(), driven.ideal])
        device = rows["setting"].iloc[0].field.driven(both_ways=False)
        given = {"field": (device,)} | series_without(rows, SCHEME)
        edges = list(driven.rates.values())[driven.recommended]
        lines += networks.missing(study, rows, given, edges, is_scaled=True)
    return lines


def missing_map(networks: Networks, shown: device_map.Map | None) -> list[str]:
    return networks.missing(STUDIES["map"], edges=None if shown is None else shown.curved)


def missing_widths(networks: Networks, shown: pd.DataFrame) -> list[str]:
    study, alike = STUDIES["width"], networks.main if shown.empty else shown
    given = series_without(alike, width.VARIED)
    lines = networks.missing(study, alike, given)
    by_size = width.by_variant(shown).values()
    if beyond := sorted({rate for rows in by_size for rate in rates_beyond(rows)}):
        rates = " ".join(f"{rate:g}" for rate in beyond)
        lines.append(
            "Width: some are best at the edge of what was tried; try others with: "
            f"{study.command} --resume{networks.flags(alike, given)} --lr {rates}"
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
            missing_beside,
        ),
        Section("own-device-other-noises", with_equal_noises, comparison.draw_comparison),
        Section("devices", lambda networks: [*FIELDS, *networks.measured], draw_devices),
        *map(by_rate, accuracy.BY_RATE),
        Section(
            "learning-curves",
            own_or_reference,
            draw_learning_curves,
            missing=from_figure_1("Learning curves"),
        ),
        Section("weights", own_or_reference, draw_weights, missing=from_figure_1("Weights")),
        Section(
            "intermediate",
            intermediates,
            draw_intermediate,
            missing=from_figure_1("Currents and voltages", " --compute_intermediate"),
        ),
        Section(
            "switch",
            lambda networks: switch.select(networks.healthy),
            switch.draw_switch,
            lambda shown: [switch.conclusion(shown)],
            missing_switched,
        ),
        Section(
            "costs",
            lambda networks: with_costs(networks.reference()).dropna(subset=["pulses"]),
            costs.draw_costs,
            lambda shown: [costs.conclusion(shown)],
            # With --ledger networks train again, and their currents and voltages with them.
            from_figure_1("Costs", " --ledger --compute_intermediate"),
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
            lambda shown: [device_map.conclusion(shown)],
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
