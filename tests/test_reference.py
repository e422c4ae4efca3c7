"""The whole simulation against the plain float64 reference, by every path that can run it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import DEVICES, is_one_pass
from support.devices import NAMES as FIELDS
from support.engine import EAGER, FINER, OUTPUT_TOLERANCE, TOLERANCE, check_outputs, trained_engine
from support.reference_networks import (
    EXTRAS,
    TEST_BATCH,
    assert_same_costs,
    difference,
    distance,
    inputs,
    trained_reference,
    wide_init,
)

from models.kernels.load import kernels_in_use, python_only
from utils.compute.compiler import Compiler
from utils.training.state_dict import state_dict

NEARLY_LINEAR = "double-curved-0.001"
TWO_LAYERS = (24,)  # which take less time to compile than three


pytestmark = pytest.mark.usefixtures("several_test_batches")


def check_network(ensemble, model, reference):
    state = state_dict(ensemble.network, model, ensemble.history.step)
    assert distance(state, reference) < TOLERANCE
    assert float(ensemble.history.loss_sum[model]) == pytest.approx(sum(reference.losses), rel=1e-3)
    for layer, (mean, var) in enumerate(zip(reference.mean, reference.var, strict=True)):
        norm = f"layers.{2 + 3 * layer}"
        np.testing.assert_allclose(state[f"{norm}.running_mean"], mean, atol=2e-2 * mean.std())
        np.testing.assert_allclose(state[f"{norm}.running_var"], var, rtol=2e-2)
    assert_same_costs(
        [account.sums[model] for account in ensemble.ledger.accounts], reference.costs
    )


def compare(
    fields,
    data,
    compiler=EAGER,
    tests_by=EAGER,
    device="cpu",
    tolerance=OUTPUT_TOLERANCE,
    **changes,
):
    """Compare networks side by side, and all their test batches under both fields.

    changes: of the settings; own: of each one. Returns the ensemble, its inputs and references.
    """
    ensemble, currents = trained_engine(fields, data, device=device, compiler=compiler, **changes)
    changes = {"init": wide_init(fields[0])} | changes
    own, references = changes.pop("own", [{}] * len(fields)), []
    for model, (field, kind) in enumerate(zip(fields, own, strict=True)):
        reference = trained_reference(field, data, **changes | kind)
        check_network(ensemble, model, reference)
        for relaxed in (False, True) if reference.partner else (False,):
            check_outputs(ensemble, model, currents, tests_by, reference, data, relaxed, tolerance)
        references.append(reference)
    return ensemble, currents, references


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("field", [*FIELDS, "other exponential", NEARLY_LINEAR])
def test_networks_follow_the_reference(field, device, patterns):
    """Training with refresh, and tests: all noises, variability and clipping on."""
    _, currents, _ = compare([field], patterns, device=device)
    which = currents.active_inputs
    assert which.n_tested + len(which.active) == currents.inputs.test.shape[1]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("field", FIELDS)
def test_double_precision_follows_the_reference(field, device, patterns):
    reference = trained_reference(field, patterns, variance=1.0)
    ensemble, _ = trained_engine([field], patterns, torch.float64, device, variance=1.0)
    check_network(ensemble, 0, reference)


@pytest.mark.parametrize("field", FIELDS)
def test_the_same_without_kernels(field, patterns):
    """Without a C++ compiler, PyTorch computes noise, small products and tables."""
    with python_only():
        assert not any(kernels_in_use(torch.device("cpu")).values())
        compare([field], patterns)


@pytest.mark.parametrize("write_noise", [0.0, 0.05])
@pytest.mark.parametrize("field", FIELDS)
def test_sparse_products_follow_the_reference(field, write_noise, sparse_patterns):
    """Sparse inputs on a CPU: training in one pass, and every test batch under each field."""
    ensemble, currents, _ = compare([field], sparse_patterns, write_noise=write_noise)
    assert currents.product == "sparse"
    assert is_one_pass(ensemble)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("field", FIELDS)
def test_writing_with_noise_follows_the_reference(field, device, patterns):
    """Writes that end beyond the range agree, too."""
    *_, (reference,) = compare([field], patterns, device=device, write_noise=0.1)
    assert max(w.max() for w in (*reference.w1, *reference.w2)) > reference.device.top + 1e-3


@pytest.mark.parametrize("field", ["double-linear", "double-exponential"])
@pytest.mark.parametrize("product", ["dense", "sparse"])
def test_inputs_of_tests_alone_follow_the_reference(product, field, patterns, sparse_patterns):
    """Thirty of them, more than trained inputs are rounded up by; outputs a block and a part."""
    whole = sparse_patterns if product == "sparse" else patterns
    images = whole.train_images.copy()
    images[:, 3:6] = 0
    data = replace(whole, train_images=images)
    _, currents, (reference,) = compare([field], data, layers=(40, 16))
    which = currents.active_inputs
    assert (currents.product, which.n_tested) == (product, 19)
    assert len(which.always_zero) > 19
    images = inputs(data.test_images)[:TEST_BATCH]
    without = images.copy()
    without[:, which.always_zero] = 0  # the comparison sees them
    expected, other = reference.test(images), reference.test(without)
    assert difference(other, expected) > 10 * OUTPUT_TOLERANCE


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("data", ["patterns", "always_zero_patterns"])
@pytest.mark.parametrize("field", ["double-linear", "double-exponential"])
def test_inference_with_device_noise_and_physical_clipping_follow_the_reference(
    field, data, device, request
):
    """Training and every test batch, of the other field, too; by dense products and by sparse."""
    data = request.getfixturevalue(data)
    compare([field], data, device=device, tolerance=FINER, **EXTRAS)


@pytest.mark.parametrize("device", DEVICES)
def test_networks_with_and_without_them_side_by_side(device, patterns):
    """The networks of a job on a GPU have different devices."""
    kinds = [{}, dict(device_noise=True), dict(physical_clipping=True)]
    fields = ["double-linear"] * 3
    compare(fields, patterns, device=device, tolerance=FINER, layers=TWO_LAYERS, own=kinds)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("fields", "compiled", "more"),
    [
        (["double-linear", "other linear", "double-ideal"], True, EXTRAS | dict(write_noise=0.02)),
        (["other exponential", "double-exponential"], False, {}),
        (["table", "longer table"], False, {}),
    ],
    ids=["linear compiled", "exponential", "tables"],
)
def test_devices_with_other_constants_side_by_side_follow_the_reference(
    fields, compiled, more, device, patterns
):
    """Networks of one family in one program, compiled or not; the test's knows no family."""
    compiler = Compiler(compiled)
    compare(fields, patterns, compiler, device=device, layers=TWO_LAYERS, **more)
    assert compiler.enabled == compiled, compiler.failure


def test_compiled_tables_follow_the_reference(always_zero_patterns):
    """Two of them side by side, in one pass, and compiled tests; a block of outputs and a part."""
    fields, compiler = ["table", "longer table"], Compiler(enabled=True)
    ensemble, currents, _ = compare(
        fields, always_zero_patterns, compiler, compiler, tolerance=FINER, layers=(40,), **EXTRAS
    )
    assert compiler.enabled, compiler.failure
    assert currents.product == "sparse"
    assert is_one_pass(ensemble)


def test_a_compiled_network_alone_follows_the_reference(sparse_patterns):
    """As each is trained on a CPU; with dense products: see test_trainer.py.

    Another constant needs no other program, so a sweep over the nonlinearity is one, whatever its
    sign and size.
    """
    compiler, layers = Compiler(enabled=True), (40,)  # a block of outputs, and part of one
    compare(["double-exponential"], sparse_patterns, compiler, compiler, layers=layers)
    programs = dict(compiler.programs)
    assert len(programs) == 2  # of training, and of the test
    for field in ("other exponential", "double-curved-2.77", "double-curved--4.0", NEARLY_LINEAR):
        compare([field], sparse_patterns, compiler, compiler, layers=layers)
        assert compiler.programs == programs
