"""Cells and rules of programming in whole networks, against the plain float64 reference."""

from itertools import cycle, islice

import numpy as np
import pytest
import torch
from conftest import DEVICES, currents_of
from support.cells import CELLS, RULES
from support.engine import EAGER, check_outputs, stop_at
from support.reference_networks import (
    ONE_IMAGE,
    ReferenceRun,
    assert_same_costs,
    batches,
    distance,
    noisy_setting,
    reference_of,
    trained_reference,
)

from devices.ledger import COUNTS
from devices.ledger_level import LedgerLevel
from models.kernels.load import python_only
from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training.ensemble import Ensemble
from utils.training.slices import slice_of
from utils.training.state_dict import ledger_dict, state_dict
from utils.training.trainer import Trainer

FIELDS = [
    "double-linear",
    "double-exponential",
    "double-ideal",
    "double-curved--4.0",
    "table",
    "falls-exponentially",  # and rises by a table
    "falls-linearly",  # and rises exponentially, by steps that grow
    "falls-by-a-table",  # and rises linearly
]
NOISES = dict(write_noise=0.03, device_noise=True)  # besides var, resistor_noise, voltage_noise
LR = dict(lr=300.0)  # at 3000 devices of both-ways cells jump from end to end, and networks diverge
TOLERANCE = 5e-3  # 1e-5 as a rule; more where rounding decides whether a pulse is sent
STEP_TOLERANCE = 1e-4  # of one batch, arb. u. and pulses; a pulse of 0.1 is 1e-3 or more
MOST_MISTAKEN = 8  # values of weights of which rounding decides, of tens of thousands
BATCHES = 20


pytestmark = pytest.mark.usefixtures("several_test_batches")


def check(ensemble, model, reference) -> None:
    """Voltages, accumulators, loss, costs and wear."""
    state = state_dict(ensemble.network, model, ensemble.history.step)
    assert distance(state, reference) < TOLERANCE
    check_accumulators(state, reference)
    loss = float(ensemble.history.loss_sum[model])
    assert loss == pytest.approx(sum(reference.losses), rel=1e-3)
    accounts = ensemble.ledger.accounts
    assert_same_costs([account.sums[model] for account in accounts], reference.costs)
    check_wear(ledger_dict(ensemble.network, ensemble.ledger, model, 99), reference)


def check_accumulators(state, reference) -> None:
    """Rounding may send a pulse a step earlier or later of a few weights, by which chi differs."""
    for layer, chi in enumerate(reference.chi):
        name = f"layers.{1 + 3 * layer}.accumulator"
        assert (name in state) == reference.physics.accumulate
        if name in state:
            actual = state[name].double().numpy()
            scale = 1e-3 * max(abs(chi).max(), reference.physics.clipping)
            assert (abs(actual - chi) > scale).mean() < 2e-3
            assert abs(actual).sum() == pytest.approx(reference.pending[layer], rel=2e-3)


def check_wear(ledger, reference) -> None:
    """Both polarities of both devices apart, and refreshes."""
    names = {"pulses1": reference.worn1, "pulses2": reference.worn2}
    if reference.physics.cell != "one-way":
        names |= {"raised1": reference.raised1, "raised2": reference.raised2}
    for name, worn in names.items():
        for layer, expected in enumerate(worn):
            actual = ledger[f"layers.{1 + 3 * layer}.{name}"].double().numpy()
            assert np.linalg.norm(actual - expected) <= TOLERANCE * np.linalg.norm(expected)
    for layer, expected in enumerate(reference.refreshed):
        actual = ledger[f"layers.{1 + 3 * layer}.refreshes"].double().numpy()
        assert abs(actual - expected).sum() <= 2 + 2e-3 * expected.sum()


def exact(voltages, device):
    """Return voltages in double precision, those at an end of the range at its exact value."""
    w = voltages.double().numpy()
    for end in (device.top, device.bottom) if device.ends else ():
        w = np.where(abs(w - end) < 1e-6, end, w)
    return w


