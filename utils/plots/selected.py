"""Which networks are compared in one picture: each field with values that are fair to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from utils.flag_table import RESISTOR_PER_VOLTAGE_NOISE
from utils.flags import flags_of
from utils.records.folders import by_age
from utils.settings import Setting, imperfections

MEASURED = [name for name, (each, _) in flags_of(Setting).items() if each.measured]


@dataclass(frozen=True)
class Selected:
    """Networks of one series, of each field those of one physics and of one set of constants.

    fields: in the order in which they are drawn; as_measured: whether each field has the values of
    its own device, else all have the same.
    """

    networks: pd.DataFrame
    fields: list[str]
    as_measured: bool


def as_measured(setting: Setting) -> Setting:
    """The setting with noises as measured of its field's device, or usual, as without any flag."""
    derived = setting.resistor_noise / RESISTOR_PER_VOLTAGE_NOISE
    voltage_noise = None if setting.voltage_noise == derived else setting.voltage_noise
    return replace(setting, voltage_noise=voltage_noise, **dict.fromkeys(MEASURED))


def select(networks: pd.DataFrame, fields: Sequence[str]) -> list[Selected]:
    """Every fair choice of networks of these fields, the one that shows most fields first.

    Fair are those of each field's own values, and those of values that all fields share; of
    choices that show equally many fields the former are first. networks: of one series; of devices
    of one name with different constants those that were simulated last are taken.
    """
    networks = latest_constants(networks[networks["field"].isin(fields)])
    if networks.empty:
        return []
    own = networks[[as_measured(setting) == setting for setting in networks["setting"]]]
    derived = own["resistor_noise"] / RESISTOR_PER_VOLTAGE_NOISE
    added = own["voltage_noise"].where(own["voltage_noise"] != derived, -1.0)  # by its flag, or not
    groups = [(rows, True) for _, rows in own.groupby([own["clipping"], added])]
    groups += [(rows, False) for _, rows in networks.groupby(imperfections())]
    choices = [
        Selected(rows, [field for field in fields if field in set(rows["field"])], is_own)
        for rows, is_own in groups
    ]
    return sorted(
        choices, key=lambda one: (-len(one.fields), not one.as_measured, -len(one.networks))
    )


def latest_constants(networks: pd.DataFrame) -> pd.DataFrame:
    """Of each field the networks whose constants are those of its newest folder."""
    newest = networks.assign(stamp=[by_age(folder.path) for folder in networks["folder"]])
    last = newest.sort_values("stamp", kind="stable").groupby("field")["constants"].last()
    return networks[networks["constants"] == networks["field"].map(last)]
