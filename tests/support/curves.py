"""Measured files as text, and their reading."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from utils.errors import UserError
from utils.measured.options import ReadingOptions
from utils.measured.reading import read

# Curves are rounded, so that the very same bits are read.
PULSES = np.arange(12)
LINEAR = np.round(2.742 - 0.06 * PULSES, 4)
CURVED = np.round(1.530 * np.exp(-PULSES / 9.741) + 0.750, 4)
COUNT = np.arange(40)
UP = np.round(10 + 40 * (1 - np.exp(-3 * COUNT / 39)) / (1 - np.exp(-3)), 3)
DOWN = np.round(60 - UP, 3)
PAIR = "1.1 rising, 1.1 falling"  # one cycle of one device, as `ramps_in_words` has it


def table(head: str | None, *columns, separator: str = ",") -> str:
    """Return the text of a table; columns of numbers or texts; short ones end in empty cells."""

    def cell(value) -> str:
        return value if isinstance(value, str) else f"{value:.6g}"

    rows = itertools.zip_longest(*(map(cell, column) for column in columns), fillvalue="")
    return "\n".join([*([head] if head else []), *(separator.join(row) for row in rows)]) + "\n"


def line(label, values, separator: str = ",") -> str:
    """Return a line of a table, the values of a ramp behind a label."""
    return table(None, [label], *([value] for value in values), separator=separator)


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


@pytest.fixture
def refused(tmp_path):
    """Writes a text or bytes into a file; returns the one line that refuses it."""

    def call(content: str | bytes, **how) -> str:
        path = tmp_path / "my-curve.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return refusal(path, **how)

    return call


def refusal(path, **how) -> str:
    """Return the one line that refuses a file; nothing may be written beside it."""
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    with pytest.raises(UserError) as caught:
        read(path, ReadingOptions(**how))
    message = str(caught.value)
    assert "\n" not in message
    assert (sorted(path.parent.iterdir()) if path.parent.is_dir() else []) == before
    return message


def assert_same(curve, other):
    assert (curve.unit, curve.quantity, curve.reads) == (other.unit, other.quantity, other.reads)
    assert ramps_in_words(curve) == ramps_in_words(other)
    for a, b in zip(curve.ramps, other.ramps, strict=True):
        np.testing.assert_array_equal(a.pulses, b.pulses)
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.lines, b.lines)


def ramps_in_words(measurement) -> str:
    """Device, cycle and branch of each ramp in their order, such as `D1.1 rising, D1.2 rising`."""
    return ", ".join(f"{ramp.device}.{ramp.cycle} {ramp.branch}" for ramp in measurement.ramps)


def check(measurement, curves, pulses=PULSES, **expected):
    """Assert curves and pulses of the ramps bit for bit, and what else is expected.

    ramps: in words; before, order: of each ramp; lines: of all readings; begin: how the
    description of the layout begins; all others: attributes of the measurement. pulses: see
    `assert_ramps`.
    """
    assert_ramps(measurement, *curves, pulses=pulses)
    for name, value in expected.items():
        if name == "ramps":
            assert ramps_in_words(measurement) == value
        elif name in ("before", "order"):
            assert [getattr(ramp, name) for ramp in measurement.ramps] == value
        elif name == "lines":
            assert np.concatenate([ramp.lines for ramp in measurement.ramps]).tolist() == value
        elif name == "begin":
            assert measurement.layout.startswith(value)
        else:
            assert getattr(measurement, name) == value


def assert_ramps(measurement, *curves, pulses=PULSES):
    """Assert that the ramps have these values and pulses, bit for bit.

    pulses: those of all ramps, or a list with those of each ramp.
    """
    assert len(measurement.ramps) == len(curves)
    counts = pulses if isinstance(pulses, list) else [pulses] * len(curves)
    for ramp, curve, count in zip(measurement.ramps, curves, counts, strict=True):
        assert ramp.values.dtype == ramp.pulses.dtype == np.float64
        np.testing.assert_array_equal(ramp.values, curve)
        np.testing.assert_array_equal(ramp.pulses, count)
