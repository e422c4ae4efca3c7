"""Two falling curves as text files, and their reading."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from utils.measured.options import ReadingOptions
from utils.measured.reading import read

# Falling curves of 12 readings, written with four digits, so that the very same bits are read.
PULSES = np.arange(12.0)
LINEAR = np.round(2.742 - 0.06 * PULSES, 4)
CURVED = np.round(1.530 * np.exp(-PULSES / 9.741) + 0.750, 4)


def words(values) -> list[str]:
    return [repr(float(value)) for value in values]


def columns(*parts, head=None, separator=",") -> str:
    """Return the text of a table of columns; short columns end in empty cells."""
    rows = itertools.zip_longest(*(map(str, part) for part in parts), fillvalue="")
    return "\n".join([*([head] if head else []), *(separator.join(row) for row in rows)]) + "\n"


@pytest.fixture
def reads(tmp_path):
    """Writes a text into a file and reads it; what `how` repeats must be the same again."""

    def call(text: str, **how):
        path = tmp_path / "my-curve.csv"
        path.write_text(text, encoding="utf-8")
        measurement = read(path, ReadingOptions(**how))
        assert_same(
            measurement, read(path, ReadingOptions(**json.loads(json.dumps(measurement.how))))
        )
        return measurement

    return call


def assert_same(one, other):
    assert (one.unit, one.quantity, one.reads) == (other.unit, other.quantity, other.reads)
    assert [ramp.branch for ramp in one.ramps] == [ramp.branch for ramp in other.ramps]
    assert labels(one) == labels(other)
    for a, b in zip(one.ramps, other.ramps, strict=True):
        np.testing.assert_array_equal(a.pulses, b.pulses)
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.lines, b.lines)


def labels(measurement) -> list[tuple[str, int]]:
    return [(ramp.device, ramp.cycle) for ramp in measurement.ramps]


def assert_ramps(measurement, *curves, pulses=PULSES):
    assert len(measurement.ramps) == len(curves)
    for ramp, curve in zip(measurement.ramps, curves, strict=True):
        assert ramp.values.dtype == ramp.pulses.dtype == np.float64
        np.testing.assert_array_equal(ramp.values, curve)
        np.testing.assert_array_equal(ramp.pulses, pulses)


def row(label, values) -> str:
    return ",".join([str(label), *words(values)]) + "\n"
