"""The whole simulation against the plain float64 reference, by every path that can run it."""

import numpy as np
import pytest
import torch
from conftest import DEVICES, currents_of, setting_of
from reference import Network
from support.devices import NAMES as FIELDS
from support.devices import device_of

from devices.kept import Kept
from models.currents import pad
from models.state_dict import state_dict
from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training import evaluation
from utils.training.ensemble import Ensemble

EAGER = Compiler(enabled=False)
NEARLY_LINEAR = "double-curved-0.001"
STEPS = 30
TEST_BATCH = 16  # of 50 test images: three full batches and an odd one
TWO_LAYERS = (24,)  # which take less time to compile than three
TOLERANCE = 5e-3  # 1e-5 as a rule; more where rounding decides whether a request is clipped
PHYSICS = dict(
    lr=3000.0, var=0.2, resistor_noise=0.1, voltage_noise=5e-5, clipping=0.1, layers=(24, 16)
)


@pytest.fixture(autouse=True)
def several_test_batches(monkeypatch):
    monkeypatch.setattr(evaluation, "TEST_BATCH", TEST_BATCH)


def wide_init(field: str) -> float:
    """Fresh voltages all over the range, so that devices are used up within tens of steps."""
    return 0.47 * device_of(field).response.span


def trained_reference(field, patterns, steps=STEPS, **changes) -> Network:
    """The reference after `steps` batches of 32, the last of each epoch smaller."""
    physics = PHYSICS | changes
    network = Network(
        (144, *physics["layers"], 4), field, seed=100, lr=physics["lr"], var=physics["var"],
        sigma_r=physics["resistor_noise"], sigma_v=physics["voltage_noise"],
        clipping=physics["clipping"], init=physics.get("init", wide_init(field)),
        sigma_w=physics.get("write_noise", 0.0), lit=currents_of(patterns).pixels.lit.numpy(),
    )  # fmt: skip
    images = pad(patterns.train_images, 1) / 255
    network.losses = []
    for samples in batches(len(images), steps):
        network.losses.append(network.train(images[samples], patterns.train_labels[samples])[0])
    return network


def batches(n_images: int, steps: int):
    starts = range(0, n_images, 32)
    for step in range(steps):
        start = starts[step % len(starts)]
        yield slice(start, min(start + 32, n_images))


