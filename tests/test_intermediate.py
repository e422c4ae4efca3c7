"""Currents into every layer and voltages out of it, for the first test image."""

import numpy as np
import pytest
import torch
from conftest import assert_same_tensors, assert_same_weights, members_of, setting_of
from support.engine import trained_engine
from support.reference_networks import EXTRAS, difference, inputs, trained_reference

from utils.training.ensemble import Ensemble
from utils.training.intermediate import compute
from utils.training.state_dict import load_state_dict, state_dict

FLAGS = "--n_models 2 --resistor_noise 0.05 --device_noise --padding 1"


@pytest.mark.parametrize("data", ["patterns", "always_zero_patterns"])
def test_they_follow_the_reference(data, request):
    """Currents and voltages have all noise of the test; the image includes its zeros."""
    data = request.getfixturevalue(data)
    ensemble, currents = trained_engine(["double-linear"], data, **EXTRAS)
    reference = trained_reference("double-linear", data, **EXTRAS)
    images = inputs(data.test_images)
    (layers,) = compute(ensemble, currents)
    assert list(layers) == [1, 4, 7]
    expected = reference.first_image(images)
    np.testing.assert_allclose(layers[1][0], 0.001 * images[0], rtol=1e-5)
    for of_layer, of_reference in zip(layers.values(), expected, strict=True):
        for actual, values in zip(of_layer, of_reference, strict=True):
            assert actual.dtype == torch.float32
            assert difference(actual.numpy(), values) < 2e-3
    reference.physics.sigma_v = 0.0
    without = reference.first_image(images)[0][1]
    assert difference(expected[0][1], without) > 1e-2


def test_a_state_dict_is_read_back(always_zero_patterns):
    """A state dict is read into pairs in blocks of outputs, and into one network of several."""
    ensemble, currents = trained_engine(["double-linear"], always_zero_patterns)
    assert currents.product == "sparse"
    state = state_dict(ensemble.network, 0, ensemble.history.step)
    other = Ensemble.fresh(members_of(setting_of(layers=(24, 16)), 2), currents).network
    before = state_dict(other, 0, ensemble.history.step)
    load_state_dict(other, 1, state)
    assert_same_tensors(state_dict(other, 1, ensemble.history.step), state)
    assert_same_tensors(state_dict(other, 0, ensemble.history.step), before)
    for pairs in (pairs for layer in other.layers for pairs in layer.arrays):
        assert torch.equal(pairs.weight, pairs.weight2 - pairs.weight1)


def files_of(folder) -> dict[str, torch.Tensor]:
    """Return files by the end of their name, without the folder's name."""
    paths = folder.glob("*-layer-*.pth")
    return {
        path.name.removeprefix(folder.name): torch.load(path, weights_only=True) for path in paths
    }


@pytest.fixture
def with_files(simulate):
    """Records of two networks, with their currents and voltages."""
    return simulate(f"{FLAGS} --compute_intermediate")


def test_files_and_shapes(with_files):
    shapes = {name: tuple(tensor.shape) for name, tensor in files_of(with_files[0].folder).items()}
    assert shapes == {
        f"-{model}-{quantity}-layer-{layer}.pth": (size,)
        for model in (0, 1)
        for quantity, layer, size in (
            ("intensity", 1, 900),
            ("voltage", 1, 16),
            ("intensity", 4, 16),
            ("voltage", 4, 10),
        )
    }


def test_the_flag_changes_no_number(with_files, simulate):
    without = simulate(FLAGS)
    assert not files_of(without[0].folder)
    for record, other in zip(with_files, without, strict=True):
        assert record.folder.name[14:] == other.folder.name[14:]
        assert torch.equal(record.accuracies, other.accuracies)
        assert_same_weights(record, other)
        ignored = {"seconds": None, "command": None}
        assert record.json | ignored == other.json | ignored


@pytest.mark.parametrize("damage", ["never asked for", "lost", "cut off", "of another layer"])
def test_resume_adds_those_of_complete_networks_from_their_weights(damage, with_files, simulate):
    """Nothing is trained again, and bit for bit as if they had been asked for at once."""
    folder, expected = with_files[0].folder, files_of(with_files[0].folder)
    (victim,) = folder.glob("*-1-voltage-layer-1.pth")
    if damage == "never asked for":
        for path in folder.glob("*-layer-*.pth"):
            path.unlink()
    elif damage == "lost":
        victim.unlink()
    elif damage == "cut off":
        victim.write_bytes(victim.read_bytes()[:100])
    else:
        torch.save(torch.zeros(17), victim)
    records = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    simulate(f"{FLAGS} --compute_intermediate --resume --output_dir {folder.parent}")
    n_networks = 2 if damage == "never asked for" else 1
    assert f"currents and voltages of {n_networks} complete networks are added" in simulate.errors
    assert ": epoch " not in simulate.errors
    assert {path: path.stat().st_mtime_ns for path in records} == records
    assert_same_tensors(files_of(folder), expected)


def test_a_network_that_is_trained_again_without_the_flag_keeps_none(with_files, simulate):
    """The files would belong to former weights; those of the other network stay."""
    folder = with_files[0].folder
    (victim,) = folder.glob("*-1.json")
    victim.unlink()
    simulate(f"{FLAGS} --resume --output_dir {folder.parent}")
    assert "epoch 1/1" in simulate.errors
    names = sorted(files_of(folder))
    assert len(names) == 4
    assert all(name.startswith("-0-") for name in names)
