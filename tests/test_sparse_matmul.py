"""Products with inputs that are not zero, against dense ones in float64, and when they are used."""

import numpy as np
import pytest
import torch
from conftest import currents_of, dense_currents_of, members_of, random_data, setting_of

from models.sparse_inputs import listed
from models.sparse_matmul import BLOCK, from_blocks, to_blocks
from utils.training.ensemble import Ensemble


def test_blocks_by_hand():
    """33 outputs of 2 inputs: a block of 32, and one that repeats the last output."""
    weight = torch.arange(66.0).view(1, 33, 2)  # output o has weights 2 o and 2 o + 1
    blocks = to_blocks(weight)
    assert blocks.shape == (1, 2 * 2, BLOCK)
    assert blocks[0, 0].tolist() == [2.0 * o for o in range(32)]  # input 0 of outputs 0 to 31
    assert blocks[0, 1].tolist() == [2.0 * o + 1 for o in range(32)]
    assert blocks[0, 2].tolist() == [64.0] * 32
    assert torch.equal(from_blocks(blocks, 2, 33), weight)


def test_lists_by_hand():
    """Among five images, the first is most like the third, the second like the fourth."""
    images = np.array([[9, 0, 8, 0, 7], [0, 1, 0, 0, 0], [9, 0, 0, 0, 7], [0, 1, 0, 6, 0], [0] * 5])
    images = images.astype(np.uint8)
    levels = torch.arange(256) / 2
    lists = listed(images, levels, 5)
    assert lists.rows.tolist() == [[0, 2], [1, 3], [4, -1]]
    assert lists.offsets.tolist() == [0, 2, 3, 3, 4, 4, 5, 5, 5, 5]
    assert lists.columns.tolist() == [0, 4, 2, 1, 3]
    assert lists.values.tolist() == [[4.5, 4.5], [3.5, 3.5], [4, 0], [0.5, 0.5], [0, 3]]
    inputs = torch.tensor([[0, 1], [2, 3], [4, -1]] * 2, dtype=torch.int32)
    by_input = listed(images, levels, 3, inputs)  # three images, then two
    assert by_input.columns[: by_input.offsets[9]].tolist() == [0, 2, 1, 0, 0, 2]
    assert by_input.columns[by_input.offsets[9] :].tolist() == [0, 0]
    assert by_input.values[-2:].tolist() == [[0, 0.5], [0, 3]]


@pytest.mark.parametrize(("batch_size", "n_train"), [(32, 70), (45, 100), (150, 300)])
@pytest.mark.parametrize("n_outputs", [1, 32, 50])
def test_products_are_the_dense_ones(n_outputs, batch_size, n_train):
    """Two networks; even and odd batches, and one of two groups of pairs.

    The last of them may be smaller, and a test batch begins in the middle.
    """
    data = random_data(0.2, n_train)
    currents, dense = currents_of(data, batch_size=batch_size), dense_currents_of(data).inputs
    assert currents.product == "sparse"
    n_inputs, generator = dense.train.shape[1], torch.Generator().manual_seed(1)
    weight = torch.randn(2, n_outputs, n_inputs, generator=generator)
    for number in range(-(-n_train // batch_size)):
        batch, labels = currents.batch(number, batch_size)
        images = dense.train[batch_size * number : batch_size * (number + 1)].double()
        assert len(labels) == len(images)
        voltage = batch.voltage(to_blocks(weight), n_outputs)
        expected = weight.double() @ images.T
        torch.testing.assert_close(voltage.double(), expected, rtol=1e-5, atol=1e-9)
        g = torch.randn(2, n_outputs, len(images), generator=generator)
        gradient = from_blocks(batch.gradient(g), n_inputs, n_outputs)
        torch.testing.assert_close(gradient.double(), g.double() @ images, rtol=1e-5, atol=1e-9)
    batch, _ = currents.test_batch(1, 7)  # images 7, 8 and 9
    weight = torch.randn(1, n_outputs, dense.test.shape[1], generator=generator)
    voltage = batch.voltage(to_blocks(weight), n_outputs)
    expected = weight.double() @ dense.test[7:].double().T
    torch.testing.assert_close(voltage.double(), expected, rtol=1e-5, atol=1e-9)


def test_sums_are_the_same_with_any_number_of_threads():
    currents = currents_of(random_data(0.3, n_train=200), batch_size=200)
    batch, _ = currents.batch(0, 200)
    weight = to_blocks(torch.randn(1, 40, len(currents.active_inputs.active)))
    g = torch.randn(1, 40, 200)
    results = []
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        results.append((batch.voltage(weight, 40), batch.gradient(g)))
    for voltage, gradient in results[1:]:
        assert torch.equal(voltage, results[0][0])
        assert torch.equal(gradient, results[0][1])


@pytest.mark.parametrize(
    ("share", "batch_size", "product"),
    [(0.2, 32, "sparse"), (0.2, 31, "dense"), (0.5, 32, "sparse"), (0.65, 32, "dense")],
)
def test_what_decides_for_sparse_products(share, batch_size, product):
    assert currents_of(random_data(share), batch_size=batch_size).product == product


def test_without_the_kernels_products_are_dense(monkeypatch):
    monkeypatch.setattr("models.sparse_inputs.is_loaded", lambda kernel: False)
    currents = currents_of(random_data(0.2))
    assert currents.product == "dense"
    ensemble = Ensemble.fresh(members_of(setting_of()), currents)
    ensemble(*currents.batch(0, 32))
    assert float(ensemble.history.loss_sum) > 0
