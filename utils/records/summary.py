"""The table at the end of a run: a row per setting, means over its networks."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from utils.records.archive import Archive
from utils.records.ledgers import LedgerRecord
from utils.records.results import IncompleteFileError, Record
from utils.run import Run
from utils.settings import Member, Setting

HEADER = (
    "field",
    "switch",
    "lr",
    "var",
    "resistor",
    "clipping",
    "write",
    "layers",
    "n",
    "at switch / %",
    "accuracy / %",
    "relaxed / %",
    "pulses",
    "refresh",
    "seconds",
    "folder",
)
DASH = "–"


def table(archive: Archive, run: Run) -> str:
    """A row for each setting of the run under a header, columns aligned.

    Without the columns of write noise and of a switch where there is none, of layers where all are
    alike, and of costs where they are not asked for. pulses: of a device in the training, the mean
    over all; refresh: refreshes of a pair.
    """
    rows = [HEADER]
    for setting in run.settings:
        records, ledgers, missing = [], [], 0
        for model in range(run.n_models):
            try:  # on a network file system what another machine wrote may not be seen yet
                records.append(archive.record(Member(setting, model)))
                if run.ledger_level:
                    ledgers.append(archive.ledger(Member(setting, model)))
            except IncompleteFileError:
                missing += 1
        rows.append(row(setting, archive.folders[setting].id, records, ledgers, missing))
    switched = any(setting.switched_at for setting in run.settings)
    unused = {
        "write": not any(setting.write_noise for setting in run.settings),
        "switch": not switched,
        "at switch / %": not switched,
        "layers": len({setting.layers for setting in run.settings}) == 1,
        "pulses": not run.ledger_level,
        "refresh": not run.ledger_level,
    }
    columns = [number for number, name in enumerate(HEADER) if not unused.get(name)]
    rows = [[line[number] for number in columns] for line in rows]
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in rows
    )


def row(
    setting: Setting,
    folder: str,
    records: Sequence[Record],
    ledgers: Sequence[LedgerRecord | None],
    missing: int = 0,
) -> tuple[str, ...]:
    """The cells of one setting, from its networks; missing: how many cannot be read."""
    good = [record for record in records if not record.failed]
    notes = [
        f"{count} {what}"
        for count, what in ((len(records) - len(good), "failed"), (missing, "missing"))
        if count
    ]
    seconds = [record.content["seconds"] for record in records]
    return (
        setting.field_name,
        DASH if setting.switched_at is None else f"epoch {setting.switched_at}",
        *(f"{value:g}" for value in (setting.lr, setting.var, setting.resistor_noise)),
        f"{setting.clipping:g}",
        f"{setting.write_noise:g}",
        " ".join(map(str, setting.layers)),
        f"{len(good)}" + f" ({', '.join(notes)})" * bool(notes),
        mean_and_deviation([r.switch_accuracy for r in good if r.switch_accuracy is not None]),
        mean_and_deviation([record.accuracy for record in good]),
        mean_and_deviation([r.swap_accuracy for r in good if r.swap_accuracy is not None]),
        mean_cost([ledger.pulses_per_device for ledger in ledgers if ledger]),
        mean_cost([ledger.refreshes_per_pair for ledger in ledgers if ledger]),
        f"{max(seconds):.1f}" if seconds else DASH,
        folder,
    )


def mean_cost(values: Sequence[float]) -> str:
    """The mean over networks that did not fail, in three digits."""
    finite = [value for value in values if math.isfinite(value)]
    return f"{statistics.fmean(finite):.3g}" if finite else DASH


def mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    """`mean ± standard deviation` over networks (n - 1); the mean alone for one network."""
    if not values:
        return DASH
    text = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return text
