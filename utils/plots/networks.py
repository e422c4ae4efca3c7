"""The networks of a folder of simulations: which of them are drawn, and what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from devices import device_file
from devices.library import Device
from utils.errors import UserError
from utils.flags import flags_of
from utils.plots import style
from utils.plots.prices import NO_PRICES, Prices
from utils.plots.selection import (
    FIELD_AND_RATE,
    comparable,
    in_study,
    varied_by_figures,
    with_newest_constants,
)
from utils.plots.statistics import describe_best_rate, rates_beyond
from utils.records.results import IncompleteFileError, read_record
from utils.records.simulations import Simulations, series_of
from utils.run import Run
from utils.settings import Setting
from utils.studies import STUDIES
from utils.study import SCHEME, Study, rate_factor

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
    def healthy(self) -> pd.DataFrame:
        """All networks that did not fail."""
        return self.all[~self.all["failed"]]

    @property
    def unswitched(self) -> pd.DataFrame:
        """All networks that trained under one field alone and did not fail."""
        return self.healthy[self.healthy["switch"] == 0]

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

    @property
    def measured_names(self) -> list[str]:
        return [device.name for device in self.measured]

    def versions(self) -> pd.DataFrame:
        """How many folders each combination of programs, physics and hardware has trained."""
        rows = []
        for _, alike in self.all.dropna(subset=["folder"]).groupby("folder", sort=False):
            content = read_content(alike)
            programs = content.get("versions", {})
            commit = (content.get("git_commit") or "")[:10]
            where = {name: content.get(name) for name in ("physics", "device", "hardware")}
            rows.append(where | {"commit": commit} | programs)
        table = pd.DataFrame(rows)
        return table.value_counts(dropna=False).rename("settings").reset_index()

    def describe(self) -> list[str]:
        """Which simulations are drawn, and the flags that draw others."""
        if self.main.empty:
            return ["There is nothing to draw yet."]
        series = series_of(self.main)
        table = flags_of(Setting)
        common = ", ".join(
            f"{name} {words(value)}"
            for name, value in series.items()
            if not (table[name][0].stored.added_later and value == table[name][1])
        )
        line = f"Drawn: {len(self.main)} networks of {common}."
        if original := int(self.main["original"].sum()):
            line += f" {original} of them are of the original scripts."
        return [line, *self.describe_others(series)]

    def describe_others(self, series: Mapping[str, Any]) -> list[str]:
        """How many networks have other settings than those drawn, and the flags that draw them."""
        everything = self.simulations.networks
        lines, n_driven = [], 0
        for _, rows in everything.groupby(list(series), sort=False):
            other = series_of(rows)
            differing = {name: v for name, v in other.items() if v != series[name]}
            if differing and differing.keys() <= set(SCHEME):
                n_driven += len(rows)
            elif differing:
                values = ", ".join(shown(name, value) for name, value in differing.items())
                plural = "s" * (len(rows) > 1)
                flags = " ".join(f"--{shown(name, v)}" for name, v in differing.items())
                lines.append(
                    f"Not drawn: {len(rows)} network{plural} ({values}); {flags} draws them."
                )
        driven = (
            f"In the picture of driving alone: {n_driven} networks of other cells or rules; "
            "--cell, --rounding and --accumulate draw them everywhere."
        )
        return (
            [driven] * (n_driven > 0)
            + lines[:MOST_LINES]
            + [f"Not drawn: {len(lines)} kinds in all."] * (len(lines) > MOST_LINES)
        )

    def flags(
        self, networks: pd.DataFrame | None = None, given: Mapping[str, Any] | None = None
    ) -> str:
        """The flags that make more simulations of these networks' kind: ` --task Digits`.

        networks: by default those of the largest set; given: values by flag, by default those that
        the networks share.
        """
        networks = self.main if networks is None else networks
        given = series_of(networks) if given is None else given
        if networks.empty:
            return "".join(f" --{name} {words(value)}" for name, value in self.filters.items())
        series, table, line = series_of(networks), flags_of(Setting), ""
        for name, value in given.items():
            if name == "field":
                line += f" --field {named_devices(networks, value)}"
            elif name not in series or value != table[name][1]:
                line += f" --{shown(name, value)}"
        n_models = int(networks.groupby(["setting", "original"], sort=False).size().max())
        line += f" --n_models {n_models}" * (n_models != Run.n_models)
        if (data_dir := named_data_dir(networks)) is not None:
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
        is_scaled: bool = False,
    ) -> list[str]:
        """How many of a study's settings are missing and the command that makes them, or nothing.

        networks: those that are there, by default the largest set; given: values, by flag, that
        override the study's, by default those that the networks share. edges, is_scaled: networks
        of which best learning rates at the edge are named, too; see `describe_edges`.
        """
        networks = self.main if networks is None else networks
        given = series_of(networks) if given is None else given
        name = study.name.capitalize().replace("Figure", "Figure ")
        try:
            wanted = set(study.settings(given))
        except UserError as error:  # as of device noise where the figure has no read noise
            return [f"{name} has no simulations of this kind: {error}"]
        missing = wanted - set(networks["setting"])
        command = f"{study.command} --resume{self.flags(networks, given)}"
        how_many = f"{len(missing)} of {len(wanted)} settings are"
        lines = [describe_missing(name, how_many, command)] if missing else []
        return lines if edges is None else lines + describe_edges(command, edges, is_scaled)


def describe_missing(what: str, how_many: str, command: str) -> str:
    """That something is missing, and the command that trains it."""
    return f"{what}: {how_many} missing; train them with: {command}"


def describe_edges(command: str, networks: pd.DataFrame, is_scaled: bool = False) -> list[str]:
    """A line for each field whose best learning rate is at the edge of what was tried.

    command: what makes more networks of their kind, but for --lr; networks: healthy ones of one
    physics; is_scaled: whether the command scales learning rates to equal steps.
    """
    fields: dict[tuple[str, str], list[str]] = {}  # by where the best rate is, and what to try
    for field, rows in networks.groupby("field", sort=False):
        factor = rate_factor(rows["setting"].iloc[0].field) if is_scaled else 1
        if rates := " ".join(f"{float(f'{rate / factor:.4g}'):g}" for rate in rates_beyond(rows)):
            fields.setdefault((describe_best_rate(rows), rates), []).append(style.name(str(field)))
    return [
        f"{', '.join(names)}: best at learning rate {best}; try others with: {command} --lr {rates}"
        for (best, rates), names in fields.items()
    ]


def shown(name: str, value: Any) -> str:
    """A flag with its value as on the command line, without the dashes."""
    if isinstance(value, bool) and flags_of(Setting)[name][0].sweeps:
        return f"{name} {'on' if value else 'off'}"
    return f"{name} {words(value)}".rstrip()


def words(value: Any) -> str:
    """A value as on the command line; of a flag that is on or off nothing."""
    if isinstance(value, (tuple, list)):
        return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
    return "" if value is True else str(value)


def read_content(networks: pd.DataFrame) -> Mapping[str, Any]:
    """The record of the newest of these networks; empty if there is none."""
    places = zip(networks["folder"], networks["model"], strict=True)
    newest = max(places, key=lambda place: place[0].id if place[0] else "", default=(None, 0))
    folder, model = newest
    if folder is None:
        return {}
    try:
        return read_record(folder.json(model)).content
    except IncompleteFileError:  # it has gone since
        return {}


def read_command(networks: pd.DataFrame) -> list[str]:
    """The words of the command that made the newest of these networks; none if it is not known."""
    return read_content(networks).get("command", [])


def named_data_dir(networks: pd.DataFrame) -> str | None:
    """The --data_dir of the command that made the newest of these networks; None without one."""
    words = pairwise(read_command(networks))
    return next((value for flag, value in words if flag == "--data_dir"), None)


def named_devices(networks: pd.DataFrame, devices: Iterable[Device]) -> str:
    """Devices as words of a command: measured ones by the files of the newest command on them.

    A device that has no file any more is named `name.json`.
    """
    names, files = {device.name: device.measured for device in devices}, {}
    for word in read_command(networks[networks["field"].isin(names)]):
        if device_file.is_path(word):
            with suppress(ValueError):  # it has gone since, or is none
                files[device_file.read(word).name] = word
    words = (files.get(n, f"{n}.json") if measured else n for n, measured in names.items())
    return " ".join(map(shlex.quote, words))
