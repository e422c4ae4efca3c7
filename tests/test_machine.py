"""The machine on which a run is planned, and products that it repeats with any threads."""

from collections import Counter
from dataclasses import replace

import pytest
from conftest import currents_of, setting_of

from utils.training import machine
from utils.training.machine import Machine, Sizes, sizes_of, try_threads

CPU = Machine(is_gpu=False, cores=1, free_bytes=1 << 40)
GPU = replace(CPU, is_gpu=True)


def test_sizes_are_those_of_the_data(currents):
    assert sizes_of(currents) == Sizes(n_inputs=144, n_classes=4, n_train=200)


SHAPES = {  # m, k, n of 24 and 4 units, batches of 32 and of the 8 that are left; 50 test images
    *((24, "active", n) for n in (32, 8, 50)),
    *((4, 24, n) for n in (32, 8, 50)),  # V = W I
    *((24, n, "active") for n in (32, 8)),
    *((4, n, 24) for n in (32, 8)),  # dL/dW = g I^T
    *(("active", 24, n) for n in (32, 8)),
    *((24, 4, n) for n in (32, 8)),  # dL/dI = W^T g
    (24, "tested", 50),
}


@pytest.fixture
def tried(monkeypatch) -> Counter:
    """Records which products are tried with how many threads; all are reproducible."""
    tried = Counter()

    def repeats_itself(*shape_and_threads):
        tried[shape_and_threads] += 1
        return True

    monkeypatch.setattr(machine, "holds_in_fork", lambda test: test())
    monkeypatch.setattr(machine, "repeats_itself", repeats_itself)
    return tried


def test_every_product_is_tried_with_every_number_of_threads(currents, tried):
    assert try_threads(replace(CPU, cores=9), currents, [setting_of()]).is_repeatable
    inputs = currents.active_inputs
    sizes = {"active": len(inputs.active), "tested": len(inputs.tested)}
    shapes = {tuple(sizes.get(size, size) for size in shape) for shape in SHAPES}
    assert set(tried) == {(*shape, threads) for shape in shapes for threads in (9, 4, 3, 2)}
    assert max(tried.values()) <= 2


def test_sparse_products_need_no_trial(sparse_patterns, tried):
    """Products of the first layer are sparse; those of the second are dense."""
    currents = currents_of(sparse_patterns)
    assert currents.product == "sparse"
    assert try_threads(replace(CPU, cores=2), currents, [setting_of()]).is_repeatable
    second = {shape for shape in SHAPES if {"active", "tested"}.isdisjoint(shape)}
    assert set(tried) == {(*shape, 2) for shape in second}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("holds_in_fork", lambda test: False),
        ("repeats_itself", lambda m, k, n, threads: m != 24),
        ("repeats_itself", lambda m, k, n, threads: threads != 4),
    ],
)
def test_networks_are_not_spread_where_that_is_not_safe(name, value, currents, monkeypatch):
    monkeypatch.setattr(machine, "holds_in_fork", lambda test: test())
    monkeypatch.setattr(machine, "repeats_itself", lambda *shape: True)
    assert try_threads(replace(CPU, cores=8), currents, [setting_of()]).is_repeatable
    monkeypatch.setattr(machine, name, value)
    assert not try_threads(replace(CPU, cores=8), currents, [setting_of()]).is_repeatable
    assert try_threads(replace(CPU, cores=1), currents, [setting_of()]).is_repeatable
    assert try_threads(replace(GPU, cores=8), currents, [setting_of()]).is_repeatable
