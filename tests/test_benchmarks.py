"""The benchmark runs, on data that are small; what it measures is for `make bench` to say."""

import json

import numpy as np
import pytest
from test_data import write_idx_files

from tests.benchmarks import bench


@pytest.fixture
def data_dir(tmp_path):
    """300 images of 8x8 to train, 60 to test, in place of MNIST."""
    rng = np.random.default_rng(0)
    arrays = [
        array for n in (300, 60) for array in (rng.integers(0, 256, (n, 8, 8)), np.arange(n) % 10)
    ]
    write_idx_files(tmp_path / "MNIST" / "raw", arrays)
    return tmp_path


def test_bench_prints_its_tables_and_writes_them(data_dir, tmp_path, capsys, monkeypatch):
    for name, numbers in (("SCALED", (1, 2)), ("WEIGHED", (1,))):
        monkeypatch.setitem(getattr(bench, name), "cpu", numbers)
    monkeypatch.setattr(bench, "HIDDEN", (128, 256))
    file = tmp_path / "benchmark.json"
    options = "--device cpu --repeats 2 --seconds 0.001 --uncompiled".split()
    bench.main(["--data_dir", str(data_dir), "--json", str(file), *options])
    result = json.loads(file.read_text())
    for networks in (1, 10):
        rows = {row["subject"]: row for row in result[f"compare_{networks}"]}
        assert rows.keys() >= {"straightforward loop", "ideal digital network", "engine"}
        assert all(0 < row["lowest"] <= row["median"] <= row["highest"] for row in rows.values())
        assert result[f"floor_{networks}"] > 0
    assert [row["networks"] for row in result["scaling"]["networks"]] == [1, 2]
    assert [row["hidden"] for row in result["scaling"]["hidden"]] == [128, 256]
    assert all(peak > 1e8 for peak in result["memory"].values())
    said = capsys.readouterr().out
    for words in ("s/model-epoch", "/ engine", "floor", "peak memory", "written to"):
        assert words in said
