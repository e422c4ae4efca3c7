"""The field is switched while a network learns: against the float64 reference."""

import numpy as np
import pytest
import reference_devices
import torch
from conftest import DEVICES, currents_of, is_one_pass
from reference import Network
from support.devices import device_of
from support.engine import check_result, trained
from support.reference_networks import (
    EXTRAS,
    TEST_BATCH,
    ReferenceRun,
    difference,
    distance,
    inputs,
    state_of,
)
from support.switched import (
    BATCH,
    EPOCHS,
    EXPONENTIAL,
    LINEAR,
    SWITCH,
    switched_setting,
    trainer_of,
)

from devices.ledger_level import LedgerLevel
from devices.noise import Draw, Stream
from devices.pair import PairArray, PairState
from utils.compute.compiler import Compiler
from utils.compute.cuda_graph import WARM_UP
from utils.settings import Member
from utils.training import evaluation
from utils.training.intermediate import compute
from utils.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("several_test_batches")


@pytest.fixture(autouse=True)
def small(threads_stay, monkeypatch):
    """Beside other processes many threads are slow; batches of this size may be sparse."""
    torch.set_num_threads(1)
    monkeypatch.setattr("models.sparse_inputs.SMALLEST_BATCH", BATCH)


EXACT_WRITES = dict(write_noise=0.0)


RUNS: dict[tuple, ReferenceRun] = {}  # which keep their data, and so its id


def reference_run(first, second, data, **changes) -> ReferenceRun:
    """Return the reference, trained once for all tests, which only read it."""
    key = (first, second, id(data), *sorted(changes.items()))
    if key not in RUNS:
        RUNS[key] = ReferenceRun(switched_setting(first, second, **changes), data)
    return RUNS[key]


def check(trainer, reference, model=0):
    result = list(trainer.results(seconds=0.0))[model]
    check_result(trainer, result, reference)
    if reference.swap is not None:
        assert difference(outputs(trainer, model, relaxed=True), reference.swap_outputs) < 1e-2


def outputs(trainer, model=0, **how):
    """Of the test, [image, class]."""
    parts = evaluation.outputs(trainer.ensemble, trainer.currents, trainer.compiler, **how)
    return torch.cat(list(parts), dim=-1)[model].T.cpu().double().numpy()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("first", "second", "data", "compiled", "changes"),
    [
        (LINEAR, EXPONENTIAL, "patterns", False, {}),
        (EXPONENTIAL, LINEAR, "patterns", False, {}),
        (LINEAR, EXPONENTIAL, "sparse_patterns", True, EXACT_WRITES),
        (LINEAR, "table", "sparse_patterns", False, EXACT_WRITES),
        (LINEAR, "other linear", "sparse_patterns", False, EXACT_WRITES),
        (EXPONENTIAL, "double-curved--4.0", "sparse_patterns", False, {}),
        ("table", "double-ideal", "patterns", False, {}),
        ("other exponential", "table", "patterns", False, {}),
    ],
)
def test_a_switched_network_follows_the_reference(
    first, second, data, compiled, changes, device, request
):
    """26 steps on either side; all noises, variability and clipping on.

    On sparse inputs devices are read with noise in inference, too, and clipped physically.
    """
    physics = changes | (EXTRAS if data == "sparse_patterns" else {})
    data = request.getfixturevalue(data)
    trainer = trainer_of(first, second, data, device, compiled, **physics)
    reference = reference_run(first, second, data, **physics)
    is_sparse = trainer.currents.product == "sparse"
    assert is_one_pass(trainer.ensemble) == is_sparse
    trainer.prepare()
    programs = len(trainer.compiler.programs)
    assert list(trainer.train(lambda: None)) == list(range(EPOCHS))
    assert len(trainer.compiler.programs) == programs  # all were made before
    assert trainer.compiler.enabled == compiled, trainer.compiler.failure
    check(trainer, reference)


def test_networks_with_other_constants_are_switched_side_by_side(patterns):
    """Each by the ratio of its own ranges."""
    pairs = (EXPONENTIAL, LINEAR), ("other exponential", "other linear")
    members = [Member(switched_setting(*pair), 0) for pair in pairs]
    currents = currents_of(patterns, batch_size=BATCH)
    trainer = Trainer(members, currents, Compiler(False), ledger_level=LedgerLevel.TOTALS)
    list(trainer.train(lambda: None))
    for model, pair in enumerate(pairs):
        check(trainer, reference_run(*pair, patterns), model)


def test_outputs_right_after_the_switch_follow_the_reference(always_zero_patterns):
    """Pairs on inputs of tests alone are switched, too; noise is drawn afresh."""
    noisy = dict(voltage_noise=1e-4, device_noise=True)
    trainer = trainer_of(LINEAR, EXPONENTIAL, always_zero_patterns, **noisy)
    assert trainer.currents.product == "sparse"
    assert trainer.currents.active_inputs.n_tested > 0
    epochs = trainer.train(lambda: None)
    assert [next(epochs) for _ in range(SWITCH)] == [0, 1]
    trainer.enter(1, switch=True)
    reference = reference_run(LINEAR, EXPONENTIAL, always_zero_patterns, **noisy)
    for switched in (True, False):
        error = difference(outputs(trainer, switched=switched), reference.switch_outputs)
        assert (error < 1e-2) == switched