def take_over(network, state) -> None:
    """Set the reference to a state of the engine."""
    for layer in range(len(network.w1)):
        pairs, norm = f"layers.{1 + 3 * layer}", f"layers.{2 + 3 * layer}"
        network.w1[layer] = exact(state[f"{pairs}.weight1"], network.device)
        network.w2[layer] = exact(state[f"{pairs}.weight2"], network.device)
        if network.physics.accumulate:
            network.chi[layer] = state[f"{pairs}.accumulator"].double().numpy()
        network.mean[layer] = state[f"{norm}.running_mean"].double().numpy()
        network.var[layer] = state[f"{norm}.running_var"].double().numpy()


def mistaken(state, reference) -> int:
    """Return how many weights differ in voltage, or in pulses to come, by more than rounding."""
    total = 0
    for layer in range(len(reference.w1)):
        pairs = f"layers.{1 + 3 * layer}"
        expected = {"weight1": reference.w1, "weight2": reference.w2}
        if reference.physics.accumulate:
            expected["accumulator"] = reference.chi
        for name, values in expected.items():
            apart = abs(state[f"{pairs}.{name}"].double().numpy() - values[layer])
            total += (apart > STEP_TOLERANCE * np.maximum(abs(values[layer]), 1)).sum()
    return total


def follow(settings, data, others=None, compiler=EAGER, device="cpu", dtype=torch.float32):
    """Train networks side by side, and each one's reference step by step beside it.

    Before each batch a reference is set to the state of its network, since rounding decides now and
    then about a pulse, after which two networks with feedback go apart. others: the settings of the
    references, by default the same. Returns ensemble, references, currents, and for each network
    how many values were mistaken.
    """
    references = [reference_of(setting, data) for setting in others or settings]
    currents = currents_of(data, device=device)
    members = [Member(setting, 0) for setting in settings]
    ensemble = Ensemble.fresh(members, currents, LedgerLevel.WEAR)
    ensemble = ensemble.double() if dtype == torch.float64 else ensemble
    for norm in ensemble.network.norms:
        norm.running_var.fill_(1.0)
    different = [0] * len(settings)
    states: list[dict] = [{}] * len(settings)
    for step, (images, labels) in enumerate(islice(cycle(batches(settings[0], data)), BATCHES)):
        current, targets = currents.batch(step % 7, 32)
        current = current.to(dtype) if currents.product == "dense" else current
        for reference, state in zip(references, states, strict=True):
            if state:
                take_over(reference, state)
            reference.train(images, labels)
        with torch.no_grad():
            (compiler if len(targets) == 32 else EAGER)(ensemble, current, targets)
        for model, reference in enumerate(references):
            states[model] = state_dict(ensemble.network, model, ensemble.history.step)
            different[model] += mistaken(states[model], reference)
    return ensemble, references, currents, different


def compare(field, data, compiler=EAGER, device="cpu", dtype=torch.float32, **changes) -> None:
    """Compare a network with the reference over some batches, and then their tests."""
    setting = noisy_setting(field, **LR | changes)
    ensemble, references, currents, different = follow(
        [setting], data, None, compiler, device, dtype
    )
    assert different[0] <= MOST_MISTAKEN
    check(ensemble, 0, references[0])
    if dtype == torch.float32:
        check_outputs(ensemble, 0, currents, EAGER, references[0], data)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_rule_and_family_follows_the_reference(cell, rule, field, patterns):
    """All noises on; dense products."""
    compare(field, patterns, cell=cell, **RULES[rule], **NOISES)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("cell", "field"),
    [
        ("one-way", "double-linear"),
        ("both-ways", "falls-exponentially"),
        ("reference", "double-exponential"),
    ],
)
def test_sparse_products_follow_the_reference(cell, field, rule, device, sparse_patterns):
    """Outputs of the first layer are a block and a part of one; at most 1.5 pulses at once."""
    changes = dict(cell=cell, layers=(40, 16), max_pulses=1.5) | RULES[rule]
    compare(field, sparse_patterns, device=device, **changes)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_without_kernels(cell, rule, sparse_patterns):
    with python_only():
        compare("double-exponential", sparse_patterns, cell=cell, layers=(40,), **RULES[rule])


@pytest.mark.parametrize("cell", CELLS)
def test_double_precision_follows_the_reference(cell, patterns):
    rule = RULES["accumulate nearest"]
    compare("falls-linearly", patterns, dtype=torch.float64, cell=cell, **rule)


