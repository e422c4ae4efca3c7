"""The benchmark runs, on data that are small; what it measures is for `make bench` to say."""

import json
import time

import numpy as np
import pytest
import torch
from reference import Network, Physics
from support.idx_files import write_idx_files
from support.reference_networks import inputs

from tests.benchmarks import bench, beside, schemes
from tests.benchmarks.straightforward import Straightforward
from utils.parser import parse


@pytest.fixture
def data_dir(tmp_path):
    """300 images of 8x8 to train, 60 to test, in place of MNIST."""
    rng = np.random.default_rng(0)
    arrays = [
        array for n in (300, 60) for array in (rng.integers(0, 256, (n, 8, 8)), np.arange(n) % 10)
    ]
    write_idx_files(tmp_path / "MNIST" / "raw", arrays)
    return tmp_path


@pytest.fixture
def two_cores(monkeypatch):
    """The process uses two threads, whatever it used before."""
    threads = torch.get_num_threads()
    monkeypatch.setattr("utils.compute.distributed.usable_cores", lambda: 2)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_bench_prints_its_tables_and_writes_them(
    data_dir, tmp_path, two_cores, capsys, monkeypatch
):
    few = {"COMPARED": (1, 2), "SCALED": (1, 2), "WEIGHED": (1,), "RATED": (256, 1 << 20)}
    for name, numbers in few.items():
        monkeypatch.setitem(getattr(bench, name), "cpu", numbers)
    monkeypatch.setattr(bench, "HIDDEN", (128, 256))
    monkeypatch.setattr(bench, "FIELDS", bench.FIELDS[:1])
    monkeypatch.setattr(schemes, "SCHEMES", {"--accumulate": {"accumulate": True}})
    monkeypatch.setattr(bench, "DEPTHS", (1, 2))
    monkeypatch.setattr(bench, "beside", lambda repeats: {"1 network, uncompiled": 1.5})
    file = tmp_path / "benchmark.json"
    options = "--device cpu --repeats 1 --seconds 0.001 --uncompiled".split()
    bench.main(["--data_dir", str(data_dir), "--json", str(file), *options])
    result = json.loads(file.read_text())
    for networks in (1, 2):
        rows = {row["subject"]: row for row in result[f"compare_{networks}"]}
        assert rows.keys() >= {"straightforward loop", "ideal digital network", "engine"}
        assert all(0 < row["lowest"] <= row["median"] <= row["highest"] for row in rows.values())
        assert result[f"floor_{networks}"] > 0
    assert [row["networks"] for row in result["scaling"]["networks"]] == [1, 2]
    assert [row["layers"] for row in result["scaling"]["depth"]] == [1, 2]
    assert [row["hidden"] for row in result["scaling"]["hidden"]] == [128, 256]
    assert result["schemes"]["double-linear"]["--accumulate"] > 0
    assert all(peak > 1e8 for peak in result["memory"].values())
    printed = capsys.readouterr().out
    for words in ("s/model-epoch", "/ engine", "floor", "peak memory", "written to"):
        assert words in printed


def test_runs_beside_each_other_are_timed_to_their_end(monkeypatch):
    """With runs that end before they load PyTorch; the command of the benchmark is one."""
    parse(beside.RUN.split())
    monkeypatch.setattr(beside, "RUN", "--help")
    start = time.perf_counter()
    assert 0 < beside.seconds_of(2, 1, compiled=False) < time.perf_counter() - start
    monkeypatch.setattr(beside, "RUN", "--epochs 0")
    with pytest.raises(RuntimeError, match="exit code 2"):
        beside.seconds_of(1, 1, compiled=False)


@pytest.mark.parametrize("field", ["double-linear", "double-exponential"])
def test_the_benchmarks_straightforward_loop_simulates_the_same_physics(field, patterns):
    """Noise off, since it draws its own; from the same fresh pairs."""
    reference = Network((144, 12, 4), field, 100, Physics(lr=3000.0, clipping=0.1, init=0.1))
    loop = Straightforward(144, 12, field, 3000.0, 0.0, 0.0, 0.0, 0.1, classes=4)
    pairs = [loop.network[0], loop.network[3]]
    with torch.no_grad():
        for pair, w1, w2 in zip(pairs, reference.w1, reference.w2, strict=True):
            pair.weight1.copy_(torch.from_numpy(w1))
            pair.weight2.copy_(torch.from_numpy(w2))
    images = inputs(patterns.train_images)
    for start in range(0, 192, 32):
        labels = patterns.train_labels[start : start + 32]
        loop.step(torch.from_numpy(images[start : start + 32]).float(), torch.from_numpy(labels))
        reference.train(images[start : start + 32], labels)
    for pair, w1, w2 in zip(pairs, reference.w1, reference.w2, strict=True):
        for actual, expected in ((pair.weight1, w1), (pair.weight2, w2)):
            difference = actual.detach().double() - torch.from_numpy(expected)
            assert difference.norm() < 5e-3 * torch.from_numpy(expected - expected.mean()).norm()
