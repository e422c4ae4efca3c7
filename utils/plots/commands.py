"""The commands that make more networks of a kind, as words of the command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pandas as pd

from devices import device_file
from devices.library import Device
from utils.flags import flags_of
from utils.plots import style
from utils.plots.statistics import describe_best_rate, rates_beyond
from utils.records.results import IncompleteFileError, read_record
from utils.settings import Setting
from utils.study import Study, rate_factor

SCALED = ("own-device", "driving")  # studies whose learning rates are scaled to equal steps


def describe_missing(what: str, how_many: str, command: str) -> str:
    """That something is missing, and the command that trains it."""
    return f"{what}: {how_many} missing; train them with: {command}"


def describe_edges(study: Study, command: str, networks: pd.DataFrame) -> list[str]:
    """A line for each field whose best learning rate is at the edge of what was tried.

    command: what makes more networks of their kind, but for --lr; networks: healthy ones of one
    physics.
    """
    fields: dict[tuple[str, str], list[str]] = {}  # by where the best rate is, and what to try
    for field, rows in networks.groupby("field", sort=False):
        factor = rate_factor(rows["setting"].iloc[0].field) if study.name in SCALED else 1
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
    recorded = [place for place in places if place[0] is not None]
    if recorded:
        folder, model = max(recorded, key=lambda place: place[0].id)
        with suppress(IncompleteFileError):  # it has gone since
            return read_record(folder.json(model)).content
    return {}


def named_data_dir(networks: pd.DataFrame) -> str | None:
    """The --data_dir of the command that made the newest of these networks; None without one."""
    words = pairwise(read_content(networks).get("command", []))
    return next((value for flag, value in words if flag == "--data_dir"), None)


def named_devices(networks: pd.DataFrame, devices: Iterable[Device]) -> str:
    """Devices as words of a command: measured ones by the files of the newest command on them.

    A device that has no file any more is named `name.json`.
    """
    names, files = {device.name: device.measured for device in devices}, {}
    newest = read_content(networks[networks["field"].isin(names)])
    for word in newest.get("command", []):
        if device_file.is_path(word):
            with suppress(ValueError):  # it has gone since, or is none
                files[device_file.read(word).name] = word
    words = (files.get(n, f"{n}.json") if measured else n for n, measured in names.items())
    return " ".join(map(shlex.quote, words))
