"""A small data set, dense, sparse, and with inputs that are always zero in training."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import currents_of

from models.currents import Currents
from utils.data.datasets import DataSet


@pytest.fixture(scope="session")
def patterns() -> DataSet:
    """Noisy 10x10 images of four patterns, 200 for training and 50 for testing.

    The first pixel is zero in all images, the second one in all training images.
    """
    rng = np.random.default_rng(7)
    prototypes = rng.random((4, 10, 10)) < 0.4

    def part(n):
        labels = rng.integers(0, 4, n)
        images = prototypes[labels] * 180 + rng.integers(0, 75, (n, 10, 10))
        images[:, 0, 0] = images[:, 0, 1] = 0
        return images.astype(np.uint8), labels

    train_images, train_labels = part(200)
    test_images, test_labels = part(50)
    test_images[:, 0, 1] = 200
    return DataSet(train_images, train_labels, test_images, test_labels)


@pytest.fixture(scope="session")
def sparse_patterns(patterns) -> DataSet:
    """The patterns with three of four pixels zero, for which the first layer is sparse."""
    rng = np.random.default_rng(8)
    dimmed = {}
    for part in ("train_images", "test_images"):
        images = getattr(patterns, part)
        dimmed[part] = np.where(rng.random(images.shape) < 0.25, images, 0).astype(np.uint8)
    return replace(patterns, **dimmed)


@pytest.fixture(scope="session")
def always_zero_patterns(sparse_patterns) -> DataSet:
    """The sparse patterns with four of ten rows zero in training, but not in testing."""
    train_images = sparse_patterns.train_images.copy()
    train_images[:, :4] = 0
    return replace(sparse_patterns, train_images=train_images)


@pytest.fixture(scope="session")
def currents(patterns) -> Currents:
    """The patterns on the CPU, padded by one pixel: 144 inputs."""
    return currents_of(patterns)
