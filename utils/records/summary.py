"""The table that a run prints at its end, and the line of a run that was stopped."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from devices.ledger_level import LedgerLevel
from utils.compute.signals import NOTHING_TRAINED
from utils.flags import flags_of
from utils.records.archive import Archive
from utils.records.folders import discard
from utils.records.ledgers import LedgerRecord
from utils.records.results import IncompleteFileError, Record
from utils.settings import Member, Setting

DASH = "–"


def flag_columns(settings: Sequence[Setting]) -> dict[str, str]:
    """Return the headers of the table's columns of flags, by flag.

    A flag with a place in folder names has a column if it has an effect; a flag that folder names
    never contain has one if the settings differ in it.
    """
    headers = {}
    for name, (flag, _) in flags_of(Setting).items():
        values = {getattr(setting, name) for setting in settings}
        is_shown = len(values) > 1 if flag.stored.slug is None else values != {flag.stored.omit_if}
        if flag.column and is_shown:
            headers[name] = flag.column
    return headers


def table(archive: Archive, n_models: int) -> str:
    """Return a table with a header and a row for each setting of the archive, columns aligned.

    Columns of a switch and of costs are left out if there is no switch or no ledger. pulses: pulses
    per device during training, mean over all devices; refresh: refreshes per pair, mean.
    """
    columns = flag_columns(list(archive.sessions))
    switched = any(setting.switched_at for setting in archive.sessions)
    rows = []
    for setting, session in archive.sessions.items():
        records, ledgers, missing = [], [], 0
        for model in range(n_models):
            try:  # on a network file system what another machine wrote may not be seen yet
                records.append(archive.record(Member(setting, model)))
                if session.ledger:
                    ledgers.append(archive.ledger(Member(setting, model)))
            except IncompleteFileError:
                missing += 1
        rows.append(
            {header: shown(getattr(setting, name)) for name, header in columns.items()}
            | {"field": setting.field_name}
            | results(records, missing, switched)
            | (costs(ledgers) if session.ledger else {})
            | times(records)
            | {"folder": archive.folders[setting].id}
        )
        if switched:
            epoch = DASH if setting.switched_at is None else f"epoch {setting.switched_at}"
            rows[-1] = {"field": setting.field_name, "switch": epoch} | rows[-1]
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def mean_accuracies(archive: Archive, n_models: int) -> dict[Setting, float]:
    """The mean accuracy of each setting in %, over the networks that did not fail."""
    means = {}
    for setting in archive.folders:
        members = [Member(setting, model) for model in range(n_models)]
        records = [archive.record(member) for member in members if archive.is_complete(member)]
        values = [record.accuracy for record in records if record.accuracy is not None]
        if values:
            means[setting] = statistics.fmean(values)
    return means


def shown(value: object) -> str:
    """Return the value of a flag as text for a cell."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def results(records: Sequence[Record], missing: int, switched: bool) -> dict[str, str]:
    """Return the cells of one setting's accuracies; missing: networks that cannot be read."""
    good = [record for record in records if not record.failed]
    counts = ((len(records) - len(good), "failed"), (missing, "missing"))
    notes = ", ".join(f"{count} {what}" for count, what in counts if count)

    def cell(name: str) -> str:
        values = (getattr(record, name) for record in good)
        return mean_and_deviation([value for value in values if value is not None])

    return (
        {"n": f"{len(good)} ({notes})" if notes else f"{len(good)}"}
        | ({"at switch / %": cell("switch_accuracy")} if switched else {})
        | {"accuracy / %": cell("accuracy"), "relaxed / %": cell("swap_accuracy")}
    )


def costs(ledgers: Sequence[LedgerRecord | None]) -> dict[str, str]:
    known = [ledger for ledger in ledgers if ledger]
    return {
        "pulses": mean_cost([ledger.pulses_per_device for ledger in known]),
        "refresh": mean_cost([ledger.refreshes_per_pair for ledger in known]),
    }


def times(records: Sequence[Record]) -> dict[str, str]:
    seconds = [record.content["seconds"] for record in records]
    return {"seconds": f"{max(seconds):.1f}" if seconds else DASH}


def mean_cost(values: Sequence[float]) -> str:
    """Return the mean over networks that did not fail, with three digits."""
    finite = [value for value in values if math.isfinite(value)]
    return f"{statistics.fmean(finite):.3g}" if finite else DASH


def mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    """Return `mean ± standard deviation` over networks (n - 1); the mean alone for one network."""
    if not values:
        return DASH
    text = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return text


def stop_message(archive: Archive, members: Sequence[Member], is_alone: bool) -> str:
    """Return what a stopped run has saved, as a line; empty folders are removed.

    is_alone: whether this process is the only one of the run. Otherwise folders are not removed,
    since other processes may be about to write into them. Whether a network is complete is known,
    or follows from its JSON, which is written last: no file is read, unless a ledger is asked for,
    which it may lack.
    """
    complete = halfway = 0
    for member in members:
        is_counted = archive.sessions[member.setting].ledger > LedgerLevel.NOTHING
        if member in archive.complete or (
            archive.is_complete(member)
            if is_counted
            else archive.folders[member.setting].json(member.model).exists()
        ):
            complete += 1
        else:
            halfway += archive.checkpoint(member) is not None
    if complete + halfway == 0:
        if is_alone:
            discard_empty(archive)
        return NOTHING_TRAINED
    return (
        f"of {len(members)} networks {complete} are complete and {halfway} have a checkpoint; "
        "the same command with --resume goes on"
    )


def discard_empty(archive: Archive) -> None:
    """Remove the folders that hold no results."""
    for folder in archive.folders.values():
        discard(folder)
