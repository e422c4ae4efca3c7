"""The networks of a folder of simulations: which of them are drawn, and what is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from utils.errors import UserError
from utils.flags import flags_of
from utils.plots.prices import NO_PRICES, Prices
from utils.plots.selection import FIELD_AND_RATE, comparable, in_study, varied_by_figures
from utils.records.simulations import Simulations, series_of, with_costs
from utils.run import Run
from utils.settings import Setting
from utils.studies import STUDIES, Study


class Networks:
    """What the sections of a report draw from. task: the data set to draw, None for any.

    all: a row for each network, as in `Simulations.networks`.
    """

    def __init__(self, simulations: Simulations, task: str | None = None, prices=NO_PRICES):
        self.simulations = simulations
        self.task = task
        self.prices: Prices = prices
        networks = simulations.networks
        self.all = networks if task is None else networks[networks["task"] == task]

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
    def reference_costs(self) -> pd.DataFrame:
        """The reference networks with what they have cost."""
        return with_costs(self.reference())

    def measured_fields(self) -> list[str]:
        """Devices of the user's own, by name."""
        fields = {setting.field for setting in self.all[self.all["switch"] == 0]["setting"]}
        return sorted({field.name for field in fields if field.measured is not None})

    def describe(self) -> str:
        """Which simulations the figures show."""
        if self.main.empty:
            return "There is nothing to draw yet."
        series = series_of(self.main).items()
        common = ", ".join(f"{name} {value}" for name, value in series if value is not False)
        others = len(self.simulations.networks) - len(self.main)
        original = int(self.main["original"].sum())
        return (
            f"Drawn: {len(self.main)} networks of {common}; {others} of other kinds are not."
            + f" {original} of them are of the original scripts." * bool(original)
        )

    def flags(self, networks: pd.DataFrame | None = None, but: Collection[str] = ()) -> str:
        """The flags that make more simulations of these networks' kind: ` --task Digits`.

        networks: by default those of the largest set; but: flags that are left to a study.
        """
        networks = self.main if networks is None else networks
        if networks.empty:
            return f" --task {self.task}" if self.task else ""
        flags, table = "", flags_of(Setting)
        for name, value in series_of(networks).items():
            flag, default = table[name]
            if value != default and name not in but:
                words = value if flag.is_list else [] if flag.kind is bool else [value]
                flags += " ".join([f" --{name}", *map(str, words)])
        n_models = int(networks.groupby(["setting", "original"], sort=False).size().max())
        return flags + f" --n_models {n_models}" * (n_models != Run.n_models)

    def command(self, study: Study, flags: str | None = None) -> str:
        """What trains a study's settings for networks of the largest set's kind."""
        return f"{study.command} --resume{self.flags() if flags is None else flags}"

    def missing(
        self,
        study: Study,
        networks: pd.DataFrame | None = None,
        given: Mapping[str, Any] | None = None,
        flags: str | None = None,
    ) -> list[str]:
        """How many of a study's settings are missing and the command that makes them, or nothing.

        networks: those that are there; given: values, by flag, that win over the study's; flags:
        the same on the command line.
        """
        networks = self.main if networks is None else networks
        name = study.name.capitalize().replace("Figure", "Figure ")
        try:
            wanted = set(study.settings(series_of(networks) if given is None else given))
        except UserError as error:  # as of device noise where the figure has no read noise
            return [f"{name} has no simulations of this kind: {error}"]
        missing = wanted - set(networks["setting"])
        if not missing:
            return []
        return [
            f"{name} lacks {len(missing)} of its {len(wanted)} settings; make them with: "
            f"{self.command(study, flags)}"
        ]
