"""The figures, section by section: what the notebook shows and `python -m utils.plots` writes."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.errors import UserError
from utils.flag_table import TASKS
from utils.flags import check_writable, flags_of
from utils.plots import ablation, style, width
from utils.plots import map as device_map
from utils.plots.accuracy import BY_RATE, draw_accuracy, takeaway
from utils.plots.comparison import draw_comparison
from utils.plots.comparison import takeaway as tell_comparison
from utils.plots.costs import draw_costs, tell_costs
from utils.plots.curves import draw_epochs, draw_learning_curves
from utils.plots.devices import draw_devices
from utils.plots.intermediate import draw_intermediate, with_intermediates
from utils.plots.prices import UNKNOWN, Prices, costs_table
from utils.plots.selected import Selected, select
from utils.plots.switch import Switched, draw_switch, select_switched, tell_switch
from utils.plots.weights import draw_weights
from utils.records.simulations import Simulations, series_columns, series_of, with_costs
from utils.run import Run
from utils.settings import Setting, imperfections
from utils.studies import REFERENCES, STUDIES

ROUNDED = {
    "mean": 2,
    "std": 2,
    "relaxed_mean": 2,
    "relaxed_std": 2,
    "at_switch_mean": 2,
    "mean_request": 4,
}


class Figures:
    """The simulations in a folder, drawn into a new folder of figures.

    Each section draws, saves and returns its figure, or says which command makes what it lacks
    and returns None. Raises UserError if there is no folder of simulations, or none of figures can
    be made.
    """

    def __init__(
        self,
        simulations: Path,
        figures: Path,
        task: str | None = None,
        prices: Prices = UNKNOWN,
    ):
        style.use()
        self.prices = prices
        self.simulations = Simulations.read(simulations)
        self.task = task
        self.networks = self.simulations.main_series(task)
        self.healthy = self.networks[~self.networks["failed"]]
        self.by_rate = BY_RATE
        check_writable("figures:", figures)
        self.parent = figures

    @cached_property
    def folder(self) -> Path:
        """Made once something is drawn."""
        return style.new_folder(self.parent)

    @classmethod
    def from_environment(cls) -> Figures:
        """Folders, data set and prices that MAGNETOIONIC_SIMULATIONS, _FIGURES, ... name."""
        task = os.environ.get("MAGNETOIONIC_TASK")
        if task is not None and task not in TASKS:
            raise UserError(f"task {task}: unknown; the valid ones: {', '.join(TASKS)}")
        return cls(
            Path(os.environ.get("MAGNETOIONIC_SIMULATIONS", "simulations")),
            Path(os.environ.get("MAGNETOIONIC_FIGURES", "figures")),
            task,
            Prices.from_environment(),
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
        series = series_of(self.networks).items()
        common = ", ".join(f"{name} {value}" for name, value in series if value is not False)
        others = len(self.simulations.networks) - len(self.networks)
        original = int(self.networks["original"].sum())
        return (
            f"Drawn: {len(self.networks)} networks of {common}; {others} of other kinds are not."
            + f" {original} of them are of the original scripts." * bool(original)
        )

    def flags(self, networks: pd.DataFrame | None = None, but: tuple[str, ...] = ()) -> str:
        """The flags that make more simulations of the kind that is drawn, or of these networks.

        but: flags that are left to a study.
        """
        networks = self.networks if networks is None else networks
        if networks.empty:
            return f" --task {self.task}" if self.task else ""
        flags, table = "", flags_of(Setting)
        for name in series_columns():
            value, (flag, fallback) = series_of(networks)[name], table[name]
            if value != fallback and name not in but:
                words = value if flag.is_list else [] if flag.kind is bool else [value]
                flags += " ".join([f" --{name}", *map(str, words)])
        n_models = int(networks.groupby(["setting", "original"], sort=False).size().max())
        return flags + f" --n_models {n_models}" * (n_models != Run.n_models)

    def accuracy(self, number: int) -> Figure | None:
        """Figure 1, 2 or 3."""
        one = self.by_rate[number]
        lack = one.missing(self.networks, self.flags())
        figure = self.keep(draw_accuracy(one, self.networks), one.stem, lack)
        if figure is not None and lack:
            print(lack)
        return figure

    def reference_networks(self, healthy: pd.DataFrame | None = None) -> pd.DataFrame:
        """Healthy networks of one physics: of the first figure that has any, or the commonest."""
        healthy = self.healthy if healthy is None else healthy
        candidates = [one.simulated(healthy) for one in self.by_rate.values()]
        networks = next((some for some in candidates if not some.empty), healthy)
        if networks.empty:
            return networks
        most = networks.groupby(imperfections()).size().idxmax()
        networks = networks[(networks[imperfections()] == list(most)).all(axis=1)]
        # Of devices of one name with different constants those that most networks have.
        commonest = networks.groupby("field")["constants"].agg(lambda each: each.mode()[0])
        return networks[networks["constants"] == networks["field"].map(commonest)]

    def learning_curves(self) -> Figure | None:
        lack = f"No learning curves yet; make them with: {self.by_rate[1].command}{self.flags()}"
        return self.keep(draw_learning_curves(self.reference_networks()), "learning-curves", lack)

    def weights(self) -> Figure | None:
        lack = f"No weights yet; make them with: {self.by_rate[1].command}{self.flags()}"
        return self.keep(draw_weights(self.reference_networks()), "weights", lack)

    def intermediate(self) -> Figure | None:
        """Currents and voltages of every layer for one image, where networks have kept them."""
        everything = self.simulations.networks
        kept = with_intermediates(everything[~everything["failed"]])
        series = replace(self.simulations, networks=kept).main_series(self.task)
        command = f"{self.by_rate[1].command}{self.flags()} --compute_intermediate --resume"
        lack = f"No currents and voltages yet; make them with: {command}"
        figure = draw_intermediate(self.reference_networks(series))
        return self.keep(figure, "intermediate", lack)

    @cached_property
    def reference_costs(self) -> pd.DataFrame:
        """The reference networks with what they have cost."""
        return with_costs(self.reference_networks())

    def costs(self) -> Figure | None:
        """What learning costs against what it reaches, of the same networks."""
        lack = (
            "No costs of learning yet; count them with: "
            f"{self.by_rate[1].command} --ledger{self.flags()}"
        )
        return self.keep(draw_costs(self.reference_costs), "costs", lack)

    def costs_table(self) -> pd.DataFrame:
        """What every layer has cost in each setting, and all of them, with prices if given."""
        table = costs_table(self.healthy, self.prices)
        limited = {self.prices.endurance, self.prices.refresh_endurance} != {None}
        if table.empty:
            print("No simulation has counted its costs yet: --ledger does.")
        elif limited and "largest" not in table:
            print("What devices stand is compared with nothing yet: no simulation ran with --wear.")
        return table

    def own_device(self) -> Figure | None:
        """Devices of the user's own beside linear, exponential and ideal, each as it was measured.

        Where they were trained with noises of equal size, too, that is a second picture.
        """
        command, own = STUDIES["own-device"].command, self.own_fields()
        references = [device.name for device in REFERENCES]
        lack = (
            "No device of your own yet; train it beside the built-in ones with: "
            f"{command} my-device.json --resume"
        )
        choices = self.own_choices()
        if not choices:
            return self.keep(None, "own-device", lack)
        for one in choices[1:]:
            if one.as_measured != choices[0].as_measured and {*references} & {*one.fields}:
                self.keep(draw_comparison(one), "own-device-other-noises", "")
                break
        absent = [name for name in references if name not in choices[0].fields]
        if absent:
            names = " ".join(f"{name}.json" for name in own)
            flags = self.flags(choices[0].networks)
            print(f"{', '.join(absent)} not beside it; add with: {command} {names} --resume{flags}")
        return self.keep(draw_comparison(choices[0]), "own-device", lack)

    def own_fields(self) -> list[str]:
        """Devices of the user's own, by name."""
        everything = self.simulations.unswitched
        fields = {setting.field for setting in everything["setting"]}
        return sorted({field.name for field in fields if field.measured is not None})

    def own_choices(self) -> list[Selected]:
        """Fair choices of networks of these and of the built-in devices, if there are any."""
        own = self.own_fields()
        fields = [*own, *(device.name for device in REFERENCES)]
        return [one for one in self.selected(fields, own) if set(own) & {*one.fields}]

    def comparison(self, fields: list[str]) -> Figure | None:
        """Any fields that are there, by name. Raises UserError for one that is not."""
        there = sorted(set(self.simulations.unswitched["field"]))
        for field in fields:
            if field not in there:
                valid = ", ".join(there) or "none yet"
                raise UserError(f"--fields {field}: is not simulated; those that are: {valid}")
        choices = self.selected(fields, fields)
        absent = [name for name in fields if not choices or name not in choices[0].fields]
        if absent:
            print(f"not drawn, since simulated with other values: {', '.join(absent)}")
        figure = draw_comparison(choices[0]) if choices else None
        return self.keep(figure, "comparison", "No networks to compare.")

    def selected(self, fields: list[str], counted: list[str]) -> list[Selected]:
        """Choices of healthy networks of these fields; counted: those that decide the series."""
        networks = self.simulations.series(self.task, counted)
        return select(networks[~networks["failed"]], fields)

    @cached_property
    def switched(self) -> Switched | None:
        """Networks of two fields of which one followed the other, and of each alone."""
        networks = self.simulations.networks
        fields = networks[networks["switch"] > 0]["field"]
        series = self.simulations.series(self.task, fields, switched=True)
        return select_switched(series[~series["failed"]])

    def switch(self) -> Figure | None:
        """Accuracy against the number of epochs under one of two fields."""
        command, one = STUDIES["switch"].command, self.switched
        if one is None:
            flags = f" --task {self.task}" if self.task else ""
            return self.keep(None, "switch", f"No switched fields yet; {command} --resume{flags}")
        if absent := one.missing(STUDIES["switch"]):
            flags = self.flags(one.networks)
            print(f"Switch lacks {absent}; make them with: {command} --resume{flags}")
        return self.keep(draw_switch(one), "switch", "")

    def absent(self, name: str, networks: pd.DataFrame, given: dict, flags: str) -> str:
        """How many settings of a study are not there, and the command that makes them; or nothing.

        given: values that win over the study's, by flag; flags: the same on the command line.
        """
        study = STUDIES[name]
        wanted = set(study.settings(given))
        lacking = wanted - set(networks["setting"])
        if not lacking:
            return ""
        return (
            f"The {name} lacks {len(lacking)} of its {len(wanted)} settings; make them with: "
            f"{study.command} --resume{flags}"
        )

    def ablation_networks(self) -> pd.DataFrame:
        """Those of the series, with device noise and without, as it goes with the read noise."""
        if self.networks.empty:
            return self.healthy
        rows = self.simulations.unswitched
        names = [*series_columns(), "distribution_version"]
        names.remove("device_noise")
        alike = (rows[names] == list(self.networks[names].iloc[0])).all(axis=1)
        return rows[alike & ~rows["failed"]]

    def ablations(self) -> list[ablation.Ablation]:
        return ablation.find_ablations(self.ablation_networks())

    def ablation(self) -> Figure | None:
        """What each imperfection costs, and what is won back without it."""
        found, networks = self.ablations(), self.ablation_networks()
        series = series_of(self.networks)
        figure = self.keep(ablation.draw_ablation(found), "ablation", "No ablation yet.")
        for one in found:
            noisy = one.full.device_noise
            flags = one.flags + " --device_noise" * noisy + self.flags(but=("device_noise",))
            given = series | one.given | {"device_noise": noisy}
            if lack := self.absent("ablation", networks, given, flags):
                print(lack)
        if not found and (lack := self.absent("ablation", networks, series, self.flags())):
            print(lack)
        return figure

    def ablation_table(self) -> pd.DataFrame:
        """The numbers of the same, in points, with standard errors and 95 % intervals."""
        return ablation.table(self.ablations())

    def map(self) -> Figure | None:
        """Accuracy over nonlinearity and learning rate."""
        networks = device_map.select(self.healthy)
        others = device_map.select_others(self.healthy, networks, self.own_fields())
        figure = device_map.draw_map(networks, others)
        figure = self.keep(figure, "map", "No map yet.")
        if lack := self.absent("map", self.networks, series_of(self.networks), self.flags()):
            print(lack)
        return figure

    def width_networks(self) -> pd.DataFrame:
        """Those of other layers beside, which no other figure shows."""
        networks = self.simulations.unswitched
        return width.select(
            networks if self.task is None else networks[networks["task"] == self.task]
        )

    def width(self) -> Figure | None:
        """Accuracy over size and number of hidden layers."""
        networks = self.width_networks()
        figure = self.keep(width.draw_width(networks), "width", "No other widths yet.")
        of = self.networks if networks.empty else networks
        given = {name: value for name, value in series_of(of).items() if name != "layers"}
        if lack := self.absent("width", networks, given, self.flags(of, but=("layers",))):
            print(lack)
        return figure

    def width_table(self) -> pd.DataFrame:
        """The numbers of the same: accuracy in %, and points above or below the ideal network."""
        return width.table(self.width_networks())

    def epochs(self) -> Figure | None:
        """Accuracy against epoch for the latest run."""
        latest = self.simulations.latest(self.task)
        healthy = latest[~latest["failed"]]
        lack = "No simulations yet; make some with: python main.py --task Digits"
        return self.keep(draw_epochs(healthy), "accuracy-against-epoch", lack)

    def takeaways(self) -> list[str]:
        """What the reader takes away, a sentence for each figure."""
        told = [takeaway(one, self.networks) for one in self.by_rate.values()]
        if self.switched:
            told.append(tell_switch(self.switched))
        told.append(tell_costs(self.reference_costs))
        if choices := self.own_choices():
            told.append(tell_comparison(choices[0]))
        told += [ablation.takeaway(one) for one in self.ablations()]
        if not (networks := device_map.select(self.healthy)).empty:
            told.append(device_map.takeaway(device_map.Map.of(networks)))
        if not (networks := self.width_networks()).empty:
            told.append(width.takeaway(networks))
        return told
