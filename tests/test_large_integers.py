"""Integers that are too large for C++ never come there."""

import pytest
import torch
from conftest import read_all

SMALL = "--task Digits --epochs 1 --n_models 1 --layers 16 --compile off --device cpu".split()


@pytest.mark.parametrize("size", [2**63, 2**64])
def test_a_batch_is_at_most_the_training_set(size, start, tmp_path):
    batches = {}
    for batch_size in (1500, size):
        output = tmp_path / str(batch_size)
        process = start(*SMALL, "--batch_size", batch_size, output_dir=output)
        assert process.wait() == 0, process.said
        (batches[batch_size],) = read_all(output)
    mine, whole = batches[size], batches[1500]
    assert mine.json["batch_size"] == size
    assert mine.json["loss"] == whole.json["loss"]
    for name, tensor in whole.state.items():
        assert torch.equal(mine.state[name], tensor)


@pytest.mark.parametrize("flag", ["--epochs", "--layers", "--padding", "--seed", "--n_models"])
@pytest.mark.parametrize("value", [2**31, 2**64])
def test_an_integer_that_is_too_large_is_refused_with_its_flag(flag, value, start, tmp_path):
    if (flag, value) == ("--seed", 2**31):
        pytest.skip("seeds have 63 bits")
    process = start(*SMALL, flag, value)
    assert process.wait() == 2, process.said
    (line,) = [line for line in process.said.splitlines() if line.startswith("main.py: ")]
    assert line.startswith(f"main.py: error: {flag}"), line
    assert "Traceback" not in process.said
