"""The four files of one trained network, written JSON last, and reading them back."""

from __future__ import annotations

import json
from dataclasses import dataclass

from torch import Tensor

from utils.records.files import write_json, write_tensors
from utils.records.folders import Folder
from utils.settings import Setting


@dataclass(frozen=True)
class Result:
    """What became of one network.

    accuracies: float32 [epochs], test accuracy 0 to 1 after each epoch; pulse_requests: float32
    [epochs], lr times the mean |dL/dw| of the epoch's last batch (pulses); both NaN from the
    epoch of a failure on. loss: mean cross-entropy over the last epoch's batches; swap_accuracy:
    test accuracy after field relaxation, 0 to 1; seconds: of its group's training. failed_step:
    mini-batch whose loss was not finite, None if all was well. state: tensors by their names in
    the contract, on the CPU.
    """

    setting: Setting
    model: int
    accuracies: Tensor
    pulse_requests: Tensor
    loss: float
    swap_accuracy: float
    seconds: float
    failed_step: int | None
    state: dict[str, Tensor]

    @property
    def accuracy(self) -> float:
        """Test accuracy after the last epoch, 0 to 1."""
        return float(self.accuracies[-1])


def write_result(folder: Folder, result: Result, provenance: dict) -> None:
    """Write a network's files; once its JSON is there, it is complete."""
    write_tensors(folder.accuracies(result.model), result.accuracies)
    write_tensors(folder.gradients(result.model), result.pulse_requests)
    write_tensors(folder.weights(result.model), result.state)
    write_json(folder.json(result.model), json_of(result) | provenance)


def json_of(result: Result) -> dict:
    """Settings and results under the names that existing notebooks read."""
    setting = result.setting
    failed = result.failed_step is not None
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
        "loss": None if failed else result.loss,
        "accuracy": None if failed else 100 * result.accuracy,
        "swap_accuracy": None if failed else 100 * result.swap_accuracy,
        "failed_step": result.failed_step,
        "model": result.model,
        "model_seed": setting.seed + result.model,
        "tf32": setting.tf32,
        "seconds": round(result.seconds, 3),
    }


def read_json(folder: Folder, model: int) -> dict:
    """The JSON record of a complete network."""
    return json.loads(folder.json(model).read_text())
