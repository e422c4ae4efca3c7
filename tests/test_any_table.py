"""Any table of numbers is refused in one line, with nothing written, or gives a sane device."""

from pathlib import Path

import numpy as np
import pytest
from conftest import run_main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import device_file
from utils.measured.__main__ import main
from utils.measured.sanity import can_be_trained

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@st.composite
def tables(draw) -> np.ndarray:
    """Anything, sums of anything, or a noisy curve, [readings, columns]."""
    shape = draw(st.integers(2, 40)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["numbers", "sums", "curves"]))
    if kind == "curves":
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        time = np.linspace(0, 1, shape[0])[:, None]
        nu = draw(st.floats(0.1, 9)) * draw(st.sampled_from([-1, 1]))
        way = np.expm1(-nu * time) / np.expm1(-nu)
        noise = draw(st.floats(0, 0.3)) * rng.normal(size=shape)
        return draw(NUMBERS) + draw(NUMBERS) * (way + noise)
    rows = draw(st.lists(st.lists(NUMBERS, min_size=shape[1], max_size=shape[1]),
                         min_size=shape[0], max_size=shape[0]))  # fmt: skip
    return np.cumsum(rows, axis=0) if kind == "sums" else np.array(rows)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables())
def test_a_table_is_refused_in_one_line_or_gives_a_sane_device(
    table, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("utils.measured.picture.rendered", lambda figure: {})  # which takes seconds
    for path in tmp_path.iterdir():
        path.unlink()
    np.savetxt("table.csv", table, delimiter=",", fmt="%.9g")
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
        assert list(Path().iterdir()) == [Path("table.csv")]


@pytest.mark.parametrize("nonlinearity", [-8.0, 8.0])
def test_a_device_of_a_steep_curve_trains_an_epoch(nonlinearity, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    time = np.linspace(0, 1, 30)
    values = np.expm1(-nonlinearity * time) / np.expm1(-nonlinearity)
    noise = 0.01 * np.random.default_rng(0).normal(size=30)
    np.savetxt("table.csv", values + noise, fmt="%.6f")
    assert main(["table.csv", "--name", "mine"]) == 0
    short = ("--task", "Digits", "--epochs", 1, "--n_models", 1, "--layers", 8, "--lr", 1000)
    result = run_main("--field", "mine.json", *short, "--output_dir", "out")
    assert result.returncode == 0, result.stderr
