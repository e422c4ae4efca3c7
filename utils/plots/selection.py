"""Which networks may be compared: those that differ in nothing but what a picture varies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from utils.errors import UserError
from utils.flag_table import RESISTOR_PER_VOLTAGE_NOISE, TASKS
from utils.flags import flags_of
from utils.records.columns import other_columns, series_columns, setting_columns
from utils.records.folders import by_age, created
from utils.settings import Setting, imperfections
from utils.studies import SAME_RANGE
from utils.study import FIELDS, IDEAL, SCHEME, Study

MEASURED = [name for name, (flag, _) in flags_of(Setting).items() if flag.measured]
FIELD_AND_RATE = ("field", "lr")
# The flags of a series that a study varies, by its name.
VARIED = {"driving": SCHEME, "width": ("layers", "init", "rounding", "accumulate")}


def varied_by_figures(*more: str) -> list[str]:
    """The settings that differ between the figures, and within them."""
    return [*FIELD_AND_RATE, *imperfections(), "constants", *more]


def comparable(
    networks: pd.DataFrame,
    vary: Collection[str],
    among: pd.Series | None = None,
    most: str | None = None,
) -> pd.DataFrame:
    """The largest set of networks that differ in nothing but the settings named in `vary`.

    among: a bool for each network; networks without it are not counted, but belong to the set.
    most: a setting of which the set shall have as many values as possible, before networks are
    counted. Of equally large sets that of more epochs is taken, then MNIST before other tasks, then
    that of more flags at their default.
    Unless `constants` vary, each device has those of its newest simulation.
    """
    counted = networks if among is None else networks[among]
    if counted.empty:
        return counted
    deciding = [*setting_columns(), *other_columns(), "distribution_version"]
    agreeing = [name for name in deciding if name not in vary]

    def rank(rows: pd.DataFrame) -> tuple:
        first, flags = rows.iloc[0], flags_of(Setting)
        n_values = 0 if most is None else rows[most].nunique()
        n_default = sum(name in flags and first[name] == flags[name][1] for name in agreeing)
        return n_values, len(rows), first["epochs"], -TASKS.index(first["task"]), n_default

    largest = max((rows for _, rows in counted.groupby(agreeing)), key=rank)
    chosen = networks[have(networks, agreeing, largest[agreeing].iloc[0])]
    return chosen if "constants" in vary else with_newest_constants(chosen)


def have(networks: pd.DataFrame, names: Sequence[str], values: Sequence) -> pd.Series:
    """Whether each network has these values of these settings, bool."""
    return (networks[list(names)] == list(values)).all(axis=1)


def with_newest_constants(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks whose device has the constants of the newest simulation of its name."""
    ages = [folder and by_age(folder.path) for folder in networks["folder"]]
    oldest_first = pd.Series(ages, networks.index, object).sort_values(kind="stable").index
    last = networks.loc[oldest_first].groupby("field")["constants"].last()
    return networks[networks["constants"] == networks["field"].map(last)]


def in_study(networks: pd.DataFrame, study: Study, any_rate: bool = False) -> pd.Series:
    """Whether each network has a setting of the study, bool. any_rate: at whatever learning rate.

    Of flags that make a series and that the study does not vary, it has the network's own values.
    """
    names = [name for name in series_columns() if name not in VARIED.get(study.name, ())]
    rates = {"lr": networks["lr"].unique()} if any_rate else {}
    wanted: set[Setting] = set()
    for values in networks[names].drop_duplicates().itertuples(index=False):
        with suppress(UserError):  # as of device noise where the study has no read noise
            wanted.update(study.settings(values._asdict() | rates))
    return networks["setting"].isin(wanted)


@dataclass(frozen=True)
class FairChoice:
    """Networks of several fields that may be compared, of each field with one set of constants.

    fields: in the order in which they are drawn; as_measured: whether each field has the noises of
    its own device, otherwise all have the same.
    """

    networks: pd.DataFrame
    fields: list[str]
    as_measured: bool


def fair_choices(
    networks: pd.DataFrame, fields: Sequence[str], needed: Sequence[str] = ()
) -> list[FairChoice]:
    """Networks of these fields, each with its own noises, and all with equal noises.

    Of either kind the set that has most of the fields; the kind that has more of them is first,
    with own noises before equal ones. networks: healthy ones, of which the series is taken that has
    most of the fields that are needed, by default of all.
    """
    among = networks["field"].isin(needed or fields)
    networks = comparable(networks, vary=varied_by_figures(), among=among)
    networks = networks[networks["field"].isin(fields)]
    if networks.empty:
        return []
    networks = with_newest_constants(networks)
    of_measured = networks[[as_measured(setting) == setting for setting in networks["setting"]]]
    derived = of_measured["resistor_noise"] / RESISTOR_PER_VOLTAGE_NOISE
    of_measured = of_measured.assign(
        voltage_noise=of_measured["voltage_noise"].where(
            of_measured["voltage_noise"] != derived, -1
        )
    )
    choices = []
    for rows, names in ((of_measured, MEASURED), (networks, [])):
        chosen = comparable(rows, vary=(*FIELD_AND_RATE, *names), most="field")
        drawn = [field for field in fields if field in set(chosen["field"])]
        choices.append(FairChoice(networks.loc[chosen.index], drawn, as_measured=bool(names)))
    choices.sort(key=lambda choice: (-len(choice.fields), not choice.as_measured))
    return [choice for choice in choices if choice.fields]


def as_measured(setting: Setting) -> Setting:
    """The setting with the noises measured of its field's device, as without any flag."""
    derived = setting.resistor_noise / RESISTOR_PER_VOLTAGE_NOISE
    voltage_noise = None if setting.voltage_noise == derived else setting.voltage_noise
    return replace(setting, voltage_noise=voltage_noise, **dict.fromkeys(MEASURED))


def latest_run(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks whose folders were made last."""
    times = [created(folder.path) for folder in networks["folder"]]
    made = pd.Series(times, networks.index)
    return networks[made == made.max()]


def grouped(networks: pd.DataFrame, orders: Mapping[str, Collection]) -> dict[Any, pd.DataFrame]:
    """The networks by the values of some columns, each in its order; without any other values."""
    keys = [
        pd.CategoricalIndex(networks[name], pd.Index(order, tupleize_cols=False))
        for name, order in orders.items()
    ]
    groups: Any = networks.groupby(keys, observed=True)
    return dict(list(groups))


def by_field(networks: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The networks of each field: the built-in ones first, then the others as they come."""
    built_in = [device.name for device in (*FIELDS, SAME_RANGE, IDEAL)]
    order = dict.fromkeys([*built_in, *networks["field"]])
    return {field: rows for (field,), rows in grouped(networks, {"field": list(order)}).items()}
