"""From a lab's file to the ramps of a measurement.

In: a file of an instrument or a spreadsheet, and options for what it does not tell by itself. Out:
a `Measurement`, or a UserError with one line on what the file lacks. The steps, each a module:

    bytes → cells (cells.py) → names and numbers (numeric_table.py) → what each column holds
    (roles.py) → series of readings (extraction.py) → ramps (cutting.py, branches.py)
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.errors import UserError
from utils.measured.branches import ramps_of
from utils.measured.cells import read_grid
from utils.measured.column import Column
from utils.measured.cutting import cut_into_ramps
from utils.measured.extraction import series_of_columns, series_of_lines
from utils.measured.layouts import layout_of
from utils.measured.measurement import Measurement, Ramp
from utils.measured.numeric_table import NumericTable, find_numbers, several, spread
from utils.measured.options import ReadingOptions
from utils.measured.repeats import Repeats, average_columns, average_states
from utils.measured.roles import find_roles
from utils.measured.series import ONE_DEVICE, Series
from utils.measured.vocabulary import OHM, Role, inverse_unit

if TYPE_CHECKING:
    import pandas as pd

MAX_FILE = 1 << 28  # bytes
ASSUMED_CYCLES = "; all columns belong to one device (--devices each: one device for each column)"


def read(path: str | Path, options: ReadingOptions | None = None) -> Measurement:
    """The ramps of a measured file: CSV, TSV or other text, or a workbook.

    options: what the file does not tell by itself. Raises UserError, one line that names file, line
    and column, for whatever is no pulse response, and for what nothing decides.
    """
    raw = read_bytes(Path(path))
    options = options or ReadingOptions()
    table = find_numbers(read_grid(raw, str(path), options.decimal, options.sheet))
    if options.layout == "auto":
        options = replace(options, layout=layout_of(table))
    responses = find_roles(table, options)
    series_of = series_of_lines if options.layout == "rows" else series_of_columns
    all_series = series_of(table, responses, options)
    places = np.concatenate([series.columns for series in all_series])
    columns = [table.columns[place] for place in dict.fromkeys(places.tolist())]
    quantity, unit = quantity_of(table, columns)
    is_current = quantity == "current" or unit.endswith("A")
    # Names of branches, such as LTP, then speak of the sizes of the currents.
    is_named = any(series.branch for series in all_series) and len(options.branches) < 2
    if is_current and is_named and all((series.values < 0).all() for series in all_series):
        all_series = [replace(series, values=-series.values) for series in all_series]
        table.notes.append(
            "all currents are negative, as at a negative read voltage; their sizes are used"
        )
    if options.resistance:
        all_series = [conductances(series) for series in all_series]
        quantity, unit = "conductance", inverse_unit(unit)
    repeats = Repeats()
    pieces = []
    for series in average_columns(all_series, repeats):
        pieces += cut_into_ramps(average_states(series, options, repeats), options)
    ramps = ramps_of(without_copies(pieces), options, quantity)
    assumed = are_assumed_cycles(columns, options, ramps)
    if OHM.fullmatch(unit) or quantity == "resistance":
        table.notes.append("the values are resistances; --resistance fits conductances 1/R instead")
    return Measurement(
        Path(path).name,
        hashlib.sha256(raw).hexdigest(),
        quantity,
        unit,
        tuple(ramps),
        repeats.noise,
        repeats.reads,
        table_of_roles(table),
        describe_layout(table, options.layout, ramps, repeats) + ASSUMED_CYCLES * assumed,
        tuple(table.left_out),
        options_to_repeat(options, columns, table),
        tuple(table.notes),
        assumed,
    )


def read_bytes(path: Path) -> bytes:
    """Raises UserError where there is no such file, or none that can be read."""
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name a file in it")
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check its name and folder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); check its name") from None
    if len(raw) > MAX_FILE:
        raise UserError(f"{path}: larger than {MAX_FILE >> 20} MiB; save the measured curve alone")
    return raw


def quantity_of(table: NumericTable, columns: Sequence[Column]) -> tuple[str, str]:
    """Quantity and unit of the responses. Raises UserError where columns have different ones."""
    answers = {}
    for what in ("unit", "quantity"):
        columns_of: dict[str, Column] = {}  # the first one of each word
        for column in sorted(columns, key=lambda column: column.place):
            columns_of.setdefault(getattr(column.name, what), column)
        word, *other_words = [word for word in columns_of if word not in ("", "response")] or [""]
        if other_words:
            raise table.header_error(
                columns_of[other_words[0]].place,
                f"the {what} is {other_words[0]}, but that of another column is {word}; choose "
                f"columns of one {what} with --columns",
            )
        answers[what] = word
    role = columns[0].name.role
    if not answers["quantity"] and role in (Role.CURRENT, Role.VOLTAGE):
        answers["quantity"] = str(role)
    return answers["quantity"], answers["unit"]


def conductances(series: Series) -> Series:
    """Conductances 1/R for resistances R. Raises UserError for one that is not positive."""
    if (is_wrong := ~(series.values > 0)).any():
        index = int(np.argmax(is_wrong))
        problem = f"{series.values[index]:g} is not positive, as a resistance is; correct it"
        raise series.error(f"--resistance: {problem}", index)
    return replace(series, values=1 / series.values)


def without_copies(pieces: Sequence[Series]) -> list[Series]:
    """The ramps without exact copies of others; two measurements never have the same noise."""
    originals: dict[tuple, Series] = {}
    different = []
    for ramp in pieces:
        steps = np.diff(ramp.values)
        original = originals.setdefault((ramp.device, ramp.branch, *ramp.values), ramp)
        is_noisy = ramp.is_counted and (steps < 0).any() and (steps > 0).any()
        if original is not ramp and is_noisy:
            ramp.table.left_out.append(f"{ramp.where}: a copy of {original.where}")
        else:
            different.append(ramp)
    return different


def table_of_roles(table: NumericTable) -> pd.DataFrame:
    """Column, role and why: a row for each column of the file, or for neighbours of one role."""
    import pandas

    rows = []
    for (role, why), group in groupby(table.columns, key=lambda column: (column.role, column.why)):
        if role != Role.NOTHING:
            rows.append((table.title(*(column.place for column in group)), role, why))
    return pandas.DataFrame(rows, columns=["column", "role", "why"])


def describe(measurement: Measurement) -> str:
    """What was understood of a file, for the user: layout, a table of columns, what is left out."""
    table = measurement.understood
    widths = [max(map(len, [name, *table[name]])) for name in table.columns[:2]]
    rows = [tuple(table.columns), *table.itertuples(index=False, name=None)]
    lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c}" for a, b, c in rows]
    remarks = [f"left out: {sentence}" for sentence in measurement.left_out]
    remarks += [f"note: {sentence}" for sentence in measurement.notes]
    return "\n".join([f"{measurement.file}: {measurement.layout}", "", *lines, *remarks])


def describe_layout(
    table: NumericTable, layout: str, ramps: Sequence[Ramp], repeats: Repeats
) -> str:
    """How the file is laid out: `2 devices × 3 falling ramps × 28 readings`, and more."""
    parts = [several([len({ramp.device for ramp in ramps})], "device")]
    for branch in ("falling", "rising"):
        if same_branch := [ramp for ramp in ramps if ramp.branch == branch]:
            counts = list(Counter(ramp.device for ramp in same_branch).values())
            lengths = [len(ramp.values) for ramp in same_branch]
            parts.append(f"{several(counts, f'{branch} ramp')} × {several(lengths, 'reading')}")
    reads = f", {repeats.reads} readings after each pulse, averaged" if repeats.reads > 1 else ""
    head = f"names in line {table.header}" if table.header else "no names"
    return (
        f"{parts[0]} × {' and '.join(parts[1:])}{reads}; layout {layout}; {table.source}; {head}, "
        f"numbers in {spread(table.lines[[0, -1]], 'line')}"
    )


def are_assumed_cycles(
    columns: Sequence[Column], options: ReadingOptions, ramps: Sequence[Ramp]
) -> bool:
    """Whether columns are taken for ramps of one device although no name says so."""
    are_named = all(column.name.cycle is not None or column.name.branch for column in columns)
    several_columns = len(columns) > 1 and {ramp.device for ramp in ramps} == {ONE_DEVICE}
    return several_columns and options.devices == "auto" and not are_named and len(ramps) > 1


def options_to_repeat(
    options: ReadingOptions, columns: Sequence[Column], table: NumericTable
) -> dict:
    """The options that read the file in the same way again, ready for JSON."""
    pulses = table.of(Role.PULSES)
    chosen: dict = {"columns": column_ranges(columns), "decimal": table.dialect.decimal}
    if options.layout != "rows":
        chosen["pulses"] = str(pulses[0].number) if len(pulses) == 1 else None if pulses else "none"
    repeated = asdict(options) | chosen
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in repeated.items()
    }


def column_ranges(columns: Sequence[Column]) -> list[str]:
    """Columns as --columns takes them: 2-5 for four neighbours."""
    numbers = np.array([column.number for column in columns])
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
