"""The sections of a report: what each shows and says, and which commands train what is missing.

A new picture is a module with `select`, `draw_...` and `conclusion`, and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from utils.plots import ablation, accuracy, comparison, costs, driving, intermediate, switch, width
from utils.plots import map as device_map
from utils.plots.commands import describe_edges, describe_missing, named_devices
from utils.plots.devices import draw_devices
from utils.plots.driving_picture import draw_driving
from utils.plots.networks import Networks, series_beside
from utils.plots.selection import FairChoice
from utils.plots.statistics import rates_beyond
from utils.plots.weights import draw_weights
from utils.records.simulations import with_costs
from utils.studies import BESIDE, STUDIES
from utils.study import FIELDS


@dataclass(frozen=True)
class Section:
    """A picture, with a table where there is one.

    name: that of the picture's files. select: what is shown, from all networks: rows, or a list;
    empty if there is nothing. draw: from what is there the picture, maybe None. conclude: from all
    rows, or each item of a list, what it says. table: from what is shown, numbers. missing: from
    all networks and what is shown, a line for each command that makes more.
    """

    name: str
    select: Callable[[Networks], Any]
    draw: Callable[[Any], Figure | None]
    conclude: Callable[[Any], str] = lambda shown: ""
    missing: Callable[[Networks, Any], list[str]] = lambda networks, shown: []
    table: Callable[[Any], pd.DataFrame] = lambda shown: pd.DataFrame()


def by_rate(number: int) -> Section:
    """Figure 1, 2 or 3; the first panel's learning rates at the edge are named."""
    study = accuracy.BY_RATE[number]
    return Section(
        f"{study.name}-accuracy-against-learning-rate",
        lambda networks: accuracy.select(study, networks.main),
        partial(accuracy.draw_accuracy, study),
        partial(accuracy.conclusion, study),
        lambda networks, shown: networks.missing(
            study, edges=shown[shown["clipping"] == shown["clipping"].min()]
        ),
    )


def from_figure_1(name: str, flags: str = "") -> Callable[[Networks, Any], list[str]]:
    """What is missing of a picture that figure 1 makes, too. flags: what else it takes."""

    def missing(networks: Networks, shown: pd.DataFrame) -> list[str]:
        command = f"{STUDIES['figure1'].command} --resume{networks.flags()}{flags}"
        return [] if len(shown) else [describe_missing(name, "all are", command)]

    return missing


def missing_beside(networks: Networks, choices: list[FairChoice]) -> list[str]:
    """Which built-in devices are not beside the user's, or that there is none of the user's."""
    study = STUDIES["own-device"]
    if not choices:
        return [
            "No device of your own yet; train it beside the built-in ones with: "
            f"{study.command} my-device.json --resume"
        ]
    rows, fields = choices[0].networks, choices[0].fields
    measured = [device for device in networks.measured if device.name in fields]
    command = f"{study.command} {named_devices(rows, measured)} --resume{networks.flags(rows)}"
    missing = [device.name for device in BESIDE if device.name not in fields]
    lines = [f"{', '.join(missing)} not beside it; add with: {command}"] if missing else []
    return lines + describe_edges(study, command, rows)


def with_equal_noises(networks: Networks) -> list[FairChoice]:
    """The second choice, where it has other noises and built-in devices, too."""
    built_in = {device.name for device in BESIDE}
    others = [choice for choice in networks.choices[1:] if not choice.as_measured]
    return [choice for choice in others if built_in & {*choice.fields}]


def missing_switched(networks: Networks, shown: pd.DataFrame) -> list[str]:
    """What is missing of the study, which is of the paper's two fields."""
    is_papers = set(switch.fields_of(shown)) <= set(FIELDS)
    return networks.missing(STUDIES["switch"], shown) if is_papers else []


def missing_ablations(networks: Networks, shown: list[ablation.Ablation]) -> list[str]:
    study = STUDIES["ablation"]
    lines = [] if shown else networks.missing(study)
    for shown_ablation in shown:
        rows = pd.concat(shown_ablation.networks.values())
        lines += networks.missing(study, rows, shown_ablation.given)
    return lines


def missing_driving(networks: Networks, shown: list[driving.Driven]) -> list[str]:
    """What is missing of the study for each device that was driven, or for built-in ones."""
    study = STUDIES["driving"]
    lines = [] if shown else networks.missing(study)
    for driven in shown:
        rows = pd.concat([*driven.rates.values(), driven.ideal])
        device = rows["setting"].iloc[0].field.driven(both_ways=False)
        edges = list(driven.rates.values())[driven.recommended]
        lines += networks.missing(study, rows, {"field": (device,)}, edges)
    return lines


def missing_widths(networks: Networks, shown: pd.DataFrame) -> list[str]:
    """What is missing of the study, and learning rates beyond those tried that may be the best."""
    study = STUDIES["width"]
    lines = networks.missing(study, shown)
    by_size = width.by_variant(shown).values()
    if beyond := sorted({rate for rows in by_size for rate in rates_beyond(rows)}):
        flags = networks.flags(shown, series_beside(study, shown))
        lines.append(
            "Width: some are best at the edge of what was tried; try others with: "
            f"{study.command} --resume{flags} --lr {' '.join(f'{rate:g}' for rate in beyond)}"
        )
    return lines


SECTIONS: dict[str, Section] = {
    section.name.partition("-accuracy")[0]: section
    for section in (
        Section(
            "own-device",
            lambda networks: networks.choices[:1],
            lambda choices: comparison.draw_comparison(*choices),
            lambda choice: "\n".join(comparison.conclusions(choice)),
            missing_beside,
        ),
        Section(
            "own-device-other-noises",
            with_equal_noises,
            lambda choices: comparison.draw_comparison(*choices),
        ),
        Section("devices", lambda networks: [*FIELDS, *networks.measured], draw_devices),
        *map(by_rate, accuracy.BY_RATE),
        Section(
            "learning-curves",
            attrgetter("own_or_reference"),
            accuracy.draw_learning_curves,
            missing=from_figure_1("Learning curves"),
        ),
        Section(
            "weights",
            attrgetter("own_or_reference"),
            draw_weights,
            missing=from_figure_1("Weights"),
        ),
        Section(
            "intermediate",
            intermediate.select,
            intermediate.draw_intermediate,
            missing=from_figure_1("Currents and voltages", " --compute_intermediate"),
        ),
        Section("switch", switch.select, switch.draw_switch, switch.conclusion, missing_switched),
        Section(
            "costs",
            lambda networks: with_costs(networks.reference()).dropna(subset=["pulses"]),
            costs.draw_costs,
            costs.conclusion,
            # With --ledger networks train again, and their currents and voltages with them.
            from_figure_1("Costs", " --ledger --compute_intermediate"),
        ),
        Section(
            "ablation",
            ablation.select,
            ablation.draw_ablation,
            ablation.conclusion,
            missing_ablations,
            ablation.table,
        ),
        Section(
            "driving",
            lambda networks: driving.select(networks.unswitched),
            draw_driving,
            driving.conclusion,
            missing_driving,
            driving.table,
        ),
        Section(
            "map",
            lambda networks: device_map.select(networks.drawn, networks.measured),
            device_map.draw_map,
            device_map.conclusion,
            lambda networks, shown: networks.missing(
                STUDIES["map"], edges=shown.dropna(subset=["nu"])
            ),
        ),
        Section(
            "width",
            width.select,
            width.draw_width,
            width.conclusion,
            missing_widths,
            width.table,
        ),
    )
}
