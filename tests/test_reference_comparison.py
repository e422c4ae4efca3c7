"""What a comparison with the reference sees, so that it proves something; its own gradients."""

import numpy as np
import pytest
from reference import Network, Physics
from support.devices import NAMES as FIELDS
from support.engine import FINER, OUTPUT_TOLERANCE, TOLERANCE
from support.reference_networks import (
    TEST_BATCH,
    difference,
    distance,
    inputs,
    state_of,
    trained_reference,
)

from utils.training import evaluation


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "change",
    [
        dict(var=0.0),
        dict(resistor_noise=0.0),
        dict(voltage_noise=0.0),
        dict(clipping=0.0),
        dict(lr=3300.0),
        dict(init=0.05),
        dict(write_noise=0.01),
        dict(device_noise=True),
        dict(physical_clipping=True),
    ],
    ids=str,
)
def test_the_comparison_sees_every_part_of_the_physics(change, field, patterns):
    """Without one ingredient, the reference itself moves ten times the tolerance away."""
    complete, without = (trained_reference(field, patterns, **c) for c in ({}, change))
    assert distance(state_of(without), complete) > 10 * TOLERANCE


@pytest.mark.parametrize("field", FIELDS)
def test_devices_reach_their_end_in_this_comparison(field, patterns):
    """Devices reach the end of their range and are refreshed, but for endless ones."""
    reference = trained_reference(field, patterns)
    both = [reference.w1[0], reference.w2[0]]
    if field == "double-ideal":
        assert np.mean([(w < reference.device.bottom).mean() for w in both]) > 0.001
    else:
        assert np.mean([(w == reference.device.top).mean() for w in both]) > 0.001
    pulses, writes, dropped, refreshes = sum(reference.costs)
    assert min(pulses, writes, dropped) > 1000  # so that a count that lacks a part is seen
    assert refreshes > 1000 if reference.device.ends else refreshes == 0


def test_the_comparison_of_tests_sees_which_noise_is_drawn(patterns):
    """The noise of another batch, or of a test under the own field, is seen."""
    reference = trained_reference("double-linear", patterns)
    images = inputs(patterns.test_images)[:TEST_BATCH]
    expected = reference.test(images, 0)
    for part in (1, evaluation.RELAXED):
        assert difference(reference.test(images, part), expected) > 10 * OUTPUT_TOLERANCE


def test_the_comparison_of_tests_sees_device_noise_and_its_scale_under_the_other_field(patterns):
    """There it counts by the ratio of the ranges, 1.53 exp(-27/9.741) less 1.53 to 0.567."""
    reference = trained_reference("double-linear", patterns, device_noise=True)
    images = inputs(patterns.test_images)[:TEST_BATCH]
    expected = reference.test(images, 0, relaxed=True)
    reference.physics.sigma_r *= (1.53 * (1 - np.exp(-27 / 9.741))) / 0.567
    other = reference.test(images, 0, relaxed=True)
    assert difference(other, expected) > 3 * FINER
    reference.physics.device_noise = False
    other = reference.test(images, 0, relaxed=True)
    assert difference(other, expected) > 3 * FINER


def test_reference_gradients_are_right(patterns):
    """The reference's own backward pass against finite differences, noise off."""
    network = Network((144, 8, 6, 4), "double-linear", 100, Physics(lr=0.0, var=0.2, init=0.1))
    images, labels = inputs(patterns.train_images[:16]), patterns.train_labels[:16]
    _, gradients = network.train(images, labels)
    for layer, (row, column) in ((0, (3, 40)), (1, (2, 5)), (2, (1, 1))):
        losses = []
        for shift in (1e-5, -1e-5):
            network.w2[layer][row, column] += shift
            losses.append(network.train(images, labels)[0])
            network.w2[layer][row, column] -= shift
        slope = (losses[0] - losses[1]) / 2e-5
        assert gradients[layer][row, column] == pytest.approx(slope, rel=1e-4, abs=1e-9)
