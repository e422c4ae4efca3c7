"""The study, section by section: what the notebook shows and `python -m utils.plots` writes."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.parser import make_parser
from utils.plots import style
from utils.plots.accuracy import PLANS, draw_accuracy, takeaway
from utils.plots.curves import draw_learning_curves
from utils.plots.devices import draw_devices
from utils.plots.simulations import SERIES, Simulations
from utils.plots.weights import draw_weights

PHYSICS = ["var", "resistor_noise", "voltage_noise", "clipping"]
ROUNDED = {"mean": 2, "std": 2, "relaxed_mean": 2, "relaxed_std": 2, "mean_request": 4}


class Study:
    """The simulations in a folder, drawn into a new folder of figures.

    Each section draws, saves and returns its figure, or says which command makes what it lacks
    and returns None.
    """

    def __init__(self, simulations: Path, figures: Path, task: str | None = None):
        style.use()
        self.simulations = Simulations.read(simulations)
        self.task = task
        self.networks = self.simulations.main_series(task)
        self.healthy = self.networks[~self.networks["failed"]]
        self.folder = style.new_folder(figures)
        self.plans = {plan.number: plan for plan in PLANS}

    @classmethod
    def from_environment(cls) -> Study:
        """Folders and data set that MAGNETOIONIC_SIMULATIONS, _FIGURES and _TASK name."""
        return cls(
            Path(os.environ.get("MAGNETOIONIC_SIMULATIONS", "simulations")),
            Path(os.environ.get("MAGNETOIONIC_FIGURES", "figures")),
            os.environ.get("MAGNETOIONIC_TASK"),
        )

    def keep(self, figure: Figure | None, stem: str, lack: str) -> Figure | None:
        if figure is None:
            print(lack)
        else:
            style.save(figure, self.folder, stem)
            plt.close(figure)  # a notebook shows what a cell returns, and that once
        return figure

    def devices(self) -> Figure:
        return self.keep(draw_devices(), "devices", "")

    def table(self) -> pd.DataFrame:
        """A row for each setting; accuracies in %, requests in pulses."""
        table = self.simulations.table().round(ROUNDED)
        return table.assign(voltage_noise=table["voltage_noise"].map("{:g}".format))

    def problems(self) -> pd.DataFrame:
        """Whatever is incomplete or unreadable, with the reason."""
        return self.simulations.problems

    def drawn(self) -> str:
        """Which simulations the figures show."""
        if self.networks.empty:
            return "There is nothing to draw yet."
        one = self.networks.iloc[0]
        common = ", ".join(f"{name} {one[name]}" for name in SERIES)
        others = len(self.simulations.networks) - len(self.networks)
        return f"Drawn: {len(self.networks)} networks of {common}; {others} of other kinds are not."

    def flags(self) -> str:
        """The flags that make more simulations of the kind that is drawn."""
        if self.networks.empty:
            return f" --task {self.task}" if self.task else ""
        one, flags = self.networks.iloc[0], ""
        for name, usual in vars(make_parser().parse_args([])).items():
            if name not in SERIES:
                continue
            value = list(one[name]) if name == "layers" else one[name]
            if value != usual:
                words = value if name == "layers" else [] if name == "tf32" else [value]
                flags += " ".join([f" --{name}", *map(str, words)])
        return flags

    def accuracy(self, number: int) -> Figure | None:
        """Figure 1, 2 or 3 of the study."""
        plan = self.plans[number]
        lack = plan.missing(self.networks, self.flags())
        figure = self.keep(draw_accuracy(plan, self.networks), plan.stem, lack)
        if figure is not None and lack:
            print(lack)
        return figure

    def reference_networks(self) -> pd.DataFrame:
        """Healthy networks of one physics: of the first figure that has any, or the commonest."""
        candidates = [plan.select(self.healthy) for plan in self.plans.values()]
        networks = next((some for some in candidates if not some.empty), self.healthy)
        if networks.empty:
            return networks
        most = networks.groupby(PHYSICS).size().idxmax()
        return networks[(networks[PHYSICS] == list(most)).all(axis=1)]

    def learning_curves(self) -> Figure | None:
        lack = f"No learning curves yet; make them with: {self.plans[1].command}{self.flags()}"
        return self.keep(draw_learning_curves(self.reference_networks()), "learning-curves", lack)

    def weights(self) -> Figure | None:
        lack = f"No weights yet; make them with: {self.plans[1].command}{self.flags()}"
        return self.keep(draw_weights(self.reference_networks()), "weights", lack)

    def takeaways(self) -> list[str]:
        """What the reader takes away, a sentence for each figure."""
        return [takeaway(plan, self.networks) for plan in self.plans.values()]
