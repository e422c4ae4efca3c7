"""The report on a folder of simulations, for the notebook and `python -m utils.plots`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.errors import UserError
from utils.flag_table import TASKS
from utils.flags import check_writable, flags_of
from utils.plots import style
from utils.plots.accuracy import draw_epochs
from utils.plots.commands import read_content
from utils.plots.comparison import conclusions, draw_comparison
from utils.plots.costs import costs_table
from utils.plots.networks import Networks
from utils.plots.prices import Prices
from utils.plots.sections import SECTIONS
from utils.plots.selection import fair_choices, latest_run
from utils.records.simulations import Simulations
from utils.run import Run
from utils.settings import Setting

# Variables for the notebook that makes a page: the folder of the pictures, and filters as JSON.
PAGE_FOLDER, PAGE_FILTERS = "MAGNETOIONIC_PAGE_FOLDER", "MAGNETOIONIC_PAGE_FILTERS"
ACCURACIES = ("mean", "std", "relaxed_mean", "relaxed_std", "at_switch_mean")
DIGITS = dict.fromkeys(ACCURACIES, 2) | {"mean_request": 4}


class Report:
    """The sections on some networks, each drawn into a new folder of figures.

    Raises UserError if no figures can be made there.
    """

    def __init__(self, networks: Networks, figures: Path, folder: Path | None = None):
        """figures: where a folder is made for the pictures; folder: that folder, if it is there."""
        style.use()
        check_writable("figures:", figures)
        self.networks = networks
        self.parent = figures
        self.made = folder
        self.shown: dict[str, Any] = {}  # by section

    @classmethod
    def from_environment(cls, filters: Mapping[str, Any] | None = None) -> Report:
        """Folders, data set and prices that MAGNETOIONIC_SIMULATIONS, _FIGURES, ... name.

        filters: see Networks; by default those that `page` passes on. Raises UserError if there is
        no folder of simulations, or a value is not valid.
        """
        if filters is None:
            given, flags = json.loads(os.environ.get(PAGE_FILTERS, "{}")), flags_of(Setting)
            filters = {k: tuple(v) if flags[k][0].is_list else v for k, v in given.items()}
        filters = dict(filters)
        if task := os.environ.get("MAGNETOIONIC_TASK"):
            filters.setdefault("task", task)
        if filters.get("task", TASKS[0]) not in TASKS:
            raise UserError(f"task {filters['task']}: unknown; the valid ones: {', '.join(TASKS)}")
        folder = Path(os.environ.get("MAGNETOIONIC_SIMULATIONS", Run.output_dir))
        networks = Networks(Simulations.read(folder), filters, Prices.from_environment(), folder)
        made = os.environ.get(PAGE_FOLDER)
        figures = Path(os.environ.get("MAGNETOIONIC_FIGURES", "figures"))
        return cls(networks, figures, Path(made) if made else None)

    @cached_property
    def folder(self) -> Path:
        """The folder of the figures, made once something is drawn."""
        return self.made or style.new_folder(self.parent)

    def select(self, name: str) -> Any:
        """What a section shows."""
        if name not in self.shown:
            self.shown[name] = SECTIONS[name].select(self.networks)
        return self.shown[name]

    def draw(self, name: str) -> Figure | None:
        """The picture of a section, saved; None if there is nothing to draw."""
        section, shown = SECTIONS[name], self.select(name)
        return self.save(section.draw(shown) if len(shown) else None, section.name)

    def show(self, name: str) -> Figure | None:
        """The picture of a section; prints its conclusion and the commands for what is missing."""
        print("\n".join([*self.conclude(name), *self.missing(name)]))
        return self.draw(name)

    def save(self, figure: Figure | None, stem: str) -> Figure | None:
        if figure is not None:
            for ending in style.FORMATS:
                figure.savefig(self.folder / f"{stem}.{ending}")
            plt.close(figure)  # a notebook shows what a cell returns, and that once
        return figure

    def table(self, name: str) -> pd.DataFrame:
        """The numbers of a section."""
        return SECTIONS[name].table(self.select(name))

    def missing(self, name: str) -> list[str]:
        """The commands that train what a section is missing, a line each."""
        return SECTIONS[name].missing(self.networks, self.select(name))

    def conclude(self, name: str) -> list[str]:
        """What the networks of a section say, in sentences."""
        shown = self.select(name)
        parts = shown if isinstance(shown, list) else [shown] * (len(shown) > 0)
        return list(filter(None, map(SECTIONS[name].conclude, parts)))

    def conclusions(self) -> list[str]:
        """What the networks say, a sentence or more for each section."""
        return [sentence for name in SECTIONS for sentence in self.conclude(name)]

    def settings(self) -> pd.DataFrame:
        """A row for each setting; accuracies in %, requests in pulses.

        best: the learning rate of highest mean among settings that differ in nothing else, and
        whether it is the lowest or the highest of several.
        """
        table = self.networks.simulations.table().round(DIGITS)
        table = table.assign(voltage_noise=table["voltage_noise"].map("{:g}".format), best="")
        alike = list(table.columns[: table.columns.get_loc("n")].drop("lr"))
        for _, rows in table.dropna(subset=["mean"]).groupby(alike):
            if len(rows) > 1:
                best = rows["mean"].idxmax()
                edges = {rows["lr"].idxmin(): " (lowest)", rows["lr"].idxmax(): " (highest)"}
                table.loc[best, "best"] = f"best{edges.get(best, '')}"
        return table

    def write_table(self, path: Path) -> None:
        """All networks of the folder as CSV, a row each. Raises UserError if that fails."""
        networks = self.networks.simulations.networks
        folders = [folder.id for folder in networks["folder"]]
        layers = [" ".join(map(str, layers)) for layers in networks["layers"]]
        table = networks.assign(folder=folders, layers=layers).drop(columns="setting")
        try:
            table.to_csv(path, index=False)
        except OSError as error:
            raise UserError(f"--table {path}: cannot be written: {error.strerror}") from None

    def problems(self) -> pd.DataFrame:
        """Whatever is incomplete or unreadable, with the reason."""
        return self.networks.simulations.problems

    def versions(self) -> pd.DataFrame:
        """How many settings were trained by which versions of programs and physics, and where."""
        rows = []
        recorded = self.networks.all.dropna(subset=["folder"])
        for _, alike in recorded.groupby("folder", sort=False):
            content = read_content(alike)
            where = {name: content.get(name) for name in ("physics", "device", "hardware")}
            commit = (content.get("git_commit") or "")[:10]
            rows.append(where | {"commit": commit} | content.get("versions", {}))
        table = pd.DataFrame(rows)
        return table.value_counts(dropna=False).rename("settings").reset_index()

    def costs(self) -> pd.DataFrame:
        """What every layer has cost in each setting, and all of them, with prices if given."""
        prices = self.networks.prices
        table = costs_table(self.networks.drawn, prices)
        limits = {prices.endurance, prices.refresh_endurance} - {None}
        if table.empty:
            print("No simulation has counted its costs yet: --ledger does.")
        elif limits and "largest" not in table:
            print("No simulation recorded the pulses of single devices yet: --wear does.")
        return table

    def compare(self, fields: list[str]) -> Figure | None:
        """Any fields that are there, by name. Raises UserError for one that is not."""
        networks = self.networks.unswitched
        present = sorted(set(networks["field"]))
        for field in fields:
            if field not in present:
                valid = ", ".join(present) or "none yet"
                raise UserError(f"--fields {field}: is not simulated; those that are: {valid}")
        choice, *_ = fair_choices(networks, fields)
        print("\n".join(conclusions(choice)))
        missing = [field for field in fields if field not in choice.fields]
        if missing:
            print(f"not drawn, since simulated with other values: {', '.join(missing)}")
        return self.save(draw_comparison(choice), "comparison")

    def epochs(self) -> Figure | None:
        """Accuracy against epoch for the latest run."""
        latest = latest_run(self.networks.all)
        if latest.empty:
            print("No simulations yet; make some with: python main.py --task Digits")
        latest = latest[~latest["failed"]]
        return self.save(draw_epochs(latest) if len(latest) else None, "accuracy-against-epoch")

    def write(self) -> None:
        """Print what the networks say, and draw every section; what is missing comes last."""
        print("\n".join(self.conclusions()))
        for table in (self.settings(), self.costs()):
            if len(table):
                print(table.to_string(index=False))
        print("\n".join(self.networks.describe()))
        for reason, rows in self.problems().groupby("reason", sort=False):
            names = [f"{row.folder}/{row.file}" for row in rows.itertuples()]
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            print(f"left out: {names[0]}{more}: {reason}")
        for name in SECTIONS:
            for line in self.missing(name):
                print(line)
            self.draw(name)

    def write_page(self) -> Path:
        """The notebook as an HTML page beside the pictures, for the networks of this report."""
        from utils.plots.page import write_page  # nbconvert takes a second to import

        os.environ[PAGE_FOLDER] = str(self.folder.absolute())
        os.environ[PAGE_FILTERS] = json.dumps(self.networks.filters)
        path = self.folder / "report.html"
        write_page(path)
        return path
