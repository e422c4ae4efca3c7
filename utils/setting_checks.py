"""Checks of a setting beyond the bounds of its flags."""

from __future__ import annotations

from devices.library import Device
from utils.errors import UserError
from utils.flag_table import FlagTable
from utils.flags import flags_of

SWITCHES = ("time_switch", "switch_epoch")  # flags that switch the field; only one may be given


def check_switch(setting: FlagTable) -> None:
    """Raise UserError unless there are two fields and one epoch of a switch, or neither."""
    given = [name for name in SWITCHES if getattr(setting, name) is not None]
    if len(given) > 1:
        raise UserError("--time_switch and --switch_epoch: give one of them, not both")
    if not given:
        if setting.second is not None:
            raise UserError("two fields and no switch; give --time_switch or --switch_epoch")
        return
    (name,) = given
    value, last = getattr(setting, name), setting.epochs - (name == "switch_epoch")
    lowest = flags_of(FlagTable)[name][0].at_least or 0
    if last < lowest:
        raise UserError(
            f"--{name} {value}: nothing can be switched in one epoch; give more --epochs"
        )
    if not lowest <= value <= last:
        raise UserError(
            f"--{name} {value}: must be from {lowest} to {last} with --epochs {setting.epochs}"
        )
    if setting.second is not None and setting.field.response.endless:
        raise UserError(
            f"--{name}: {setting.field} devices take pulses without end, more than those of "
            f"{setting.second} have; let them come second"
        )
    if setting.second is None or setting.second.name == setting.field.name:
        raise UserError(
            f"--{name}: needs two different fields, --field A B: first that at the start, then "
            f"that after the switch; {setting.field_name} is not"
        )


def check_fits(setting: FlagTable, device: Device) -> None:
    """Raise UserError unless the values of a setting fit one of its devices."""
    response = device.response
    if response.endless:
        return
    if 2 * setting.init >= response.span:
        raise UserError(
            f"--init {setting.init:g} is beyond the device's range: a fresh pair of "
            f"{device} devices needs 2 x init < w_max - w_min = {response.span:.3f}"
        )
    if setting.clipping > response.pulses_max:
        raise UserError(
            f"--clipping {setting.clipping:g}: {device} devices take at most "
            f"{response.pulses_max:g} pulses, so that nothing could ever be programmed"
        )
