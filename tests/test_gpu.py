"""Steps and tests on a GPU agree with those on the CPU, also from a graph and compiled."""

import pytest
import torch
from conftest import currents_of, members_of, setting_of
from support.devices import NAMES, device_of

from devices.ledger_level import LedgerLevel
from utils.compute.compiler import Compiler
from utils.flags import flags_of
from utils.settings import Setting
from utils.training.slices import slice_of
from utils.training.trainer import Trainer
from utils.training.verification import STEPS, verify

# Large beside what they are added to, so that a part of the physics that is missing shows.
LARGE = dict(resistor_noise=0.3, voltage_noise=1e-4, write_noise=0.05, init=0.2, max_pulses=2.0)
SCHEMES = [  # which networks side by side have in common
    dict(physical_clipping=True),
    dict(cell="both-ways", rounding="stochastic"),
    dict(cell="reference", accumulate=True, rounding="nearest"),
]


def all_physics(scheme: dict) -> dict:
    """Values of all flags that a step has operations for, with one of SCHEMES."""
    flags = {name: entry for name, (entry, _) in flags_of(Setting).items() if entry.physics}
    apart = {name for entry in SCHEMES for name in entry}
    values = {
        name: True if entry.type is bool else LARGE.get(name) for name, entry in flags.items()
    }
    return {name: value for name, value in values.items() if name not in apart} | scheme


def test_every_flag_of_physics_has_a_value():
    names = {name for scheme in SCHEMES for name in all_physics(scheme)}
    assert {n for n, (entry, _) in flags_of(Setting).items() if entry.physics} <= names
    assert None not in [v for scheme in SCHEMES for v in all_physics(scheme).values()]


def trainer_on(device: str, patterns, compiled: bool, scheme: dict, **changes) -> Trainer:
    members = members_of(setting_of(**(LARGE | all_physics(scheme) | changes)), 2)
    currents, is_gpu = currents_of(patterns, device=device), device == "cuda"
    compiler = Compiler(compiled and is_gpu)
    return Trainer(members, currents, compiler, graphed=is_gpu, ledger_level=LedgerLevel.TOTALS)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("field", NAMES)
def test_a_gpu_trains_and_tests_as_the_cpu(field, compiled, patterns, capsys):
    check("cuda", patterns, compiled, SCHEMES[0], field=device_of(field))
    assert capsys.readouterr().err == ""


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES[1:], ids=str)
def test_a_gpu_programs_as_the_cpu(scheme, compiled, patterns, capsys):
    check("cuda", patterns, compiled, scheme)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_the_comparison_itself_without_a_gpu(scheme, patterns):
    check("cpu", patterns, False, scheme)


@torch.no_grad()
def check(device: str, patterns, compiled: bool, scheme: dict, **changes) -> None:
    """Two steps and a test, on the CPU and on the device; compared by norms of what changes."""
    trainers = [trainer_on(name, patterns, compiled, scheme, **changes) for name in ("cpu", device)]
    trainers[1].prepare()
    if device == "cuda":
        verify(trainers[1])
        assert (trainers[1].compiler.enabled, trainers[1].graphed) == (compiled, True)
    start = [slice_of(trainers[0].ensemble, model) for model in range(2)]
    for trainer in trainers:
        for _ in range(STEPS):
            trainer.learn()
    for model in range(2):
        expected, actual = (slice_of(trainer.ensemble, model) for trainer in trainers)
        for name, tensor in expected.items():
            before, after = start[model][name].double(), tensor.double()
            off = (actual[name].cpu().double() - after).nan_to_num().norm()
            change = (after - before).nan_to_num().norm()
            assert off <= 0.02 * change + 1e-6 * before.nan_to_num().norm(), name
    accuracies = [trainer.test().cpu() for trainer in trainers]
    assert (accuracies[0] - accuracies[1]).abs().max() <= 0.05  # two or three of 50 images
