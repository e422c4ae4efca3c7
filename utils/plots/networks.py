"""The networks of a folder of simulations: which of them are drawn, and what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from devices.library import Device
from utils.errors import UserError
from utils.flags import flags_of
from utils.plots import commands
from utils.plots.prices import NO_PRICES, Prices
from utils.plots.selection import (
    FIELD_AND_RATE,
    VARIED,
    FairChoice,
    comparable,
    fair_choices,
    in_study,
    varied_by_figures,
    with_newest_constants,
)
from utils.records.simulations import Simulations, series_of
from utils.run import Run
from utils.settings import Setting
from utils.studies import BESIDE, STUDIES
from utils.study import SCHEME, Study

MOST_LINES = 5  # on networks that are not drawn


class Networks:
    """What the sections of a report draw from.

    filters: the value of the networks to draw, or a list of values, by flag; all: a row for each of
    these, as in `Simulations.networks`. folder: of the simulations, as commands shall name it.
    """

    def __init__(
        self,
        simulations: Simulations,
        filters: Mapping[str, Any] | None = None,
        prices: Prices = NO_PRICES,
        folder: Path = Run.output_dir,
    ):
        self.simulations = simulations
        self.filters = dict(filters or {})
        self.prices = prices
        self.folder = folder
        self.all = simulations.networks
        for name, value in self.filters.items():
            self.all = self.all[self.all[name].isin(value if isinstance(value, list) else [value])]

    @property
    def unswitched(self) -> pd.DataFrame:
        """All networks that trained under one field alone and did not fail."""
        return self.all[~self.all["failed"] & (self.all["switch"] == 0)]

    @cached_property
    def main(self) -> pd.DataFrame:
        """The largest set that differs only in what figures vary, with networks that failed."""
        return comparable(self.all[self.all["switch"] == 0], vary=varied_by_figures())

    @property
    def drawn(self) -> pd.DataFrame:
        """The healthy networks of the largest set."""
        return self.main[~self.main["failed"]]

    def reference(self, networks: pd.DataFrame | None = None) -> pd.DataFrame:
        """Networks of one physics: of the first of figures 1 to 3 that has any, or the commonest.

        networks: healthy ones to choose among, by default those that are drawn.
        """
        networks = self.drawn if networks is None else networks
        candidates = (networks[in_study(networks, STUDIES[f"figure{n}"])] for n in (1, 2, 3))
        chosen = next((some for some in candidates if not some.empty), networks)
        return comparable(chosen, vary=FIELD_AND_RATE)

    @cached_property
    def measured(self) -> list[Device]:
        """Devices of the user's own, by name; of several of one name the newest."""
        rows = with_newest_constants(self.all[self.all["switch"] == 0])
        devices = {setting.field.name: setting.field for setting in rows["setting"]}
        return [device for _, device in sorted(devices.items()) if device.measured is not None]

    @cached_property
    def choices(self) -> list[FairChoice]:
        """Devices of the user's own beside linear, exponential and ideal ones, if there are any."""
        measured = [device.name for device in self.measured]
        fields = [*measured, *(device.name for device in BESIDE)]
        choices = fair_choices(self.unswitched, fields, measured) if measured else []
        return [choice for choice in choices if {*measured} & {*choice.fields}]

    @property
    def own_or_reference(self) -> pd.DataFrame:
        """The user's devices and those beside them, or else those of the reference."""
        return self.choices[0].networks if self.choices else self.reference()

    def describe(self) -> list[str]:
        """Which simulations are drawn, how many others there are, and the flags that draw them."""
        if self.main.empty:
            return ["There is nothing to draw yet."]
        series, table = series_of(self.main), flags_of(Setting)
        common = ", ".join(
            f"{name} {commands.words(value)}"
            for name, value in series.items()
            if not (table[name][0].stored.added_later and value == table[name][1])
        )
        line = f"Drawn: {len(self.main)} networks of {common}."
        if original := int(self.main["original"].sum()):
            line += f" {original} of them are of the original scripts."
        others, n_driven = [], 0
        for _, rows in self.simulations.networks.groupby(list(series), sort=False):
            values = {name: v for name, v in series_of(rows).items() if v != series[name]}
            if values and values.keys() <= set(SCHEME):
                n_driven += len(rows)
            elif values:
                differing = [commands.shown(name, value) for name, value in values.items()]
                flags, plural = " --".join(["", *differing]), "s" * (len(rows) > 1)
                others.append(
                    f"Not drawn: {len(rows)} network{plural} ({', '.join(differing)});{flags} "
                    "draws them."
                )
        if len(others) > MOST_LINES:
            others[MOST_LINES:] = [f"Not drawn: {len(others)} kinds in all."]
        driven = (
            f"In the picture of driving alone: {n_driven} networks of other cells or rules; "
            "--cell, --rounding and --accumulate draw them everywhere."
        )
        return [line, *[driven] * bool(n_driven), *others]

    def flags(
        self, networks: pd.DataFrame | None = None, given: Mapping[str, Any] | None = None
    ) -> str:
        """The flags that make more simulations of these networks' kind: ` --task Digits`.

        networks: by default, or if there are none, those of the largest set; given: values by flag,
        by default those that the networks share.
        """
        networks = self.main if networks is None or networks.empty else networks
        if networks.empty:
            return "".join(
                f" --{name} {commands.words(value)}" for name, value in self.filters.items()
            )
        series, table, line = series_of(networks), flags_of(Setting), ""
        for name, value in (series if given is None else given).items():
            if name == "field":
                line += f" --field {commands.named_devices(networks, value)}"
            elif name not in series or value != table[name][1]:
                line += f" --{commands.shown(name, value)}"
        n_models = int(networks.groupby(["setting", "original"], sort=False).size().max())
        line += f" --n_models {n_models}" * (n_models != Run.n_models)
        if (data_dir := commands.named_data_dir(networks)) is not None:
            line += f" --data_dir {shlex.quote(data_dir)}"
        if self.folder != Run.output_dir:
            line += f" --output_dir {shlex.quote(str(self.folder))}"
        return line

    def missing(
        self,
        study: Study,
        networks: pd.DataFrame | None = None,
        given: Mapping[str, Any] | None = None,
        edges: pd.DataFrame | None = None,
    ) -> list[str]:
        """How many of a study's settings are missing and the command that makes them, or nothing.

        networks: those that are there, by default, or if there are none, the largest set; given:
        values, by flag, that override the study's, and those that the networks share. edges:
        networks of which best learning rates at the edge are named, too.
        """
        networks = self.main if networks is None or networks.empty else networks
        given = given or {}
        name = study.name.capitalize().replace("Figure", "Figure ")
        values = {**given, **series_beside(study, networks), **given}
        try:
            wanted = set(study.settings(values))
        except UserError as error:  # as of device noise where the figure has no read noise
            return [f"{name} has no simulations of this kind: {error}"]
        missing = wanted - set(networks["setting"])
        command = f"{study.command} --resume{self.flags(networks, values)}"
        how_many = f"{len(missing)} of {len(wanted)} settings are"
        lines = [commands.describe_missing(name, how_many, command)] if missing else []
        return lines if edges is None else lines + commands.describe_edges(study, command, edges)


def series_beside(study: Study, networks: pd.DataFrame) -> dict[str, Any]:
    """The values that the networks of a series share, but for flags that a study varies."""
    varied = VARIED.get(study.name, ())
    return {name: value for name, value in series_of(networks).items() if name not in varied}