COMPILED = [  # one of each cell and of each rule
    ("one-way", "stochastic", "double-linear", "sparse_patterns"),
    ("one-way", "accumulate nearest", "double-linear", "patterns"),
    ("both-ways", "none", "falls-exponentially", "sparse_patterns"),
    ("both-ways", "nearest", "double-exponential", "patterns"),
    ("reference", "accumulate", "double-exponential", "sparse_patterns"),
]


@pytest.mark.parametrize(("cell", "rule", "field", "data"), COMPILED)
def test_compiled_networks_follow_the_reference(cell, rule, field, data, request):
    compiler, data = Compiler(enabled=True), request.getfixturevalue(data)
    changes = dict(cell=cell, layers=(40,), max_pulses=2.0) | RULES[rule]
    compare(field, data, compiler, **changes, **({} if cell == "one-way" else NOISES))
    assert compiler.enabled, compiler.failure


def test_both_ways_in_inputs_of_tests_alone(always_zero_patterns):
    """Weights on inputs that are always zero in training start around w0 and stay there."""
    compare("falls-exponentially", always_zero_patterns, cell="both-ways", **NOISES)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_comparison_tells_cells_and_rules_apart(cell, rule, patterns):
    """A network is not taken for one of another rule, of another cell, or with a limit."""
    scheme = dict(cell=cell) | RULES[rule]
    setting = noisy_setting("double-exponential", **LR | scheme)
    others = [scheme | dict(max_pulses=0.5)]
    others += [
        dict(cell=cell) | other
        for name, other in RULES.items()
        if name != rule and other.get("accumulate") == scheme.get("accumulate")
    ]
    for other in others:
        wrong = noisy_setting("double-exponential", **LR | other)
        different = follow([setting], patterns, [wrong])[-1]
        assert different[0] > 10 * MOST_MISTAKEN, other


@pytest.mark.parametrize("cell", CELLS[1:])
@pytest.mark.parametrize("field", FIELDS)
def test_devices_reach_their_ends_in_this_comparison(field, cell, patterns):
    network = trained_reference(field, patterns, cell=cell, **LR, **NOISES)
    w = np.concatenate([each.ravel() for each in network.w2])
    top, bottom = network.device.top, network.device.bottom
    beyond = (w >= top).sum(), (w <= bottom).sum()
    assert max(beyond) > 5
    rising = sum(raised.sum() for raised in (*network.raised1, *network.raised2))
    falling = sum(worn.sum() for worn in (*network.worn1, *network.worn2))
    assert min(rising, falling) > 1000
    assert sum(network.costs)[3] == 0


@pytest.mark.parametrize("rule", [rule for rule in RULES if "accumulate" in rule])
@pytest.mark.parametrize("cell", CELLS)
def test_accumulators_hold_much_in_this_comparison(cell, rule, patterns):
    network = trained_reference("double-linear", patterns, cell=cell, **LR, **RULES[rule])
    assert sum((abs(chi) > 0.01).sum() for chi in network.chi) > 50
    limited = trained_reference("double-linear", patterns, cell=cell, max_pulses=0.5, **RULES[rule])
    assert max(abs(chi).max() for chi in limited.chi) > 1


EPOCHS = dict(
    epochs=3, batch_size=32, lr=60.0, resistor_noise=0.02, voltage_noise=2e-5, layers=(40,)
)
SCHEMES = [
    dict(cell="both-ways", rounding="stochastic"),
    dict(cell="reference", accumulate=True),
    dict(cell="one-way", accumulate=True, rounding="nearest", max_pulses=0.5),
]


def trainer_of(setting, data) -> Trainer:
    member = Member(setting, 0)
    return Trainer([member], currents_of(data), Compiler(False), False, LedgerLevel.WEAR)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("data", ["patterns", "sparse_patterns"])
