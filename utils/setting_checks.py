"""Checks of a setting beyond the bounds of its flags."""

from __future__ import annotations

from devices.library import Device
from devices.scheme import NEAREST, NONE, ONE_WAY, STOCHASTIC
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


def driven(setting: FlagTable) -> Device:
    """Return the field with a rising branch if the cell needs one; raises UserError without one."""
    try:
        return setting.field.driven(both_ways=setting.cell != ONE_WAY)
    except ValueError as error:
        raise UserError(
            f"--cell {setting.cell}: {error}, and these cells drive devices both ways; fit a file "
            f"with both branches, or choose --cell {ONE_WAY}"
        ) from None


def check_scheme(setting: FlagTable) -> None:
    """Raise UserError unless the flags of programming fit together and have an effect."""
    if setting.cell != ONE_WAY:
        for name in SWITCHES:
            if getattr(setting, name) is not None:
                raise UserError(
                    f"--cell {setting.cell}: the field can be switched for --cell {ONE_WAY} only; "
                    f"leave out --{name}"
                )
    rules = {
        f"--rounding {setting.rounding}": setting.rounding != NONE,
        "--accumulate": setting.accumulate,
    }
    for name in (name for name, is_given in rules.items() if is_given):
        if setting.clipping == 0:
            raise UserError(
                f"{name}: works with the smallest pulse, which is 0 here; give --clipping above 0"
            )
        if setting.physical_clipping:
            raise UserError(f"{name}: does not go with --physical_clipping; leave one of them out")
    if setting.accumulate and setting.rounding == STOCHASTIC:
        raise UserError(
            "--accumulate: an accumulator loses nothing that stochastic rounding could save; "
            f"choose --rounding {NONE} or {NEAREST}"
        )
    if setting.max_pulses < setting.clipping:
        raise UserError(
            f"--max_pulses {setting.max_pulses:g}: is below the smallest pulse, --clipping "
            f"{setting.clipping:g}, so that nothing could ever be programmed"
        )


def check_fits(setting: FlagTable, device: Device) -> None:
    """Raise UserError unless the values of a setting fit one of its devices."""
    response = device.response
    if response.endless:
        return
    if device.rising is not None:
        start = device.start(setting.init)
        room = min(start - response.w_min, response.w_max - start)
        if setting.init >= room:
            raise UserError(
                f"--init {setting.init:g} is beyond the device's range: fresh {device} devices "
                f"start at {start:.3f}, {room:.3f} from an end of the range; choose less"
            )
    elif 2 * setting.init >= response.span:
        raise UserError(
            f"--init {setting.init:g} is beyond the device's range: a fresh pair of "
            f"{device} devices needs 2 x init < w_max - w_min = {response.span:.3f}"
        )
    if setting.clipping > response.pulses_max:
        raise UserError(
            f"--clipping {setting.clipping:g}: {device} devices take at most "
            f"{response.pulses_max:g} pulses, so that nothing could ever be programmed"
        )
