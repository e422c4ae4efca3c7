"""Messages before a run starts: which values were measured, and when tests may mislead."""

from __future__ import annotations

from collections.abc import Sequence

from devices.library import Device
from models.batch_norm import MOMENTUM, SETTLING_STEPS
from models.currents import Currents
from utils.compute import kernel_builder
from utils.compute.cache import cache_problem
from utils.flags import flags_of
from utils.settings import Setting


def measured_values(settings: Sequence[Setting]) -> list[str]:
    """Return a line for each measured device: which values are as measured, and which are not.

    A flag or a study may give another value; a value that was not measured has its default.
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
        value_used = f"{name} {', '.join(f'{number:.4g}' for number in used)}"
        if value is None:
            parts.append(f"{value_used} (not measured)")
        else:
            parts.append(
                f"{value_used} "
                + ("as measured" if used == [value] else f"(measured: {value:.4g})")
            )
    branch = "; only its rising branch was measured, which is mirrored" * device.is_mirrored
    return f"{device}: {', '.join(parts)}{branch}"


def mirrored(settings: Sequence[Setting]) -> list[str]:
    """Return a line that names the devices whose rising branch was not measured, if any."""
    fields = (setting.field for setting in settings)
    names = [str(field) for field in fields if field.rising is not None and not field.measured]
    if not names:
        return []
    listed = ", ".join(dict.fromkeys(names))
    return [f"{listed}: measured with falling pulses only; rising pulses take the mirrored curve"]


def startup_messages(settings: Sequence[Setting], currents: Currents) -> list[str]:
    """Return the messages, one line each; the settings differ only in their physics."""
    setting = settings[0]
    n_train, n_test = currents.n_train, currents.n_test
    lines = [f"{setting.task}: {n_train} images to train, {n_test} to test", *mirrored(settings)]
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
    if currents.device.type == "cpu":
        lines += [*kernel_builder.problems(), *filter(None, [cache_problem()])]
    return lines
