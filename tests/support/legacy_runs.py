"""Simulations as the original scripts wrote them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch

RANGES = {"double-linear": (2.175, 2.742), "double-exponential": (0.846, 2.280)}


def legacy_record(**changes) -> dict:
    """Return a network's JSON with exactly the keys of the original scripts, by flags' names."""
    parameters = {
        "lr": 500.0,
        "field": ["double-linear"],
        "scale": 1.0,
        "device_variability": 0.2,
        "clipping": 0.1,
    }
    record = {
        "task": "MNIST",
        "seed": 100,
        "padding": 2,
        "batch_size": 128,
        "layers": [512],
        "epochs": 20,
        "input_scale": 0.001,
        "voltage_noise": 1.5e-6,
        "resistor_noise": 0.015,
        "time_switch": None,
        "init": 0.01,
        "optimizer": "DoubleLinearOptimizer",
        "optimizer_parameters": parameters,
        "criterion": "CrossEntropyLoss",
        "loss": 0.25,
        "accuracy": 95.25,
        "swap_accuracy": 91.5,
    }
    if "field" in changes:
        changes["field"] = [changes["field"]]
    if "var" in changes:
        changes["device_variability"] = changes.pop("var")
    for name, value in changes.items():
        (parameters if name in parameters else record)[name] = value
    return record


def without_newer(record: dict) -> dict:
    """Return a record of this program without the keys of flags that were added later."""
    newer = ("write_noise", "tf32", "device_noise", "switch_epoch")
    older = {name: value for name, value in record.items() if name not in newer}
    parameters = dict(record["optimizer_parameters"])
    del parameters["physical_clipping"]
    return older | {"optimizer_parameters": parameters}


def write_legacy_folder(
    output_dir: Path, accuracies: Sequence[float], stamp: str = "20240725163936", **changes
) -> Path:
    """Write a folder of networks with these test accuracies (%), four files each.

    The accuracy after field relaxation is 10 lower, the pulse request of the last epoch 0.5.
    """
    usual = legacy_record(**changes)
    parameters = usual["optimizer_parameters"]
    (field,) = parameters["field"]
    folder = output_dir / (
        f"{stamp}-{usual['task']}-{field}-{float(parameters['lr'])}"
        f"-var-{parameters['device_variability']}-clipping-{parameters['clipping']}"
        f"-resistor-{usual['resistor_noise']}-voltage-{usual['voltage_noise']}"
    )
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    sizes = [1024, *usual["layers"], 10]
    for model, accuracy in enumerate(accuracies):
        record = legacy_record(**changes | {"accuracy": accuracy, "swap_accuracy": accuracy - 10})
        stem = folder / f"{folder.name}-{model}"
        history = torch.linspace(0.1, accuracy / 100, usual["epochs"])
        torch.save(history, f"{stem}-accuracies.pth")
        torch.save(torch.linspace(1.5, 0.5, usual["epochs"]), f"{stem}-gradients.pth")
        state = {}
        for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
            low, high = RANGES[field]
            for name in ("weight1", "weight2"):
                w = low + (high - low) * torch.rand(n_out, n_in, generator=generator)
                state[f"layers.{1 + 3 * layer}.{name}"] = w
            norm = f"layers.{2 + 3 * layer}"
            state[f"{norm}.running_mean"] = torch.zeros(n_out)
            state[f"{norm}.running_var"] = torch.ones(n_out)
            state[f"{norm}.num_batches_tracked"] = torch.tensor(469 * usual["epochs"])
        torch.save(state, f"{stem}.pth")
        Path(f"{stem}.json").write_text(json.dumps(record, indent=4))
    return folder
