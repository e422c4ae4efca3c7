"""The table at the end of a run: a row per setting, means over its networks."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from utils.records.folders import Folder

HEADER = (
    "field", "lr", "var", "resistor", "clipping", "n", "accuracy / %", "relaxed / %",
    "seconds", "folder",
)  # fmt: skip


def mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    """`mean ± standard deviation` over networks (n - 1); the mean alone for one network."""
    if not values:
        return "none"
    text = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return text


def row(folder: Folder, records: Sequence[dict]) -> tuple[str, ...]:
    """The cells of one setting, from the JSON records of its networks."""
    setting = folder.setting
    good = [record for record in records if record["failed_step"] is None]
    failed = len(records) - len(good)
    return (
        setting.field.removeprefix("double-"),
        *(f"{value:g}" for value in (setting.lr, setting.var, setting.resistor_noise)),
        f"{setting.clipping:g}",
        f"{len(good)}" + f" ({failed} failed)" * bool(failed),
        mean_and_deviation([record["accuracy"] for record in good]),
        mean_and_deviation([record["swap_accuracy"] for record in good]),
        f"{max((record['seconds'] for record in records), default=0):.1f}",
        folder.id,
    )


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows under the header, columns aligned."""
    lines = [HEADER, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
