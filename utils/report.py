"""The table at the end of a run: a row per setting, means over its networks."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from utils.records.archive import Archive
from utils.settings import Member, Run, Setting

HEADER = (
    "field", "lr", "var", "resistor", "clipping", "n", "accuracy / %", "relaxed / %",
    "seconds", "folder",
)  # fmt: skip


def table(archive: Archive, run: Run) -> str:
    """A row for each setting of the run under a header, columns aligned."""
    rows = [HEADER]
    for setting in run.settings:
        members = (Member(setting, model) for model in range(run.n_models))
        records = [archive.record(member) for member in members]
        rows.append(row(setting, archive.folders[setting].id, records))
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in rows
    )


def row(setting: Setting, folder: str, records: Sequence[dict]) -> tuple[str, ...]:
    """The cells of one setting, from the JSON records of its networks."""
    good = [record for record in records if record["failed_step"] is None]
    failed = len(records) - len(good)
    return (
        setting.field,
        *(f"{value:g}" for value in (setting.lr, setting.var, setting.resistor_noise)),
        f"{setting.clipping:g}",
        f"{len(good)}" + f" ({failed} failed)" * bool(failed),
        mean_and_deviation([record["accuracy"] for record in good]),
        mean_and_deviation([record["swap_accuracy"] for record in good]),
        f"{max(record['seconds'] for record in records):.1f}",
        folder,
    )


def mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    """`mean ± standard deviation` over networks (n - 1); the mean alone for one network."""
    if not values:
        return "none"
    text = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return text
