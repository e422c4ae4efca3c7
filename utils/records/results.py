"""Writes the files of one trained network, its JSON last, and reads them back."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from torch import Tensor

from devices.ledger_level import LedgerLevel
from devices.library import measurements
from utils.errors import UserError
from utils.records.files import IncompleteFileError, read_tensors, remove, write_json, write_tensors
from utils.records.folders import Folder
from utils.records.ledgers import read_ledger
from utils.records.setting_json import (
    distribution_version,
    from_json,
    has_idle_clipping,
    is_original,
    to_json,
    with_newer,
)
from utils.records.tensor_names import layer_number, pair_tensor
from utils.settings import Member, Setting

# For each layer of pairs, by its number 1, 4, ... in the state dict: the currents into it, float32
# [in], which the first layer has in pixel order, and the voltages out of it before batch
# normalisation, float32 [out].
Intermediates = dict[int, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Result:
    """The results of one network.

    accuracies: float32 [epochs], test accuracy 0 to 1 after each epoch; pulse_requests: float32
    [epochs], lr times the mean |dL/dw| of the epoch's last batch (pulses); both NaN from the
    epoch of a failure on. loss: mean cross-entropy over the last epoch's batches; swap_accuracy:
    test accuracy after field relaxation, 0 to 1, None for a device without a partner; seconds:
    training time of the networks that trained side by side; failed_step: the mini-batch in which
    the network failed, None if it did not; threads: the number of threads on the CPU; compiled:
    whether steps were compiled; graphed: whether steps were replays of a CUDA graph. state, ledger:
    tensors on the CPU by their names in the files; the ledger is empty if nothing was counted.
    intermediates: currents and voltages of every layer for the first test image, None if they were
    not asked for. switch_accuracy: test accuracy right after the field was switched, before any
    further learning, 0 to 1, None without a switch.
    """

    member: Member
    accuracies: Tensor
    pulse_requests: Tensor
    loss: float
    swap_accuracy: float | None
    seconds: float
    failed_step: int | None
    threads: int
    compiled: bool
    graphed: bool
    state: dict[str, Tensor]
    ledger: dict[str, Tensor]
    intermediates: Intermediates | None = None
    switch_accuracy: float | None = None


QUANTITIES = ("intensity", "voltage")
ANY = -1  # stands for any size of a dimension
IDLE_CLIPPING = (
    "physical_clipping is true there, but never acted in the original scripts: read as not clipped"
)


def write_result(folder: Folder, result: Result, about: dict) -> None:
    """Write a network's files, the JSON last, which makes it complete. about: provenance."""
    model = result.member.model
    # If the network is trained again, its files may be of two trainings until the new JSON exists.
    remove(folder.json(model))
    write_tensors(folder.accuracies(model), result.accuracies)
    write_tensors(folder.gradients(model), result.pulse_requests)
    write_tensors(folder.weights(model), result.state)
    if result.ledger:
        write_tensors(folder.ledger(model), result.ledger)
    else:
        remove(folder.ledger(model))  # left by an earlier training
    if result.intermediates is None:
        remove_intermediates(folder, model)  # they belong to earlier weights
    else:
        write_intermediates(folder, model, result.intermediates)
    write_json(folder.json(model), json_of(result) | about)


def write_intermediates(folder: Folder, model: int, intermediates: Intermediates) -> None:
    for layer, tensors in intermediates.items():
        for quantity, tensor in zip(QUANTITIES, tensors, strict=True):
            write_tensors(folder.intermediate(model, quantity, layer), tensor)


def remove_intermediates(folder: Folder, model: int) -> None:
    for layer in map(layer_number, range(len(folder.setting.layers) + 1)):
        for quantity in QUANTITIES:
            with suppress(OSError):
                folder.intermediate(model, quantity, layer).unlink(missing_ok=True)


def read_intermediates(folder: Folder, model: int) -> Intermediates:
    """Return a network's currents and voltages; raises IncompleteFileError if any is missing."""
    sizes, found = [ANY, *folder.setting.layers, ANY], {}
    for number, shape in enumerate(pairwise(sizes)):
        layer = layer_number(number)
        paths = [folder.intermediate(model, quantity, layer) for quantity in QUANTITIES]
        found[layer] = tuple(read_tensors(path) for path in paths)
        for path, values, size in zip(paths, found[layer], shape, strict=True):
            sound = isinstance(values, Tensor) and values.dim() == 1
            if not sound or size not in (ANY, len(values)):
                raise IncompleteFileError(f"{path.name} does not hold the values of layer {layer}")
    return found