def trained_engine(fields, patterns, dtype=torch.float32, device="cpu", compiler=EAGER, **changes):
    """The project's ensemble after the same batches, with one network for each of `fields`."""
    settings = [
        setting_of(field=device_of(field), init=wide_init(fields[0]), **(PHYSICS | changes))
        for field in fields
    ]
    currents = currents_of(patterns, device=device)
    ensemble = Ensemble.fresh([Member(setting, 0) for setting in settings], currents, Kept.TOTALS)
    ensemble = ensemble.to(dtype)
    per_epoch = -(-len(currents.train) // 32)
    with torch.no_grad():
        for step in range(STEPS):
            current, labels = currents.batch(step % per_epoch, 32)
            call = compiler if len(labels) == 32 else EAGER
            call(ensemble, current if currents.light else current.to(dtype), labels)
    return ensemble, currents


def distance(state, network) -> float:
    """Largest over layers and devices of |w - reference| / |reference - its mean|."""
    errors = []
    for layer, (w1, w2) in enumerate(zip(network.w1, network.w2, strict=True)):
        for name, w in (("weight1", w1), ("weight2", w2)):
            actual = state[f"layers.{1 + 3 * layer}.{name}"].double().numpy()
            errors.append(np.linalg.norm(actual - w) / np.linalg.norm(w - w.mean()))
    return max(errors)


def check_network(ensemble, model, reference):
    state = state_dict(ensemble.network, model, ensemble.step)
    assert distance(state, reference) < TOLERANCE
    assert float(ensemble.loss_sum[model]) == pytest.approx(sum(reference.losses), rel=1e-3)
    for layer, (mean, var) in enumerate(zip(reference.mean, reference.var, strict=True)):
        norm = f"layers.{2 + 3 * layer}"
        np.testing.assert_allclose(state[f"{norm}.running_mean"], mean, atol=2e-2 * mean.std())
        np.testing.assert_allclose(state[f"{norm}.running_var"], var, rtol=2e-2)
    check_costs([account.sums[model] for account in ensemble.ledger.accounts], reference.costs)


def check_costs(actual, expected):
    """Of each layer. Rounding decides of a few requests whether they are dropped."""
    for mine, (pulses, *counts) in zip(actual, expected, strict=True):
        mine = mine.cpu().double().numpy()
        assert mine[0] == pytest.approx(pulses, rel=1e-3)
        np.testing.assert_allclose(mine[1:], counts, rtol=2e-3, atol=2)


def check_outputs(ensemble, model, currents, compiler, reference, patterns, relaxed=False):
    """Every test batch, each with noise of its own."""
    images = pad(patterns.test_images, 1) / 255
    parts = evaluation.outputs(ensemble, currents, compiler, relaxed)
    starts = range(0, len(images), TEST_BATCH)
    for number, (start, voltages) in enumerate(zip(starts, parts, strict=True)):
        part = number + evaluation.RELAXED * relaxed
        expected = reference.test(images[start : start + TEST_BATCH], part, relaxed)
        actual = voltages[model].T.cpu().double().numpy()
        assert np.linalg.norm(actual - expected) < 1e-2 * np.linalg.norm(expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("field", FIELDS)
def test_training_follows_the_reference(field, dtype, device, patterns):
    """Forward, backward, update with refresh; all noises, variability and clipping on."""
    reference = trained_reference(field, patterns)
    ensemble, _ = trained_engine([field], patterns, dtype, device)
    check_network(ensemble, 0, reference)


@pytest.mark.parametrize("field", FIELDS)
def test_sparse_products_follow_the_reference(field, sparse_patterns):
    """On a CPU, where most inputs are dark: training, and every test batch."""
    ensemble, currents = trained_engine([field], sparse_patterns, write_noise=0.05)
    assert currents.product == "sparse"
    reference = trained_reference(field, sparse_patterns, write_noise=0.05)
    check_network(ensemble, 0, reference)
    check_outputs(ensemble, 0, currents, EAGER, reference, sparse_patterns)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("field", FIELDS)
def test_writing_with_noise_follows_the_reference(field, device, patterns):
    """Also where a write lands beyond an end of the range."""
    noisy = dict(write_noise=0.1)
    reference = trained_reference(field, patterns, **noisy)
    assert max(w.max() for w in (*reference.w1, *reference.w2)) > reference.device.top + 1e-3
    ensemble, currents = trained_engine([field], patterns, device=device, **noisy)
    check_network(ensemble, 0, reference)
    if reference.partner:
        check_outputs(ensemble, 0, currents, EAGER, reference, patterns, relaxed=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("fields", "compiled", "write_noise"),
    [
        (["double-linear", "other linear", "double-ideal"], False, 0.0),
        (["other exponential", "double-exponential"], False, 0.0),
        (["table", "longer table"], True, 0.02),
    ],
    ids=["linear", "exponential", "tables compiled"],
)
def test_devices_with_other_constants_side_by_side_follow_the_reference(
    fields, compiled, write_noise, device, patterns
):
    """Networks of one family in one program for training, and in one for the test."""
    compiler = Compiler(compiled)
    changes = dict(layers=TWO_LAYERS, write_noise=write_noise)
    ensemble, currents = trained_engine(
        fields, patterns, torch.float32, device, compiler, **changes
    )
    for model, field in enumerate(fields):
        reference = trained_reference(field, patterns, init=wide_init(fields[0]), **changes)
        check_network(ensemble, model, reference)
        for relaxed in (False, True) if reference.partner else (False,):
            check_outputs(ensemble, model, currents, compiler, reference, patterns, relaxed)


@pytest.mark.parametrize(
    ("field", "data", "layers"),
    [
        ("double-linear", "patterns", TWO_LAYERS),
        ("double-exponential", "sparse_patterns", (40, 16)),  # a block of outputs, and part of one
    ],
    ids=["linear dense", "exponential sparse"],
)
def test_a_compiled_network_alone_follows_the_reference(field, data, layers, request):
    """As each is trained on a CPU, with dense products by oneDNN where that is used."""
    compiler, data = Compiler(enabled=True), request.getfixturevalue(data)
    ensemble, currents = trained_engine([field], data, compiler=compiler, layers=layers)
    reference = trained_reference(field, data, layers=layers)
    check_network(ensemble, 0, reference)
    check_outputs(ensemble, 0, currents, compiler, reference, data)


def test_another_constant_needs_no_other_program(patterns):
    """So a sweep over the nonlinearity is one program, whatever its sign and size."""
    compiler = Compiler(enabled=True)
    trained_engine(["double-exponential"], patterns, compiler=compiler)
    programs = dict(compiler.programs)
    for field in ("other exponential", "double-curved-2.77", "double-curved--4.0", NEARLY_LINEAR):
        ensemble, _ = trained_engine([field], patterns, compiler=compiler)
        assert compiler.programs == programs
        check_network(ensemble, 0, trained_reference(field, patterns))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "change",
    [dict(var=0.0), dict(resistor_noise=0.0), dict(voltage_noise=0.0), dict(clipping=0.0),
     dict(lr=3300.0), dict(init=0.05), dict(write_noise=0.01)],
    ids=str,
)  # fmt: skip
def test_the_comparison_sees_every_part_of_the_physics(change, field, patterns):
    """Without one ingredient, the reference itself moves ten times the tolerance away."""
    whole, without = (trained_reference(field, patterns, **c) for c in ({}, change))
    state = {
        f"layers.{1 + 3 * layer}.{name}": torch.from_numpy(w[layer])
        for layer in range(3)
        for name, w in (("weight1", without.w1), ("weight2", without.w2))
    }
    assert distance(state, whole) > 10 * TOLERANCE


@pytest.mark.parametrize("field", FIELDS)
def test_devices_reach_their_end_in_this_comparison(field, patterns):
    """Where they are refreshed, but for those that have none."""
    reference = trained_reference(field, patterns)
    both = [reference.w1[0], reference.w2[0]]
    if field == "double-ideal":
        assert np.mean([(w < reference.device.bottom).mean() for w in both]) > 0.001
    else:
        assert np.mean([(w == reference.device.top).mean() for w in both]) > 0.001
    pulses, writes, dropped, refreshes = sum(reference.costs)
    assert min(pulses, writes, dropped) > 1000  # so that a count that lacks a part is seen
    assert refreshes > 1000 if reference.device.ends else refreshes == 0


@pytest.mark.parametrize("field", [*FIELDS, "other exponential", NEARLY_LINEAR])
def test_test_outputs_follow_the_reference(field, patterns):
    """Running statistics, test noise, pixels lit only in the test, and field relaxation."""
    ensemble, currents = trained_engine([field], patterns)
    assert currents.pixels.n_dark_tested + len(currents.pixels.lit) == currents.test.shape[1]
    reference = trained_reference(field, patterns)
    for relaxed in (False, True) if reference.partner else (False,):
        check_outputs(ensemble, 0, currents, EAGER, reference, patterns, relaxed)


def test_the_comparison_of_tests_sees_which_noise_is_drawn(patterns):
    """The noise of another batch, or of a test under the own field, is seen."""
    reference = trained_reference("double-linear", patterns)
    images = pad(patterns.test_images, 1)[:TEST_BATCH] / 255
    expected = reference.test(images, 0)
    for part in (1, evaluation.RELAXED):
        difference = np.linalg.norm(reference.test(images, part) - expected)
        assert difference > 3e-2 * np.linalg.norm(expected)


def test_reference_gradients_are_right(patterns):
    """The reference's own backward pass against finite differences, noise off."""
    network = Network((144, 8, 6, 4), "double-linear", 100, 0.0, 0.2, 0.0, 0.0, 0.0, init=0.1)
    images, labels = pad(patterns.train_images[:16], 1) / 255, patterns.train_labels[:16]
    _, gradients = network.train(images, labels)
    for layer, (row, column) in ((0, (3, 40)), (1, (2, 5)), (2, (1, 1))):
        losses = []
        for shift in (1e-5, -1e-5):
            network.w2[layer][row, column] += shift
            losses.append(network.train(images, labels)[0])
            network.w2[layer][row, column] -= shift
        slope = (losses[0] - losses[1]) / 2e-5
        assert gradients[layer][row, column] == pytest.approx(slope, rel=1e-4, abs=1e-9)
