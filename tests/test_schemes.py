"""Cells and rules of programming in whole networks, against the plain float64 reference."""

from itertools import cycle, islice

import numpy as np
import pytest
import torch
from conftest import DEVICES, currents_of
from support.cells import ALL, CELLS, RULES, devices_for, write_noise_for
from support.engine import EAGER, TOLERANCE, check_accumulators, check_outputs, check_wear
from support.reference_networks import (
    assert_same_costs,
    batches,
    distance,
    noisy_setting,
    reference_of,
    trained_reference,
)

from devices.ledger_level import LedgerLevel
from models.kernels.load import python_only
from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training.ensemble import Ensemble
from utils.training.state_dict import ledger_dict, state_dict

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
STEP_TOLERANCE = 1e-4  # of one batch, arb. u. and pulses; a pulse of 0.1 is 1e-3 or more
BATCHES = 14  # two epochs, of which the last one is smaller
MOST_MISTAKEN = 5  # values of weights of which rounding decides, of tens of thousands


pytestmark = pytest.mark.usefixtures("several_test_batches")


def limited(cell: str, rule: str, **changes) -> dict:
    """Return changes of a setting: a rule in a cell with a largest pulse and all noises."""
    return dict(cell=cell, max_pulses=1.1) | LR | NOISES | RULES[rule] | changes


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


def compare(field, data, compiler=EAGER, dtype=torch.float32, **changes) -> None:
    """Compare a network with the reference over some batches, and then their tests."""
    setting = noisy_setting(field, **LR | changes)
    ensemble, (reference,), currents, (different,) = follow(
        [setting], data, compiler=compiler, dtype=dtype
    )
    assert different <= MOST_MISTAKEN
    check(ensemble, 0, reference)
    if dtype == torch.float32:
        check_outputs(ensemble, 0, currents, EAGER, reference, data)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_rule_and_device_follow_the_reference(cell, rule, field, patterns):
    """All noises on; dense products."""
    compare(field, patterns, cell=cell, **RULES[rule], **NOISES)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("cell", "rule"), ALL)
def test_networks_of_a_sweep_side_by_side_follow_the_reference(cell, rule, device, sparse_patterns):
    """On sparse products, of outputs that are a block and a part of one; then their tests.

    They differ in limit, smallest pulse, learning rate, noises and the constants of devices.
    """
    first, second = devices_for(cell, rule)
    sweep = [
        (first, dict(max_pulses=0.6)),
        (first, dict(clipping=0.3, lr=200.0)),
        (second, dict(max_pulses=1.1, write_noise=write_noise_for(cell, rule))),
    ]
    scheme = dict(cell=cell, layers=(40, 16)) | LR | RULES[rule]
    settings = [noisy_setting(field, **scheme | changes) for field, changes in sweep]
    ensemble, references, currents, different = follow(settings, sparse_patterns, device=device)
    assert max(different) <= MOST_MISTAKEN
    for model, reference in enumerate(references):
        check(ensemble, model, reference)
        check_outputs(ensemble, model, currents, EAGER, reference, sparse_patterns)


@pytest.mark.parametrize(("cell", "rule"), ALL)
def test_the_same_without_kernels(cell, rule, patterns, sparse_patterns):
    """Products are sparse in two of fifteen cases, in which gradient and update are apart."""
    is_sparse = (cell, rule) in (("one-way", "accumulate"), ("both-ways", "stochastic"))
    field, data = devices_for(cell, rule)[0], sparse_patterns if is_sparse else patterns
    with python_only():
        compare(field, data, **limited(cell, rule))


@pytest.mark.parametrize("cell", CELLS)
def test_double_precision_follows_the_reference(cell, patterns):
    scheme = dict(cell=cell) | RULES["accumulate nearest"]
    compare("falls-linearly", patterns, dtype=torch.float64, **scheme)


COMPILED = [  # of each cell and of each rule that is not in test_reference.py
    ("one-way", "accumulate", "sparse_patterns"),
    ("one-way", "accumulate nearest", "patterns"),
    ("both-ways", "nearest", "patterns"),
    ("reference", "stochastic", "sparse_patterns"),
]


@pytest.mark.parametrize(("cell", "rule", "data"), COMPILED)
def test_compiled_networks_follow_the_reference(cell, rule, data, request):
    compiler, data = Compiler(enabled=True), request.getfixturevalue(data)
    field = "double-exponential" if cell == "both-ways" else devices_for(cell, rule)[0]
    noises = dict(write_noise=0.0, device_noise=False) if cell == "one-way" else NOISES
    compare(field, data, compiler, **limited(cell, rule, layers=(40,), **noises))
    assert compiler.enabled, compiler.failure


def test_both_ways_in_inputs_of_tests_alone(always_zero_patterns):
    """Weights on inputs that are always zero in training start around w0 and stay there."""
    noise = write_noise_for("both-ways", "none")
    changes = limited("both-ways", "none", write_noise=noise)
    compare("falls-exponentially", always_zero_patterns, **changes)


@pytest.mark.parametrize(("cell", "rule"), ALL)
def test_the_comparison_tells_cells_and_rules_apart(cell, rule, patterns):
    """A network is not taken for one of another rule, of another cell, or with a limit."""
    scheme = dict(cell=cell) | RULES[rule]
    wrong_schemes = [scheme | dict(max_pulses=0.5)]
    wrong_schemes += [
        dict(cell=cell) | other
        for name, other in RULES.items()
        if name != rule and other.get("accumulate") == scheme.get("accumulate")
    ]
    right = noisy_setting("double-exponential", **LR | scheme)
    wrong = [noisy_setting("double-exponential", **LR | other) for other in wrong_schemes]
    different = follow([right] * len(wrong), patterns, wrong)[-1]
    assert min(different) > 16 * MOST_MISTAKEN, wrong_schemes


@pytest.mark.parametrize("cell", CELLS[1:])
@pytest.mark.parametrize("field", FIELDS)
def test_devices_reach_their_ends_in_this_comparison(field, cell, patterns):
    network = trained_reference(field, patterns, cell=cell, **LR, **NOISES)
    w = np.concatenate([voltages.ravel() for voltages in network.w2])
    beyond = (w >= network.device.top).sum(), (w <= network.device.bottom).sum()
    assert max(beyond) > 5
    rising = sum(raised.sum() for raised in (*network.raised1, *network.raised2))
    falling = sum(worn.sum() for worn in (*network.worn1, *network.worn2))
    assert min(rising, falling) > 1000
    assert sum(network.costs)[3] == 0


@pytest.mark.parametrize("rule", [rule for rule in RULES if "accumulate" in rule])
@pytest.mark.parametrize("cell", CELLS)
def test_accumulators_hold_much_in_this_comparison(cell, rule, patterns):
    of_rule = dict(cell=cell) | LR | RULES[rule]
    network = trained_reference("double-linear", patterns, BATCHES, **of_rule)
    assert sum((abs(chi) > 0.01).sum() for chi in network.chi) > 50
    held = trained_reference("double-linear", patterns, BATCHES, max_pulses=0.5, **of_rule)
    assert max(abs(chi).max() for chi in held.chi) > 1
