"""Currents into every layer and voltages out of it, for the first test image.

They are those of the test after the last epoch, with the same draws of noise. All that is needed is
in a network's record, so they can be computed for complete networks without training again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.currents import Currents
from utils.compute.signals import Stop
from utils.console import log
from utils.records.archive import Archive
from utils.records.results import Intermediates, read_tensors, write_intermediates
from utils.records.tensor_names import layer_number
from utils.settings import Member
from utils.training.ensemble import Ensemble
from utils.training.evaluation import TEST_BATCH
from utils.training.state_dict import load_state_dict


@torch.no_grad()
def compute(ensemble: Ensemble, currents: Currents) -> list[Intermediates]:
    """Return the currents and voltages of each network, on the CPU: see records.results.

    They are always computed without the compiler, so that they are the same during a run and
    afterwards. The whole first batch is tested, since an image's noise depends on its place there.
    """
    network, step = ensemble.network.eval(), ensemble.history.step
    current, _ = currents.test_batch(0, TEST_BATCH)
    part = torch.zeros_like(step)
    try:
        readings = network.test_readings(network.test_weights(), step, part)
        activity = network.propagate(current, step, part, readings)
    finally:
        network.train()
    first_voltage = activity.voltages[0]  # [model, out, image]
    image = currents.first_test_image.expand(len(first_voltage), -1)  # [model, in]
    currents_in = [image, *(inner[..., 0] for inner in activity.currents[1:])]
    gain = network.physics.gain
    if gain is not None:  # the hardware's currents since the field was switched
        currents_in = [gain[..., 0] * inner for inner in currents_in]
    layers = list(zip(currents_in, (out[..., 0] for out in activity.voltages), strict=True))
    return [
        {
            layer_number(layer): (cpu_copy(inner[model]), cpu_copy(out[model]))
            for layer, (inner, out) in enumerate(layers)
        }
        for model in range(len(first_voltage))
    ]


def cpu_copy(values: Tensor) -> Tensor:
    """Return a copy in float32 on the CPU."""
    return values.float().cpu().clone()


def add_missing(
    members: Sequence[Member], currents: Currents, archive: Archive, stop: Stop
) -> None:
    """Write currents and voltages of complete networks that lack them, from their records.

    Raises RecordError if a file cannot be written, StoppedError if a stop was requested.
    """
    lacking = [member for member in members if not archive.has_intermediates(member)]
    for setting in dict.fromkeys(member.setting for member in lacking):
        folder = archive.folders[setting]
        members = [member for member in lacking if member.setting == setting]
        log(f"{folder.id}: currents and voltages of {len(members)} complete networks are added")
        for member in members:
            stop.check()
            ensemble = trained(member, read_tensors(folder.weights(member.model)), currents)
            (intermediates,) = compute(ensemble, currents)
            write_intermediates(folder, member.model, intermediates)


@torch.no_grad()
def trained(member: Member, state: dict[str, Tensor], currents: Currents) -> Ensemble:
    """Return a trained network from the state dict of its record."""
    ensemble = Ensemble.fresh([member], currents)
    ensemble.enter(len(ensemble.phases) - 1)
    load_state_dict(ensemble.network, 0, state)
    ensemble.history.step.copy_(state["layers.2.num_batches_tracked"])
    return ensemble
