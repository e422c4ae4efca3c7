"""Any file is refused in one line, with nothing written, or gives ramps and a sane device."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.curves import CURVED, LINEAR, PULSES, line, table
from support.ramps import way

from devices import device_file
from utils.errors import UserError
from utils.measured.__main__ import main
from utils.measured.options import ReadingOptions
from utils.measured.reading import read
from utils.measured.sanity import can_be_trained

FIXTURES_STAY = [HealthCheck.function_scoped_fixture]
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False, width=32)
NAMES = ["", "pulse", "Step", "n", "G (uS)", "I (A)", "V (V)", "t (s)", "device", "cycle", "G_LTP"]
NAMES += ["G_LTD", "read 1", "D1", "D2", "foo", "branch", "R (ohm)"]


def ramps_or_refusal(path: Path, content: str | bytes, **how):
    """The measurement of a file, whose ramps are whole, or None where one line refuses it."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    measurement, refusal = None, ""
    try:
        measurement = read(path, ReadingOptions(**how))
    except UserError as error:
        refusal = str(error)
    assert "\n" not in refusal
    if measurement is None:
        return None
    for ramp in measurement.ramps:
        assert len(ramp.values) == len(ramp.pulses) == len(ramp.lines) >= 5
        assert np.isfinite(ramp.values).all()
        assert (np.diff(ramp.pulses) > 0).all()
        assert ramp.pulses[0] >= 0
    return measurement


def test_damaged_files_give_ramps_or_one_line(tmp_path):
    """2000 files with bytes changed, taken out and put in: never another exception."""
    rng = random.Random(0)
    texts = [
        table(None, LINEAR, CURVED),
        table(None, LINEAR, CURVED, separator=";"),
        table("pulse,G", PULSES, LINEAR),
        table("device,pulse,G", ["x"] * 12, PULSES, LINEAR),
    ]
    kinds = [text.encode() for text in texts]
    kinds += ["".join(line(f"d{k}", LINEAR, separator=";") for k in range(3)).encode("utf-16")]
    hows = [{}, dict(layout="rows"), dict(layout="long"), dict(split="turns"), dict(split=6)]
    read_well = 0
    for _ in range(2000):
        content = bytearray(rng.choice(kinds))
        for _ in range(rng.choice([1, 2, 5])):
            at = rng.randrange(len(content))
            content[at : at + rng.choice([0, 1, 3])] = bytes(
                rng.choice(b'0123456789.,;\t \n\r"-+eE#aN\x00\xff')
                for _ in range(rng.choice([0, 1]))
            )
        measurement = ramps_or_refusal(tmp_path / "any.csv", bytes(content), **rng.choice(hows))
        read_well += measurement is not None
    assert 200 < read_well < 1800


@st.composite
def named_tables(draw) -> str:
    """The text of a table of counters, ramps, trains, walks and noise, under any names."""
    n = draw(st.integers(1, 50))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x = np.arange(n)
    kinds = [x, x + 1, x[::-1], x % 7, x // 3, np.abs(x % 20 - 10), np.exp(-x / 5), np.ones(n)]
    kinds += [1 - np.exp(-x / 5), rng.normal(size=n), np.cumsum(rng.normal(size=n))]
    chosen = draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=4))
    noise = draw(st.sampled_from([0, 0.01])) * rng.normal(size=n)
    scale = draw(st.sampled_from([1, -1, 1e-6, 1e30]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=len(chosen), max_size=len(chosen)))
    head = ",".join(names) if draw(st.booleans()) else None
    return table(head, *(scale * (kinds[k] + noise) if k > 5 else kinds[k] for k in chosen))


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=FIXTURES_STAY)
@given(
    text=named_tables(),
    how=st.sampled_from(
        [{}, {}, dict(split="turns"), dict(split=6), dict(layout="rows"), dict(pulses="none")]
    ),
)
def test_any_table_is_refused_in_one_line_or_gives_each_reading_once(tmp_path, text, how):
    measurement = ramps_or_refusal(tmp_path / "any.csv", text, **how)
    if measurement is None or measurement.reads > 1:
        return
    responses = measurement.understood.query("role == 'response'").column.tolist()
    if len(responses) == 1 and "columns" not in responses[0]:
        lines = [line for ramp in measurement.ramps for line in ramp.lines.tolist()]
        assert len(set(lines)) == len(lines)


@st.composite
def number_tables(draw) -> np.ndarray:
    """Anything, sums of anything, or a noisy curve, [readings, columns]."""
    shape = draw(st.integers(2, 40)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["numbers", "sums", "curves"]))
    if kind == "curves":
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        nu = draw(st.floats(0.1, 9)) * draw(st.sampled_from([-1, 1]))
        noise = draw(st.floats(0, 0.3)) * rng.normal(size=shape)
        return draw(NUMBERS) + draw(NUMBERS) * (way(nu, shape[0])[:, None] + noise)
    rows = draw(st.lists(st.lists(NUMBERS, min_size=shape[1], max_size=shape[1]),
                         min_size=shape[0], max_size=shape[0]))  # fmt: skip
    return np.cumsum(rows, axis=0) if kind == "sums" else np.array(rows)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder, in which no picture is drawn, which takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("utils.measured.picture.rendered", lambda figure: {})
    return tmp_path


@settings(max_examples=40, deadline=None, suppress_health_check=FIXTURES_STAY)
@given(numbers=number_tables())
def test_a_table_is_refused_in_one_line_or_gives_a_sane_device(numbers, folder, capsys):
    for path in folder.iterdir():
        path.unlink()
    np.savetxt("table.csv", numbers, delimiter=",", fmt="%.9g")
    capsys.readouterr()
    try:
        code = main(["table.csv", "--name", "mine"])
    except SystemExit as stopped:
        code = stopped.code
    if code == 0:
        assert can_be_trained(device_file.read("mine.json").response)
    else:
        assert code == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert list(folder.iterdir()) == [folder / "table.csv"]


@pytest.mark.parametrize("nonlinearity", [-8.0, 8.0])
def test_a_device_of_a_steep_curve_trains_an_epoch(nonlinearity, folder, simulate):
    noise = 0.01 * np.random.default_rng(0).normal(size=30)
    np.savetxt("table.csv", way(nonlinearity, 30) + noise, fmt="%.6f")
    assert main(["table.csv", "--name", "mine"]) == 0
    (record,) = simulate(f"--field {folder / 'mine.json'} --layers 8 --lr 1000")
    assert record.json["accuracy"] > 0
