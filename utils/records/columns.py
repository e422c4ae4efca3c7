"""The columns of tables of networks, as the flags have them. Without torch."""

from __future__ import annotations

from utils.flags import flags_of
from utils.setting_checks import SWITCHES
from utils.settings import Setting, imperfections

# What tells networks of one setting apart that must not be counted as one, or stand in one mean.
KIND = ["constants", "distribution_version"]
RESULTS = ["accuracy", "relaxed", "at_switch", "request", "failed", "model", "folder", "setting"]


def setting_columns() -> list[str]:
    """The columns in which figures vary the networks. switch: the epoch of it, 0 for never."""
    return ["task", "field", "switch", "lr", *imperfections()]


def series_columns() -> list[str]:
    """The columns of what most figures do not vary: the networks of the largest series are drawn.

    A figure of network sizes or of driving names those that it does vary.
    """
    varied = {*setting_columns(), *SWITCHES, "seed"} - {"task"}
    return [name for name in flags_of(Setting) if name not in varied]


def other_columns() -> list[str]:
    """The columns of a series beside those of a setting, which have the task already."""
    return [name for name in series_columns() if name not in setting_columns()]


def identity_columns() -> list[str]:
    """The columns that tell networks apart: what is equal in all of them is one network."""
    return [*setting_columns(), *other_columns(), *KIND, "original", "model_seed"]
