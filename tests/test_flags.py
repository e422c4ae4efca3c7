"""Effects of the flags on a run: its table, its networks, compiled or not."""

import pytest
import torch
from conftest import assert_same_weights

from utils.compute.compiler import Compiler


def test_end_to_end_on_digits(simulate):
    records = simulate(
        "--n_models 2 --epochs 12 --layers 64 --field double-linear double-exponential --lr 3000"
    )
    header, *rows = simulate.table.splitlines()
    assert "accuracy" in header
    assert len(rows) == 2
    for row in rows:
        accuracy = float(row.split(" ± ")[0].split()[-1])
        assert accuracy > 85
    lines = [line for line in simulate.errors.splitlines() if ": epoch " in line]
    assert len(lines) == 2 * 2 * 12  # plain lines, since stderr is no terminal
    for words in ("accuracy", "loss", "pulses"):
        assert words in lines[-1]
    for field in ("linear", "exponential"):
        for network in (0, 1):
            who = f"Digits-double-{field}-3000.0-var-0.2-clipping-0.0-resistor-0.0-voltage-0.0, "
            of_network = [line for line in lines if line.startswith(f"{who}network {network}: ")]
            epochs = [line.partition("epoch ")[2].partition(",")[0] for line in of_network]
            assert epochs == [f"{number}/12" for number in range(1, 13)]
    assert len(records) == 4


def test_the_last_networks_of_a_run_are_those_of_a_later_seed(simulate):
    ten = simulate("--n_models 4 --resistor_noise 0.015 --clipping 0.1")
    (alone,) = simulate("--n_models 1 --seed 103 --resistor_noise 0.015 --clipping 0.1")
    assert torch.equal(ten[3].accuracies, alone.accuracies)
    assert torch.equal(ten[3].gradients, alone.gradients)
    assert_same_weights(alone, ten[3])
    assert ten[3].json["swap_accuracy"] == alone.json["swap_accuracy"]


def test_a_network_does_not_depend_on_the_sweep_around_it(simulate):
    sweep = simulate("--lr 1000 4000 --field double-linear double-exponential --n_models 2")
    alone = simulate("--lr 4000 --field double-exponential --n_models 2")
    twins = [r for r in sweep if "exponential-4000.0" in r.folder.name]
    for record, twin in zip(alone, twins, strict=True):
        assert_same_weights(record, twin)


CHANGES = {
    "--lr 4000": [
        "--lr 2000",
        "--field double-exponential",
        "--var 0.3",
        "--resistor_noise 0.05",
        "--voltage_noise 1e-4",
        "--write_noise 0.01",
        "--clipping 0.02",
        "--seed 101",
        "--batch_size 64",
        "--field double-ideal",
        "--field double-curved--1",
        "--layers 17",
        "--init 0.02",
        "--input_scale 0.002",
        "--padding 3",
        "--physical_clipping",
    ],
    # The noise of inference has the size of the read noise, whatever the flag.
    "--lr 4000 --resistor_noise 0.05 --voltage_noise 0": ["--device_noise"],
}


@pytest.mark.parametrize("common", CHANGES)
def test_every_flag_of_the_simulation_changes_the_trained_network(common, simulate):
    (before,) = simulate(common)
    for change in CHANGES[common]:
        (after,) = simulate(f"{common} {change}")
        old, new = before.state["layers.4.weight1"], after.state["layers.4.weight1"]
        assert old.shape != new.shape or not torch.equal(old, new), change


@pytest.mark.parametrize("compiled", [True, False])
def test_compile_flag(compiled, simulate, monkeypatch):
    """Compiled steps are tested against the reference; here, that the flag decides."""
    calls = []

    def called(compiler, module, *inputs):
        calls.append(compiler.enabled)
        return module(*inputs)

    monkeypatch.setattr(Compiler, "__call__", called)
    (record,) = simulate(f"--compile {'on' if compiled else 'off'}")
    assert {record.json["compiled"], *calls} == {compiled}