def json_of(result: Result) -> dict:
    """Return settings and results under the names that existing notebooks read."""
    failed, swap = result.failed_step is not None, result.swap_accuracy
    setting, switch = result.member.setting, result.switch_accuracy
    return to_json(setting) | {
        "measured": measurements(*setting.fields),
        "loss": None if failed else result.loss,
        "accuracy": None if failed else 100 * float(result.accuracies[-1]),
        "swap_accuracy": None if failed or swap is None else 100 * swap,
        "switch_accuracy": None if failed or switch is None else 100 * switch,
        "failed_step": result.failed_step,
        "model": result.member.model,
        "model_seed": result.member.seed,
        "seconds": round(result.seconds, 3),
        "threads": result.threads,
        "compiled": result.compiled,
        "graph": result.graphed,
    }


@dataclass(frozen=True)
class Record:
    """The JSON of a network, read back.

    accuracy, swap_accuracy, switch_accuracy: %, None where there is none; failed: whether loss or
    weights stopped being finite; distribution_version: see setting_json; is_original: whether the
    original scripts, which this project replaces, wrote it; content: the whole JSON; note: a remark
    for the user.
    """

    setting: Setting
    model: int
    accuracy: float | None
    swap_accuracy: float | None
    switch_accuracy: float | None
    failed: bool
    distribution_version: int
    is_original: bool
    content: dict
    note: str | None = None


def read_record(path: Path) -> Record:
    """Read the JSON of a network, which this program or the original scripts wrote.

    Raises IncompleteFileError if it cannot be read.
    """
    try:
        content = json.loads(path.read_text())
        setting, model = from_json(content), int(path.stem.rsplit("-", 1)[1])
        accuracies = content["accuracy"], content["swap_accuracy"], content.get("switch_accuracy")
        accuracy, swap, switch = (None if value is None else float(value) for value in accuracies)
        if content.get("model", model) != model:
            raise IncompleteFileError(f"{path.name} is of network {content['model']}")
        return Record(
            setting,
            model,
            accuracy,
            swap,
            switch,
            failed=content.get("failed_step") is not None,
            distribution_version=distribution_version(content),
            is_original=is_original(content),
            note=IDLE_CLIPPING if has_idle_clipping(content) else None,
            content=content,
        )
    except FileNotFoundError:
        raise IncompleteFileError(f"no {path.name}") from None
    except KeyError as error:
        raise IncompleteFileError(
            f"{path.name} is no record of a network: {error} is missing"
        ) from None
    except (OSError, UserError) as error:
        raise IncompleteFileError(f"{path.name} cannot be read: {error}") from None
    except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
        raise IncompleteFileError(f"{path.name} is not a record of a network: {error}") from None


def check_complete(
    folder: Folder, model: int, ledger_level: LedgerLevel = LedgerLevel.NOTHING
) -> Record:
    """Return the record of a network if all its files exist and are of exactly this setting.

    ledger_level: how much of the cost of learning its ledger must hold. Raises IncompleteFileError,
    with the reason, otherwise.
    """
    record = read_record(folder.json(model))
    content = with_newer(record.content)
    for name, value in expected(folder.setting).items():
        if content.get(name) != value:
            raise IncompleteFileError(f"{folder.json(model).name} is of another setting ({name})")
    check_tensors(folder, model)
    if ledger_level:
        ledger = read_ledger(folder, model)
        if ledger is None or (ledger_level >= LedgerLevel.WEAR and not ledger.wear):
            raise IncompleteFileError(
                f"{folder.ledger(model).name} does not hold all that is asked for"
            )
    return record


@lru_cache(maxsize=1)  # networks are looked at setting by setting
def expected(setting: Setting) -> dict:
    return to_json(setting)


def check_tensors(folder: Folder, model: int) -> Tensor:
    """Check the shapes of all tensors of a network; returns its pulse requests [epochs].

    Raises IncompleteFileError if a shape is not that of the setting. The files are memory-mapped,
    so that little of them is read.
    """
    for path in (folder.accuracies(model), folder.gradients(model)):
        values = read_tensors(path)
        if not isinstance(values, Tensor) or values.shape != (folder.setting.epochs,):
            raise IncompleteFileError(f"{path.name} does not hold {folder.setting.epochs} epochs")
    state = read_tensors(folder.weights(model))
    sizes = [ANY, *folder.setting.layers, ANY]  # pixels and classes depend on the data
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        for name in (pair_tensor(layer, "weight1"), pair_tensor(layer, "weight2")):
            weight = state.get(name) if isinstance(state, dict) else None
            shape = tuple(weight.shape) if isinstance(weight, Tensor) else ()
            if len(shape) != 2 or n_out not in (ANY, shape[0]) or n_in not in (ANY, shape[1]):
                raise IncompleteFileError(
                    f"{folder.weights(model).name} does not hold {name} as expected"
                )
    return values