def test_training_records_what_the_reference_does(data, scheme, request):
    """Epoch by epoch: accuracies, requests, the ledger with what is pending, and wear."""
    data = request.getfixturevalue(data)
    setting = noisy_setting("falls-exponentially", **EPOCHS, **scheme)
    run = ReferenceRun(setting, data)
    trainer = trainer_of(setting, data)
    list(trainer.train(lambda: None))
    (result,) = trainer.results(0.0)
    assert distance(result.state, run.network) < TOLERANCE
    check_accumulators(result.state, run.network)
    np.testing.assert_allclose(result.accuracies.numpy(), run.accuracies, atol=1.01 * ONE_IMAGE)
    np.testing.assert_allclose(result.pulse_requests.numpy(), run.requests, rtol=2e-3)
    for k, name in enumerate(COUNTS):
        expected = [[layer[k] for layer in epoch] for epoch in run.costs]
        np.testing.assert_allclose(result.ledger[name], expected, rtol=2e-3, atol=2, err_msg=name)
    assert ("pending" in result.ledger) == setting.accumulate
    if setting.accumulate:
        assert result.ledger["pending"].dtype == torch.float64
        np.testing.assert_allclose(result.ledger["pending"], run.pending, rtol=2e-3)
        assert result.ledger["dropped"].count_nonzero() == 0
    check_wear(result.ledger, run.network)
    if setting.cell == "one-way":
        assert result.swap_accuracy == pytest.approx(run.swap, abs=1.01 * ONE_IMAGE)
    else:
        assert result.swap_accuracy is None
        assert run.swap is None


@pytest.mark.parametrize("field", ["double-linear", "falls-exponentially"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("data", ["patterns", "sparse_patterns"])
def test_training_is_resumed_bit_for_bit(data, scheme, field, request):
    """Stopped in the middle of an epoch, with pulses in the accumulators and much to be rounded."""
    data = request.getfixturevalue(data)
    setting = noisy_setting(field, **EPOCHS | dict(write_noise=0.02), **scheme)
    undisturbed, first, second = (trainer_of(setting, data) for _ in range(3))
    list(undisturbed.train(lambda: None))
    stop_at(first, 10)
    checkpoint = slice_of(first.ensemble, 0)
    names = [name for name in checkpoint if "accumulator" in name]
    assert len(names) == 2 * setting.accumulate
    for name in names:
        assert checkpoint[name].abs().max() > 0.01
    second.restore([checkpoint])
    list(second.train(lambda: None))
    (whole,), (resumed,) = (each.results(0.0) for each in (undisturbed, second))
    for mine, theirs in ((resumed.state, whole.state), (resumed.ledger, whole.ledger)):
        assert mine.keys() == theirs.keys()
        for name, tensor in theirs.items():
            assert torch.equal(mine[name], tensor), name
    assert torch.equal(resumed.accuracies, whole.accuracies)
    for name in names:  # each is needed
        third = trainer_of(setting, data)
        third.restore([checkpoint | {name: torch.zeros_like(checkpoint[name])}])
        list(third.train(lambda: None))
        (other,) = third.results(0.0)
        assert not torch.equal(other.state["layers.1.weight2"], whole.state["layers.1.weight2"])


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_a_network_is_that_of_its_seed(scheme, sparse_patterns):
    """Model 2 of seed 100 is model 0 of seed 102, bit for bit; another seed is another one."""
    states = []
    for seed, model in ((100, 2), (102, 0), (101, 2)):
        setting = noisy_setting("double-linear", **EPOCHS | dict(epochs=1), seed=seed, **scheme)
        currents = currents_of(sparse_patterns)
        trainer = Trainer([Member(setting, model)], currents, Compiler(False))
        list(trainer.train(lambda: None))
        states.append(next(trainer.results(0.0)).state)
    same, other = states[1:]
    for name, tensor in states[0].items():
        assert torch.equal(tensor, same[name]), name
    assert not torch.equal(states[0]["layers.1.weight2"], other["layers.1.weight2"])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cell", CELLS)
def test_networks_of_a_sweep_side_by_side_follow_the_reference(cell, rule, device, sparse_patterns):
    """They differ in limit, smallest pulse, learning rate, noises and the constants of devices."""
    scheme = dict(cell=cell, layers=(40,)) | LR | RULES[rule]
    sweep = [
        ("double-linear", dict(max_pulses=0.6)),
        ("double-linear", dict(clipping=0.3, lr=200.0)),
        ("other linear", dict(max_pulses=1.1, write_noise=0.02)),
    ]
    settings = [noisy_setting(field, **scheme | changes) for field, changes in sweep]
    ensemble, references, _, different = follow(settings, sparse_patterns, device=device)
    assert max(different) <= MOST_MISTAKEN
    for model, reference in enumerate(references):
        check(ensemble, model, reference)
