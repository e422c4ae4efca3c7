"""All simulations in a folder as tables: a row a network, a row a setting, and what is amiss."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from utils.errors import UserError
from utils.records.folders import Folder
from utils.records.results import Incomplete, check_complete, setting_from_json
from utils.settings import TASKS

SETTING = ["task", "field", "lr", "var", "resistor_noise", "voltage_noise", "clipping"]
# What figures do not vary: those of the largest series are drawn.
SERIES = ["task", "epochs", "layers", "batch_size", "init", "input_scale", "padding", "tf32"]
IDENTITY = [*SETTING, *SERIES[1:], "model_seed"]  # of a network
COLUMNS = [*IDENTITY, "accuracy", "relaxed", "request", "failed", "model", "folder"]


@dataclass(frozen=True)
class Simulations:
    """What a folder of simulations holds.

    networks: a row for each complete network, with its settings, `accuracy` and `relaxed` (%),
    `request` (pulses, last epoch), `failed`, `model` and `folder` (a records.Folder). problems:
    folder, file and reason of whatever is incomplete or unreadable.
    """

    networks: pd.DataFrame
    problems: pd.DataFrame

    @classmethod
    def read(cls, output_dir: Path) -> Simulations:
        """Read every folder; of networks that were simulated more than once, the latest."""
        rows, problems = [], []
        for path in sorted(output_dir.iterdir()) if output_dir.is_dir() else ():
            if path.is_dir() and not path.name.startswith("."):  # as a folder in the making does
                found, amiss = read_folder(path)
                rows += found
                problems += amiss
        networks = pd.DataFrame(rows, columns=COLUMNS).astype({"failed": bool})
        networks = networks.drop_duplicates(IDENTITY, keep="last", ignore_index=True)
        return cls(networks, pd.DataFrame(problems, columns=["folder", "file", "reason"]))

    def table(self) -> pd.DataFrame:
        """A row for each setting: n networks, mean and standard deviation over them.

        Of what figures do not vary, epochs, layers and whatever is not the same everywhere.
        """
        networks = self.networks
        same = [name for name in SERIES[3:] if networks[name].nunique() < 2]
        table = networks.groupby([*SETTING, *SERIES[1:]], sort=True).agg(
            n=("accuracy", "count"),
            failed=("failed", "sum"),
            mean=("accuracy", "mean"),
            std=("accuracy", "std"),
            relaxed_mean=("relaxed", "mean"),
            relaxed_std=("relaxed", "std"),
            mean_request=("request", "mean"),
        )
        return table.reset_index().drop(columns=same)

    def main_series(self, task: str | None = None) -> pd.DataFrame:
        """The networks that differ only in what figures vary: the largest such series.

        Of equally large ones that of more epochs, then MNIST before others.
        """
        networks = self.networks
        if task is not None:
            networks = networks[networks["task"] == task]
        if networks.empty:
            return networks
        series = networks.groupby(SERIES).size().rename("n").reset_index()
        largest = max(
            series.itertuples(index=False),
            key=lambda one: (one.n, one.epochs, -TASKS.index(one.task)),
        )
        return networks[(networks[SERIES] == list(largest[: len(SERIES)])).all(axis=1)]


def read_folder(path: Path) -> tuple[list[dict], list[dict]]:
    """The complete networks in one folder, and what is amiss in it."""
    rows, problems = [], []
    records = sorted(path.glob(f"{path.name}-*.json"))
    for file in records:
        try:
            rows.append(read_network(path, file))
        except (Incomplete, UserError) as error:
            problems.append({"folder": path.name, "file": file.name, "reason": str(error)})
        else:
            if rows[-1]["failed"]:
                reason = "failed: its loss or weights stopped being finite"
                problems.append({"folder": path.name, "file": file.name, "reason": reason})
    complete = {file.stem for file in records}
    for file in sorted(path.glob(f"{path.name}-*-accuracies.pth")):
        if file.name.removesuffix("-accuracies.pth") not in complete:
            reason = "incomplete: no JSON, the run was stopped or goes on"
            problems.append({"folder": path.name, "file": file.name, "reason": reason})
    if not records:
        reason = "no complete network, or the folder was renamed"
        problems.append({"folder": path.name, "file": "", "reason": reason})
    return rows, problems


def read_network(path: Path, file: Path) -> dict:
    """The row of one network; raises Incomplete or UserError if its files are not in order."""
    try:
        record = json.loads(file.read_text())
        setting = setting_from_json(record)
        model = int(file.stem.rsplit("-", 1)[1])
        failed = record["failed_step"] is not None
        accuracy, relaxed = (
            float("nan") if failed else float(record[name])
            for name in ("accuracy", "swap_accuracy")
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise Incomplete(f"not a record of a network: {error!r}") from None
    if not path.name.endswith(f"-{setting.slug}"):
        raise Incomplete(f"{file.name} is of another setting than its folder: {setting.slug}")
    folder = Folder(path, setting)
    check_complete(folder, model)
    requests = torch.load(folder.gradients(model), weights_only=True)
    return {name: getattr(setting, name) for name in [*SETTING, *SERIES]} | {
        "model_seed": setting.seed + model,
        "model": model,
        "accuracy": accuracy,
        "relaxed": relaxed,
        "request": float(requests[-1]),
        "failed": failed,
        "folder": folder,
    }
