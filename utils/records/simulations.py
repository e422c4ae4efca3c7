"""Reads all simulations in a folder into tables: networks, settings, and problems.

Simulations of the original scripts are read, too: their folders have no `.settings`, and their
records have fewer keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from devices.library import constants
from utils.errors import UserError
from utils.flags import flags_of
from utils.records.columns import KIND, RESULTS, identity_columns, series_columns, setting_columns
from utils.records.folders import Folder, by_age
from utils.records.ledgers import LedgerRecord, read_ledger
from utils.records.results import IncompleteFileError, check_tensors, read_record
from utils.settings import Setting

# Costs of the whole training: pulses, mean over all devices; refreshes, mean over pairs; and the
# fraction of all requests that the smallest pulse drops.
COSTS = {
    "pulses": "pulses_per_device",
    "refreshes": "refreshes_per_pair",
    "dropped": "share_dropped",
    "pending": "share_pending",
    "refreshed": "refreshes_per_write",
}


@dataclass(frozen=True)
class Simulations:
    """The simulations in a folder, as tables.

    networks: a row for each complete network, with its settings (`field` by name, A-B where it was
    switched; `switch`, the epoch in which, counted from 0, and 0 for never), `accuracy`, `relaxed`
    and `at_switch` (%), `request` (pulses, last epoch), `failed`, `original` (written by the
    original scripts), `model`, `folder` (a records.Folder) and `setting` (a Setting with the
    default seed and the epoch of a switch, whichever flag gave it).
    problems: folder, file and reason of all files that are incomplete, unreadable or foreign.
    """

    networks: pd.DataFrame
    problems: pd.DataFrame

    @classmethod
    def read(cls, output_dir: Path) -> Simulations:
        """Read every folder; a network that was simulated more than once counts once, the latest.

        Raises UserError if there is no such folder, or if it is the folder of a single simulation.
        """
        check_folder(output_dir)
        rows, problems = [], []
        paths = (path for path in output_dir.iterdir() if not path.name.startswith("."))
        for path in sorted(paths, key=by_age):
            if path.is_dir():
                found, wrong = read_folder(path)
            else:
                found, wrong = [], [("", path.name, "no folder of a simulation")]
            rows += found
            problems += wrong
        networks = pd.DataFrame(rows, columns=[*identity_columns(), *RESULTS]).astype(
            {"failed": bool, "original": bool}
        )
        networks = networks.drop_duplicates(identity_columns(), keep="last", ignore_index=True)
        return cls(networks, pd.DataFrame(problems, columns=["folder", "file", "reason"]))

    def table(self) -> pd.DataFrame:
        """Return a row for each setting: n networks, mean and standard deviation over them.

        Columns that figures do not vary are left out if all networks agree in them, except for
        task, epochs and layers.
        """
        networks = self.networks
        groups = [name for name in identity_columns() if name != "model_seed"]
        optional = {
            name for name, (flag, _) in flags_of(Setting).items() if flag.stored.omit_if is not None
        }
        common = {*series_columns(), *optional, *KIND, "original"} - {"task", "epochs", "layers"}
        same = [name for name in groups if name in common and networks[name].nunique() < 2]
        # Cells that are driven one way do not have the constants of the rising branch.
        if networks.groupby(["field", "cell"])["constants"].nunique().lt(2).all():
            same.append("constants")
        if not networks["switch"].any():
            same += ["switch", "at_switch_mean"]
        table = networks.groupby(groups, sort=True).agg(
            n=("accuracy", "count"),
            failed=("failed", "sum"),
            mean=("accuracy", "mean"),
            std=("accuracy", "std"),
            relaxed_mean=("relaxed", "mean"),
            relaxed_std=("relaxed", "std"),
            at_switch_mean=("at_switch", "mean"),
            mean_request=("request", "mean"),
        )
        return table.reset_index().drop(columns=list(dict.fromkeys(same)))


def check_folder(output_dir: Path) -> None:
    if not output_dir.is_dir():
        raise UserError(f"{output_dir}: there is no such folder of simulations")
    if any(output_dir.glob(f"{output_dir.absolute().name}-*.json")):
        raise UserError(
            f"{output_dir} is the folder of one simulation; name the one that holds it: "
            f"{output_dir.absolute().parent}"
        )


def read_folder(path: Path) -> tuple[list[dict], list[tuple[str, str, str]]]:
    """Return the complete networks in one folder, and its problems: folder, file, reason."""
    rows: list[dict] = []
    problems: list[tuple[str, str, str]] = []
    try:
        files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    except OSError as error:
        return rows, [(path.name, "", f"cannot be read: {error.strerror}")]
    named = [file for file in files if file.name.startswith(path.name)]
    records = [file for file in named if file.suffix == ".json"]
    for file in records:
        try:
            rows.append(read_network(path, file))
        except (IncompleteFileError, UserError) as error:
            problems.append((path.name, file.name, str(error)))
        else:
            if rows[-1]["failed"]:
                reason = "failed: its loss or weights stopped being finite"
                problems.append((path.name, file.name, reason))
            if rows[-1]["note"]:
                problems.append((path.name, file.name, rows[-1]["note"]))
    complete = {file.stem for file in records}
    for file in named:
        if file.name.removesuffix("-accuracies.pth") not in {*complete, file.name}:
            reason = "incomplete: no JSON, the run was stopped or goes on"
            problems.append((path.name, file.name, reason))
    if not records:
        reason = "no complete network, or the folder was renamed"
        problems.append((path.name, "", reason))
    else:
        foreign = (file.name for file in files if not file.name.startswith(path.name))
        problems += [(path.name, name, "no file of this simulation") for name in foreign]
    return rows, problems


def read_network(path: Path, file: Path) -> dict:
    """Return the row of a network; raises IncompleteFileError or UserError if not readable."""
    record = read_record(file)
    setting, model = record.setting, record.model
    names = [setting.slug]
    if record.is_original and setting.switched_at:  # its folder names only the two fields
        names.append(setting.slug.rpartition("-switch-")[0])
    if record.note:
        names.append(f"{setting.slug}-physical-clipping")
    if not any(path.name.endswith(f"-{name}") for name in names):
        raise IncompleteFileError(
            f"{file.name} is of another setting than its folder: {setting.slug}"
        )
    folder = Folder(path, setting)
    requests = check_tensors(folder, model)
    columns = {*setting_columns(), *series_columns()} - {"switch"}
    values = {name: getattr(setting, name) for name in columns}
    return values | {
        "switch": setting.switched_at or 0,
        "field": setting.field_name,
        "constants": json.dumps(constants(*setting.fields)),
        "distribution_version": record.distribution_version,
        "original": record.is_original,
        "model_seed": setting.seed + model,
        "model": model,
        "accuracy": percent(record.accuracy, record.failed),
        "relaxed": percent(record.swap_accuracy, record.failed),
        "at_switch": percent(record.switch_accuracy, record.failed),
        "request": float(requests[-1]),
        "failed": record.failed,
        "note": record.note,
        "folder": folder,
        "setting": comparable(setting),
    }


def ledgers_of(networks: pd.DataFrame) -> list[LedgerRecord | None]:
    """Return the ledgers of networks, None where a ledger is missing or cannot be read.

    They are read only when needed, since reading tables would take half as much time again.
    """

    def ledger(folder: Folder, model: int) -> LedgerRecord | None:
        try:
            return read_ledger(folder, model)
        except IncompleteFileError:
            return None

    return list(map(ledger, networks["folder"], networks["model"]))


def with_costs(networks: pd.DataFrame) -> pd.DataFrame:
    """Add the columns COSTS to rows of `Simulations.networks`, NaN where there is no ledger."""
    ledgers = ledgers_of(networks)
    costs = {
        name: pd.Series(
            [getattr(ledger, cost, float("nan")) for ledger in ledgers], networks.index, float
        )
        for name, cost in COSTS.items()
    }
    return networks.assign(**costs)


def percent(value: float | None, failed: bool) -> float:
    return float("nan") if failed or value is None else value


def comparable(setting: Setting) -> Setting:
    """Return the setting with the default seed and the epoch of a switch, to compare networks."""
    return replace(setting, seed=Setting.seed, time_switch=None, switch_epoch=setting.switched_at)


def series_of(networks: pd.DataFrame) -> dict:
    """Return the values that the networks of a series share, by flag; empty without networks."""
    if networks.empty:
        return {}
    setting = networks["setting"].iloc[0]
    return {name: getattr(setting, name) for name in series_columns()}
