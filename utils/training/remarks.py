"""What a user should know of a run before it starts: what was measured, and when tests mislead."""

from __future__ import annotations

from collections.abc import Sequence

from devices import lookup, native
from devices.library import Device
from devices.responses import Table
from models import light, sparse_update
from models.batch_norm import MOMENTUM, SETTLING_STEPS
from models.currents import Currents
from models.matmul import kernels
from utils.flags import flags_of
from utils.settings import Setting


def measured(settings: Sequence[Setting]) -> list[str]:
    """A line for each measured device: which values are as measured, and which are others.

    A flag, or a study, may say otherwise; what could not be measured has the usual value.
    """
    devices = dict.fromkeys(device for setting in settings for device in setting.fields)
    return [
        of_device(device, [setting for setting in settings if device in setting.fields])
        for device in devices
        if device.measured
    ]


def of_device(device: Device, settings: Sequence[Setting]) -> str:
    parts = []
    for name, (flag, _) in flags_of(Setting).items():
        if flag.measured is None:
            continue
        value = getattr(device.measured, flag.measured).value
        used = sorted({getattr(setting, name) for setting in settings})
        told = f"{name} {', '.join(f'{each:.4g}' for each in used)}"
        if value is None:
            parts.append(f"{told} (not measured)")
        else:
            parts.append(
                f"{told} " + ("as measured" if used == [value] else f"(measured: {value:.4g})")
            )
    return f"{device}: {', '.join(parts)}"


def remarks(settings: Sequence[Setting], currents: Currents) -> list[str]:
    """A line each; settings: of a run, which differ in their physics alone."""
    setting = settings[0]
    n_train, n_test = len(currents.train), len(currents.test)
    lines = [f"{setting.task}: {n_train} images to train, {n_test} to test"]
    if n_test > n_train:
        lines.append(
            f"the test set of {setting.task} is larger than the training set; "
            "are their files exchanged?"
        )
    per_epoch = -(-n_train // setting.batch_size)
    if per_epoch < SETTLING_STEPS:
        epochs = -(-SETTLING_STEPS // per_epoch) - 1
        lines.append(
            f"tests up to epoch {min(epochs, setting.epochs)} come too early: batch normalisation "
            f"takes about {SETTLING_STEPS} mini-batches (momentum {MOMENTUM}) to forget the "
            f"variance that it starts from, an epoch has {per_epoch}; a smaller --batch_size "
            "shortens that"
        )
    if lacks_kernels(settings, currents):
        lines.append(
            "the C++ kernels could not be built, so this run is slower; install a C++ compiler "
            f"(g++), or set {native.SWITCH}=0 to do without"
        )
    return lines


def lacks_kernels(settings: Sequence[Setting], currents: Currents) -> bool:
    """Whether a kernel that makes a CPU faster is missing although it is wanted.

    What is there afterwards need not be built by every worker.
    """
    device = currents.device
    if device.type != "cpu" or not native.is_wanted():
        return False
    used = [*kernels(device).values(), light.is_available()]
    responses = [(each.response, setting) for setting in settings for each in setting.fields]
    if any(isinstance(response, Table) for response, _ in responses):
        used.append(native.has_kernel(lookup.SOURCE, device))
    families = {
        (response.family, setting.physical_clipping)
        for response, setting in responses
        if setting.write_noise == 0
    }
    if currents.light:
        used += [sparse_update.is_available(*each, device) for each in sorted(families)]
    return not all(used)