def test_no_two_tests_of_a_network_have_the_same_noise(patterns, monkeypatch):
    addresses, noisy = [], Stream.noisy

    def noted(stream, draw, values, sigma):
        if draw == Draw.TEST and stream.layer == 0:
            addresses.append((int(stream.step), int(stream.part)))
        return noisy(stream, draw, values, sigma)

    monkeypatch.setattr(Stream, "noisy", noted)
    trainer = trainer_of(LINEAR, EXPONENTIAL, patterns)
    trained(trainer)
    batches = -(-50 // TEST_BATCH)
    assert len(addresses) == len(set(addresses)) == (EPOCHS + 2) * batches


def test_currents_and_voltages_of_a_switched_network_follow_the_reference(patterns):
    """As the hardware has them, that is, by the input scale of after the switch."""
    trainer = trainer_of(LINEAR, EXPONENTIAL, patterns, **EXTRAS)
    list(trainer.train(lambda: None))
    (layers,) = compute(trainer.ensemble, trainer.currents)
    images = inputs(patterns.test_images)
    network = reference_run(LINEAR, EXPONENTIAL, patterns, **EXTRAS).network
    expected = network.first_image(images[:TEST_BATCH])
    np.testing.assert_allclose(layers[1][0], 0.001 * 0.567 / 1.434299 * images[0], rtol=1e-4)
    for of_layer, of_reference in zip(layers.values(), expected, strict=True):
        for actual, values in zip(of_layer, of_reference, strict=True):
            assert difference(actual.double().numpy(), values) < 1e-2


PARTS = "input scale", "epoch", "write noise", "partner", "device noise"


@pytest.mark.parametrize("part", PARTS)
def test_the_comparison_sees_every_part_of_the_switch(part, patterns, monkeypatch):
    """Without one of them the reference itself moves ten times the tolerance away."""
    noisy = EXTRAS | dict(resistor_noise=0.2) if part == "device noise" else {}
    expected = reference_run(LINEAR, EXPONENTIAL, patterns, **noisy)
    switch = Network.switch

    def without(network, field):
        scale, sigma_w = network.input_scale, network.physics.sigma_w
        switch(network, field)
        if part == "input scale":
            network.input_scale = scale
        elif part == "write noise":  # of the range before
            network.physics.sigma_w = sigma_w * 0.567 / (network.device.top - network.device.bottom)
        elif part == "partner":
            network.partner = reference_devices.Device(reference_devices.Linear(0.05, 3.0, 20))
        elif part == "device noise":
            network.physics.device_noise = False

    monkeypatch.setattr(Network, "switch", without)
    at = SWITCH - (part == "epoch")
    setting = switched_setting(LINEAR, EXPONENTIAL, **noisy)
    other = ReferenceRun(setting, patterns, switch_epoch=at)
    if part in ("partner", "device noise"):
        assert difference(other.swap_outputs, expected.swap_outputs) > 0.1
        return
    assert distance(state_of(other.network), expected.network) > 5e-2


def test_a_graph_is_captured_anew(patterns, fake_cuda, monkeypatch):
    """From it both phases follow the reference."""
    use_graph = Trainer.use_graph

    def graphed(trainer, graphed):
        fake_cuda.state = trainer.ensemble.state
        use_graph(trainer, graphed)

    monkeypatch.setattr(Trainer, "use_graph", graphed)
    trainer = trainer_of(LINEAR, EXPONENTIAL, patterns)
    trainer.use_graph(True)
    list(trainer.train(lambda: None))
    full = [200 // BATCH * epochs for epochs in (SWITCH, EPOCHS - SWITCH)]
    assert [graph.replayed for graph in fake_cuda.graphs] == [steps - WARM_UP for steps in full]
    check(trainer, reference_run(LINEAR, EXPONENTIAL, patterns))


def test_devices_are_switched_by_hand():
    """w = 2.742 - 0.021 x becomes 1.530 exp(-x / 9.741) + 0.750, and back."""
    linear, exponential = device_of(LINEAR).response, device_of(EXPONENTIAL).response
    w = torch.tensor([[[2.742, 2.532, 2.175]]])  # 0, 10 and 27 pulses
    slopes = [torch.full_like(w, 0.9), torch.full_like(w, 1.1)]
    array = PairArray([linear], PairState(w, w.flip(-1)), slopes)
    array.switch([exponential])
    expected = torch.tensor([[[2.280, 1.298087, 0.845701]]])
    torch.testing.assert_close(array.weight1, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(array.weight2, expected.flip(-1), atol=1e-5, rtol=0)
    assert torch.equal(array.weight, array.weight2 - array.weight1)
    assert array.slope1.unique().tolist() == pytest.approx([0.9])
    assert float(array.responses.lowest) == pytest.approx(0.845701, abs=1e-6)
    array.switch([linear])
    torch.testing.assert_close(array.weight1, w, atol=1e-6, rtol=0)
