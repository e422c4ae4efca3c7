"""The four files of one trained network, written JSON last, and reading them back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from utils.records.files import write_json, write_tensors
from utils.records.folders import Folder
from utils.settings import Member, Setting


@dataclass(frozen=True)
class Result:
    """What became of one network.

    accuracies: float32 [epochs], test accuracy 0 to 1 after each epoch; pulse_requests: float32
    [epochs], lr times the mean |dL/dw| of the epoch's last batch (pulses); both NaN from the
    epoch of a failure on. loss: mean cross-entropy over the last epoch's batches; swap_accuracy:
    test accuracy after field relaxation, 0 to 1; seconds: of all networks that its process trained
    then; failed_step: mini-batch whose loss was not finite, None if all was well; threads: that
    worked on it, on the CPU; compiled: whether its steps were. state: tensors by their names in
    the contract, on the CPU.
    """

    member: Member
    accuracies: Tensor
    pulse_requests: Tensor
    loss: float
    swap_accuracy: float
    seconds: float
    failed_step: int | None
    threads: int
    compiled: bool
    state: dict[str, Tensor]

    @property
    def accuracy(self) -> float:
        """Test accuracy after the last epoch, 0 to 1."""
        return float(self.accuracies[-1])


ANY = -1  # of a size: whatever it is


class Incomplete(Exception):
    """A network's files are not all there and whole: which, and why."""


def write_result(folder: Folder, result: Result, provenance: dict) -> None:
    """Write a network's files; once its JSON is there, it is complete."""
    model = result.member.model
    write_tensors(folder.accuracies(model), result.accuracies)
    write_tensors(folder.gradients(model), result.pulse_requests)
    write_tensors(folder.weights(model), result.state)
    write_json(folder.json(model), json_of(result) | provenance)


def json_of(result: Result) -> dict:
    """Settings and results under the names that existing notebooks read."""
    failed = result.failed_step is not None
    return settings_json(result.member.setting) | {
        "loss": None if failed else result.loss,
        "accuracy": None if failed else 100 * result.accuracy,
        "swap_accuracy": None if failed else 100 * result.swap_accuracy,
        "failed_step": result.failed_step,
        "model": result.member.model,
        "model_seed": result.member.seed,
        "seconds": round(result.seconds, 3),
        "threads": result.threads,
        "compiled": result.compiled,
    }


def settings_json(setting: Setting) -> dict:
    """The part of a record that says what was simulated."""
    return {
        "task": setting.task,
        "seed": setting.seed,
        "padding": setting.padding,
        "batch_size": setting.batch_size,
        "layers": list(setting.layers),
        "epochs": setting.epochs,
        "input_scale": setting.input_scale,
        "voltage_noise": setting.voltage_noise,
        "resistor_noise": setting.resistor_noise,
        "time_switch": setting.epochs,
        "init": setting.init,
        "optimizer": "PulseOptimizer",
        "optimizer_parameters": {
            "lr": setting.lr,
            "field": [setting.field],
            "scale": 1.0,
            "device_variability": setting.var,
            "clipping": setting.clipping,
        },
        "criterion": "CrossEntropyLoss",
        "tf32": setting.tf32,
    }


def setting_from_json(record: dict) -> Setting:
    """The setting of a record, the inverse of `settings_json`.

    Raises KeyError or TypeError if it is no record, UserError if a value is out of range.
    """
    parameters = record["optimizer_parameters"]
    return Setting(
        task=record["task"],
        field=parameters["field"][0],
        lr=parameters["lr"],
        var=parameters["device_variability"],
        resistor_noise=record["resistor_noise"],
        voltage_noise=record["voltage_noise"],
        clipping=parameters["clipping"],
        seed=record["seed"],
        epochs=record["epochs"],
        batch_size=record["batch_size"],
        layers=tuple(record["layers"]),
        init=record["init"],
        input_scale=record["input_scale"],
        padding=record["padding"],
        tf32=record["tf32"],
    )


def read_json(folder: Folder, model: int) -> dict:
    """The JSON record of a network; raises Incomplete if there is none of this setting."""
    try:
        record = json.loads(folder.json(model).read_text())
    except FileNotFoundError:
        raise Incomplete(f"no {folder.json(model).name}") from None
    except (OSError, ValueError) as error:
        raise Incomplete(f"{folder.json(model).name} cannot be read: {error}") from None
    expected = settings_json(folder.setting) | {"model": model}
    for name, value in expected.items():
        if not isinstance(record, dict) or record.get(name) != value:
            raise Incomplete(f"{folder.json(model).name} is of another setting ({name})")
    return record


def check_complete(folder: Folder, model: int) -> dict:
    """The JSON record of a network all of whose files are there and agree with it.

    Raises Incomplete, with the reason, otherwise.
    """
    record = read_json(folder, model)
    for path in (folder.accuracies(model), folder.gradients(model)):
        values = read_tensors(path)
        if not isinstance(values, Tensor) or values.shape != (folder.setting.epochs,):
            raise Incomplete(f"{path.name} does not hold {folder.setting.epochs} epochs")
    state = read_tensors(folder.weights(model))
    sizes = [ANY, *folder.setting.layers, ANY]  # pixels and classes are a matter of the data
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        for name in (f"layers.{1 + 3 * layer}.weight1", f"layers.{1 + 3 * layer}.weight2"):
            weight = state.get(name) if isinstance(state, dict) else None
            shape = tuple(weight.shape) if isinstance(weight, Tensor) else ()
            if len(shape) != 2 or n_out not in (ANY, shape[0]) or n_in not in (ANY, shape[1]):
                raise Incomplete(f"{folder.weights(model).name} does not hold {name} as expected")
    return record


def read_tensors(path) -> Tensor | dict:
    """What torch saved; raises Incomplete where that is missing or damaged."""
    try:
        return torch.load(path, weights_only=True)
    except FileNotFoundError:
        raise Incomplete(f"no {path.name}") from None
    except Exception as error:  # torch names no set of errors for a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise Incomplete(f"{path.name} cannot be read: {reason[0]}") from None
